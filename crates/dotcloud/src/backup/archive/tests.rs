//! Streams that are the copy, and others.

use std::os::unix::fs::MetadataExt;

use super::*;

static STOP: AtomicBool = AtomicBool::new(false);

type Entry<'a> = (&'a str, &'a [u8]);

fn manifest() -> (Manifest, Vec<u8>) {
    let file = |path: &str, content: &[u8]| FileEntry {
        path: path.to_owned(),
        bytes: content.len() as u64,
        sha256: digest(content),
    };
    let manifest = Manifest {
        problem: None,
        server: "s".to_owned(),
        method: "m".to_owned(),
        files: vec![file("data/a", b"one"), file("data/zero", &[0; 300_000])],
    };
    let text = serde_json::to_vec(&manifest).unwrap();
    (manifest, text)
}

/// A tar archive of these.
fn stream(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = header(EntryType::Regular, content.len() as u64);
        archive.append_data(&mut header, path, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

#[track_caller]
fn read_all(files: &[(&str, &[u8])]) -> String {
    let (manifest, text) = manifest();
    let wanted = Wanted {
        manifest: &manifest,
        text: &text,
        stop: &STOP,
    };
    let bytes = stream(files);
    match read(&bytes[..], wanted, None) {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn read_anything_but_the_copy_is_refused() {
    let (_, text) = manifest();
    let (zero, text) = (vec![0; 300_000], &text[..]);
    let a: Entry<'_> = ("data/a", b"one");
    let (zero, own): (Entry<'_>, Entry<'_>) = (("data/zero", &zero), (NAME, text));
    for (files, said) in [
        (vec![a, zero, own], ""),
        (vec![zero, own], "data/a of the copy is missing"),
        (vec![a, zero], "manifest.json of the copy is missing"),
        (
            vec![("data/a", &b"onf"[..]), zero, own],
            "data/a of the copy is not what was copied: its SHA-256 is another",
        ),
        (
            vec![("data/a", &b"on"[..]), zero, own],
            "data/a of the copy has another length than when it was copied",
        ),
        (
            vec![a, a, zero, own],
            "data/a of the copy does not belong to it",
        ),
        (
            vec![a, zero, (NAME, b"{}")],
            "manifest.json of the copy has another length than when it was copied",
        ),
    ] {
        assert_eq!(read_all(&files), said);
    }
}

#[test]
fn read_link_and_end_before_its_time_are_refused() {
    let (manifest, text) = manifest();
    let wanted = Wanted {
        manifest: &manifest,
        text: &text,
        stop: &STOP,
    };
    let mut archive = tar::Builder::new(Vec::new());
    let mut link = header(EntryType::Symlink, 0);
    archive
        .append_link(&mut link, "data/a", "/etc/passwd")
        .unwrap();
    let bytes = archive.into_inner().unwrap();
    assert_eq!(
        read(&bytes[..], wanted, None).unwrap_err().to_string(),
        "data/a of the copy is neither a file nor a directory"
    );
    let bytes = stream(&[("data/a", b"one")]);
    assert_eq!(
        read(&bytes[..513], wanted, None).unwrap_err().to_string(),
        "data/a of the copy has another length than when it was copied"
    );
}

#[test]
fn write_then_read_puts_the_same_in_place() {
    let (manifest, text) = manifest();
    let wanted = Wanted {
        manifest: &manifest,
        text: &text,
        stop: &STOP,
    };
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(from.path().join("data")).unwrap();
    std::fs::write(from.path().join("data/a"), "one").unwrap();
    std::fs::write(from.path().join("data/zero"), vec![0; 300_000]).unwrap();
    let directories = ["data", "data/empty"].map(PathBuf::from);
    let mut bytes = Vec::new();
    let source = Directory::open(from.path()).unwrap();
    write(&source, &directories, wanted, &mut bytes).unwrap();
    let target = Directory::open(to.path()).unwrap();
    let target = Target {
        directory: &target,
        account: &Account::current(),
    };
    read(&bytes[..], wanted, Some(target)).unwrap();
    assert_eq!(std::fs::read(to.path().join("data/a")).unwrap(), b"one");
    assert!(to.path().join("data/empty").is_dir());
    let zero = to.path().join("data/zero").metadata().unwrap();
    assert_eq!((zero.len(), zero.blocks()), (300_000, 0));
}
