//! What a manifest finds.

use super::*;

fn copy() -> (tempfile::TempDir, Manifest) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("data/mysqldb")).unwrap();
    fs::write(directory.path().join("data/mysqldb/ibdata1"), "abc").unwrap();
    fs::write(directory.path().join("data/mysqldb/b"), "").unwrap();
    let mut manifest = Manifest::new("MySQL 9.7.4".to_owned(), Method::Clone, 1);
    manifest.complete(directory.path()).unwrap();
    (directory, manifest)
}

#[test]
fn complete_then_read_is_the_same_and_verifies() {
    let (directory, manifest) = copy();
    let read = Manifest::read(directory.path()).unwrap();
    assert_eq!(read, manifest);
    assert_eq!(read.bytes, 3);
    assert_eq!(read.files[1].path, "data/mysqldb/ibdata1");
    assert_eq!(
        read.files[1].sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    read.verify(directory.path()).unwrap();
}

type Harm<'a> = &'a dyn Fn(&Path);

#[test]
fn verify_every_damage_has_exact_text() {
    let damage = |harm: &dyn Fn(&Path)| {
        let (directory, manifest) = copy();
        harm(&directory.path().join("data/mysqldb"));
        let error = manifest.verify(directory.path()).unwrap_err();
        let top = directory.path().to_str().unwrap();
        error.to_string().replace(top, "DIR")
    };
    let cases: [(Harm<'_>, &str); 5] = [
        (
            &|dir| fs::write(dir.join("ibdata1"), "abd").unwrap(),
            "DIR/data/mysqldb/ibdata1 is not what was copied: its SHA-256 is another",
        ),
        (
            &|dir| fs::write(dir.join("ibdata1"), "ab").unwrap(),
            "DIR/data/mysqldb/ibdata1 has 2 bytes; when it was copied it had 3",
        ),
        (
            &|dir| fs::remove_file(dir.join("b")).unwrap(),
            "DIR/data/mysqldb/b is missing from the copy",
        ),
        (
            &|dir| fs::write(dir.join("c"), "").unwrap(),
            "DIR/data/mysqldb/c does not belong to the copy",
        ),
        (
            &|dir| std::os::unix::fs::symlink("/etc/passwd", dir.join("d")).unwrap(),
            "DIR/data/mysqldb/d does not belong to the copy",
        ),
    ];
    for (harm, text) in cases {
        assert_eq!(damage(harm), text);
    }
}

#[test]
fn read_unusable_manifest_has_exact_text() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path();
    let text = || {
        let error = Manifest::read(top).unwrap_err();
        error.to_string().replace(top.to_str().unwrap(), "DIR")
    };
    assert_eq!(text(), "there is no complete copy in DIR");
    assert!(!Manifest::is_in(top));
    fs::write(top.join(NAME), "{").unwrap();
    assert_eq!(text(), "DIR/manifest.json is damaged");
    let mut manifest = Manifest::new(String::new(), Method::Cold, 1);
    manifest.format = 7;
    fs::write(top.join(NAME), serde_json::to_vec(&manifest).unwrap()).unwrap();
    assert_eq!(
        text(),
        "DIR/manifest.json has format 7; this backup knows format 1"
    );
    fs::remove_file(top.join(NAME)).unwrap();
    fs::create_dir(top.join(NAME)).unwrap();
    assert_eq!(text(), "cannot read DIR/manifest.json");
}
