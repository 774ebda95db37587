//! Mirrors of small trees.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use std::os::unix::fs::MetadataExt;

use super::*;

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn listing(root: &Path) -> Vec<String> {
    let entries = WalkDir::new(root).min_depth(1).sort_by_file_name();
    entries
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .display()
                .to_string()
        })
        .collect()
}

fn directories() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (source, store) = (directory.path().join("src"), directory.path().join("code"));
    fs::create_dir(&source).unwrap();
    (directory, source, store)
}

#[test]
fn mirror_is_incremental_and_deletes() {
    let (_directory, source, store) = directories();
    write(&source, "a/run", "one");
    write(&source, "b", "two");
    fs::set_permissions(source.join("b"), Permissions::from_mode(0o640)).unwrap();
    let first = mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(first.copied.len(), 2);
    assert_eq!((first.bytes, first.removed), (6, vec![]));
    assert_eq!(
        mirror(&source, &store, Compare::Times).unwrap(),
        Uploaded::default()
    );

    fs::remove_dir_all(source.join("a")).unwrap();
    write(&source, "b", "three");
    let second = mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(second.copied, [Path::new("b")]);
    assert_eq!(second.removed, [Path::new("a")]);
    assert_eq!(listing(&store), ["b"]);
    assert_eq!(store.join("b").metadata().unwrap().mode() & 0o777, 0o640);

    // An older revision has the file as it was.
    fs::hard_link(store.join("b"), store.with_file_name("b")).unwrap();
    fs::set_permissions(source.join("b"), Permissions::from_mode(0o700)).unwrap();
    mirror(&source, &store, Compare::Times).unwrap();
    let mode = |path: PathBuf| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(store.join("b")), 0o700);
    assert_eq!(mode(store.with_file_name("b")), 0o640);
}

#[test]
fn mirror_of_a_directory_around_the_store_is_refused_unless_ignored() {
    let (directory, _, _) = directories();
    let around = directory.path().canonicalize().unwrap();
    let store = around.join("d/apps/app/code");
    fs::create_dir_all(store.parent().unwrap()).unwrap();
    write(&around, "run", "");
    assert_eq!(
        mirror(&around, &store, Compare::Times)
            .unwrap_err()
            .to_string(),
        format!(
            "the platform's own files, in {path}/d/apps/app, are inside the pushed directory \
             {path}",
            path = around.display()
        )
    );
    assert!(!store.exists());
    write(&around, ".dotcloudignore", "/d\n");
    mirror(&around, &store, Compare::Times).unwrap();
    assert!(store.join("run").exists() && !store.join("d").exists());
}

#[test]
fn mirror_links_out_of_the_tree_are_left_out() {
    let (_directory, source, store) = directories();
    write(&source, "sub/file", "x");
    for (link, to) in [
        ("in", "sub/file"),
        ("sub/up", "../sub/file"),
        ("sub/out", "../../secret"),
        ("absolute", "/etc/passwd"),
    ] {
        symlink(to, source.join(link)).unwrap();
    }
    let done = mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(listing(&store), ["in", "sub", "sub/file", "sub/up"]);
    assert_eq!(done.skipped.len(), 2, "{:?}", done.skipped);
}

#[test]
fn mirror_never_writes_through_a_link_in_the_store() {
    let (directory, source, store) = directories();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    write(&source, "d/file", "x");
    fs::create_dir(&store).unwrap();
    symlink(&outside, store.join("d")).unwrap();
    mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(listing(&outside), Vec::<String>::new());
    assert_eq!(listing(&store), ["d", "d/file"]);
}

#[test]
fn mirror_standard_and_own_exclusions_apply() {
    let (_directory, source, store) = directories();
    for path in [
        ".git/config",
        "a.pyc",
        "keep",
        "logs/x",
        "sub/logs",
        "sub/big.iso",
    ] {
        write(&source, path, "x");
    }
    write(&source, ".dotcloudignore", "# comment\n\n/logs\n*.iso\n");
    mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(
        listing(&store),
        [".dotcloudignore", "keep", "sub", "sub/logs"]
    );
}

#[test]
fn mirror_sees_a_change_that_size_and_time_hide() {
    let (_directory, source, store) = directories();
    let path = source.join("v.txt");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let write = |path: &Path, text: &str| {
        fs::write(path, text).unwrap();
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    };
    let stored = || fs::read_to_string(store.join("v.txt")).unwrap();
    write(&path, "1.0.1");
    mirror(&source, &store, Compare::Times).unwrap();
    // Written in place, and replaced by another file.
    write(&path, "1.0.2");
    mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(stored(), "1.0.2");
    write(&source.join("new"), "1.0.3");
    fs::rename(source.join("new"), &path).unwrap();
    let done = mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!((stored().as_str(), done.copied.len()), ("1.0.3", 1));
    let done = mirror(&source, &store, Compare::Content).unwrap();
    assert_eq!(done, Uploaded::default());
    // What is wrong in the mirror itself is found by content only.
    write(&store.join("v.txt"), "x.x.x");
    mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(stored(), "x.x.x");
    mirror(&source, &store, Compare::Content).unwrap();
    assert_eq!(stored(), "1.0.3");
}

#[test]
fn mirror_takes_no_set_id_bits_and_names_pointers() {
    let (_directory, source, store) = directories();
    write(&source, "tool", "x");
    fs::set_permissions(source.join("tool"), Permissions::from_mode(0o6755)).unwrap();
    write(
        &source,
        "big",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    );
    let done = mirror(&source, &store, Compare::Times).unwrap();
    assert_eq!(done.pointers, [Path::new("big")]);
    assert_eq!(
        store.join("tool").metadata().unwrap().mode() & 0o7777,
        0o755
    );
    assert_eq!(
        mirror(&source, &store, Compare::Times)
            .unwrap()
            .copied
            .len(),
        0
    );
}

#[test]
fn upload_errors_have_exact_texts() {
    let error = UploadError::Unreadable {
        path: "/a/b".into(),
        source: ErrorKind::PermissionDenied.into(),
    };
    assert_eq!(
        error.to_string(),
        "cannot read /a/b, which is in the pushed directory"
    );
}
