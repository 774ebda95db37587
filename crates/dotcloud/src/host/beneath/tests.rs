use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::AtomicBool;

use super::*;

/// Makes `levels` directories in one another below `top`; the deepest has a file and a link.
fn make_deep(top: &Path, levels: usize, mode: u32) {
    let mut current = Directory::open(top).unwrap();
    let mut chain = Vec::new();
    for _ in 0..levels {
        current.make("d", &Account::current()).unwrap();
        let next = current.directory("d").unwrap();
        chain.push(current);
        if chain.len() > 1 {
            chain.remove(0);
        }
        current = next;
    }
    current.create("file").unwrap();
    current.link("/etc", "link", &Account::current()).unwrap();
    rustix::fs::fchmod(&current, Mode::from_raw_mode(mode)).unwrap();
}

#[test]
fn remove_deep_tree_needs_no_long_path() {
    for (levels, mode) in [(1_500, 0o700), (20_000, 0o000)] {
        // If this fails it stays: the standard library cannot remove a tree that deep.
        let directory = tempfile::tempdir().unwrap().keep();
        let top = directory.join("top");
        fs::create_dir(&top).unwrap();
        make_deep(&top, levels, mode);
        Directory::open(&directory).unwrap().remove("top").unwrap();
        assert!(!top.exists());
        fs::remove_dir(directory).unwrap();
    }
}

#[test]
fn remove_closed_and_wide_tree_with_names_of_its_own_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().join("top");
    for name in [
        ".removed-1/a/b",
        "x/.removed-2/c",
        "x/y/z",
        "empty",
        "x/y/closed/in",
    ] {
        fs::create_dir_all(top.join(name)).unwrap();
        fs::write(top.join(name).join("file"), "").unwrap();
    }
    symlink("/etc", top.join("x/y/link")).unwrap();
    for (name, mode) in [("x/y/closed", 0o000), ("x/y", 0o500), ("x", 0o555)] {
        fs::set_permissions(top.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let below = Directory::open(directory.path()).unwrap();
    below.remove("top").unwrap();
    below.remove("top").unwrap();
    below.remove("none/at/all").unwrap();
    assert_eq!(below.names().unwrap(), Vec::<OsString>::new());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn resolve_leads_neither_out_nor_through_a_link() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("top/in")).unwrap();
    fs::write(directory.path().join("secret"), "x").unwrap();
    let top = Directory::open(&directory.path().join("top")).unwrap();
    symlink("..", directory.path().join("top/out")).unwrap();
    symlink("in", directory.path().join("top/link")).unwrap();
    symlink("../secret", directory.path().join("top/in/secret")).unwrap();
    let account = Account::current();
    for path in [
        "out/secret",
        "../secret",
        "/etc/passwd",
        "in/secret",
        "link/x",
        "in",
    ] {
        assert!(top.read(path).is_err(), "{path}");
    }
    for path in ["out/new", "../new", "/new", "link/new"] {
        assert!(top.create(path).is_err(), "{path}");
        assert!(top.make(path, &account).is_err(), "{path}");
        assert!(top.link("x", path, &account).is_err(), "{path}");
        assert!(top.replace(path, b"x", &account).is_err(), "{path}");
        assert!(top.rename("in", path).is_err(), "{path}");
    }
    for path in ["out/secret", "link/secret"] {
        assert!(top.remove(path).is_err(), "{path}");
    }
    // A link itself can be replaced and removed.
    top.replace("in/secret", b"new", &account).unwrap();
    assert_eq!(fs::read(directory.path().join("secret")).unwrap(), b"x");
    top.replace_link("nowhere", "link", &account).unwrap();
    top.remove("out").unwrap();
    assert_eq!(top.names().unwrap().len(), 2);
}

#[test]
fn read_pipe_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let top = Directory::open(directory.path()).unwrap();
    let error = top.read("pipe").unwrap_err();
    assert_eq!(error.to_string(), "it is no regular file");
}

#[test]
fn walk_is_sorted_and_restores_closed_directories() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b/closed/in", "a", "b.x"] {
        fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    symlink("/etc", directory.path().join("b/link")).unwrap();
    let closed = directory.path().join("b/closed");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let top = Directory::open(directory.path()).unwrap();
    let walk = Walk::new(&top, directory.path()).unwrap();
    let found: Vec<_> = walk.map(|found| found.unwrap()).collect();
    let paths: Vec<_> = found
        .iter()
        .map(|found| found.path.to_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["a", "b", "b/closed", "b/closed/in", "b/link", "b.x"]
    );
    assert_eq!(found[2].metadata.mode() & 0o777, 0);
    assert_eq!(closed.metadata().unwrap().mode() & 0o777, 0);
    let deep = tempfile::tempdir().unwrap();
    make_deep(deep.path(), 3_000, 0o700);
    let top = Directory::open(deep.path()).unwrap();
    let error = Walk::new(&top, deep.path())
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert_eq!(error.source.kind(), io::ErrorKind::InvalidFilename);
    Directory::open(deep.path()).unwrap().remove("d").unwrap();
}

#[test]
fn copy_content_keeps_holes_and_stops() {
    let directory = tempfile::tempdir().unwrap();
    let from = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(directory.path().join("from"))
        .unwrap();
    let at = 1 << 40;
    std::os::unix::fs::FileExt::write_all_at(&from, b"content", at).unwrap();
    from.set_len(2 << 40).unwrap();
    let parts = segments(&from).unwrap();
    assert_eq!((parts.len(), parts[0].start), (1, at));
    let path = directory.path().join("to");
    let to = File::create(&path).unwrap();
    copy_content(&from, &to, &AtomicBool::new(false)).unwrap();
    let copied = to.metadata().unwrap();
    assert_eq!(copied.len(), 2 << 40);
    assert!(copied.blocks() < 64, "{}", copied.blocks());
    let mut read = [0; 7];
    let copy = File::open(&path).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&copy, &mut read, at).unwrap();
    assert_eq!(&read, b"content");
    let error = copy_content(&from, &to, &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CANCELED.raw_os_error()));
}

#[test]
fn act_has_the_rights_of_the_account_only() {
    let account = Account::of_services(None);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("ours"), "x").unwrap();
    fs::set_permissions(directory.path().join("ours"), Permissions::from_mode(0o600)).unwrap();
    let top = Directory::open(directory.path()).unwrap();
    top.make("theirs", &account).unwrap();
    let theirs = top.directory("theirs").unwrap();
    let read = account.act(|| {
        theirs.create("new").unwrap();
        top.read("ours").map(drop)
    });
    let made = theirs.find("new").unwrap().unwrap();
    assert_eq!(made.uid(), account.uid);
    assert_eq!(read.unwrap().is_err(), account.drops());
    // And we have kept ours.
    top.read("ours").unwrap();
}
