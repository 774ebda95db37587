//! The README's command, after its build: `scripts/run`, twice, and what it says to do next.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::world::{Place, root, tarball};

/// The checkout's part that `make run` uses, with this one's `target/`.
fn checkout(into: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .args(
            [
                "scripts",
                "hooks",
                "fixtures",
                "dotcloud.yml",
                ".dotcloudignore",
            ]
            .map(|name| root().join(name)),
        )
        .arg(into)
        .status()
        .unwrap();
    assert!(copied.success());
    for entry in fs::read_dir(into.join("hooks")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".tar") {
            fs::remove_file(path).unwrap();
        }
    }
    symlink(root().join("target"), into.join("target")).unwrap();
}

/// Runs an executable of the checkout.
fn output(place: &Place, program: &str, args: &[&OsStr]) -> Output {
    let code = place.path().join("code");
    Command::new(code.join(program))
        .args(args)
        .current_dir(&code)
        .env("DOTCLOUD_HOME", place.path().join("d"))
        .env("HOME", place.path())
        .output()
        .unwrap()
}

/// What it printed.
#[track_caller]
fn run(place: &Place, program: &str, args: &[&OsStr]) -> String {
    let output = output(place, program, args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {args:?}\n{text}\n{errors}"
    );
    text
}

/// `make run` with these words, twice; then the commands that it prints, `again` among them; then a
/// server of the other family, which is refused while the old one serves.
fn run_twice(words: &[&OsStr], version: &str, again: &str) {
    let place = Place::new();
    let code = place.path().join("code");
    fs::create_dir(&code).unwrap();
    checkout(&code);
    let dotcloud = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        run(&place, "target/bin/dotcloud", &words)
    };
    let in_service = |script: &str| dotcloud(&["-A", "shop", "run", "testbed.0", script]);

    let first = run(&place, "scripts/run", words);
    assert!(first.trim_start().starts_with(version), "{first}");
    in_service("touch ~/data/row");
    let second = run(&place, "scripts/run", words);
    assert_eq!(first, second, "the same endpoint and advice");
    in_service("test -e ~/data/row");
    assert!(in_service("cat ~/data/mysql-credentials.cnf").contains("password"));
    for line in [
        &format!("make run{again} "),
        "make stop APP=shop ",
        "make clean APP=shop ",
    ] {
        assert!(first.contains(line), "{line:?} is not in {first}");
    }
    let other = if version == "10." {
        "mysql-5.6"
    } else {
        "mariadb"
    };
    let refused = output(&place, "scripts/run", &["shop", other].map(OsStr::new));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("which it cannot read; nothing was changed"),
        "{errors}"
    );
    assert!(!errors.contains("Pushing"), "{errors}");
    in_service("test -e ~/data/row && test -S ~/mysql/run/mysqld.sock");
    dotcloud(&["-A", "shop", "-y", "destroy"]);
}

#[test]
fn make_run_twice_keeps_the_data_of_an_assembled_server() {
    let again = " SERVER=mariadb APP=shop";
    run_twice(&["shop", "mariadb"].map(OsStr::new), "10.", again);
}

/// It brings no client, and its name is not one that a shell likes.
#[test]
fn make_run_twice_keeps_the_data_of_the_users_own_tarball() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("my own mysql.tar.gz");
    fs::copy(tarball("mysql-5.6"), &own).unwrap();
    let words = [OsStr::new("shop"), OsStr::new("mysql-9"), own.as_os_str()];
    let again = format!(
        " TARBALL={} APP=shop",
        own.display().to_string().replace(' ', "\\ ")
    );
    run_twice(&words, "5.6.", &again);
}
