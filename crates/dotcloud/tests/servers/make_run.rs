//! The README's command, after its build: `scripts/run`, twice, and what it says to do next.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::world::{Place, root};

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

#[test]
fn make_run_twice_keeps_every_row_for_a_server_with_and_without_clients() {
    for (server, version) in [("mariadb", "10."), ("mysql-5.6", "5.6.")] {
        let dir = Place::new();
        let code = dir.path().join("code");
        fs::create_dir(&code).unwrap();
        checkout(&code);
        let command = |program: &str, args: &[&str]| {
            let output = Command::new(code.join(program))
                .args(args)
                .current_dir(&code)
                .env("DOTCLOUD_HOME", dir.path().join("d"))
                .env("HOME", dir.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{program} {args:?}\n{text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            text
        };
        let dotcloud = |args: &[&str]| command("target/bin/dotcloud", args);
        // Of the same name as in another checkout, on another platform.
        let run = || command("scripts/run", &["shop", server]);
        let first = run();
        assert!(first.trim_start().starts_with(version), "{first}");
        dotcloud(&["-A", "shop", "run", "testbed.0", "touch ~/data/row"]);
        let second = run();
        assert_eq!(first, second, "the same endpoint and advice");
        dotcloud(&["-A", "shop", "run", "testbed.0", "test -e ~/data/row"]);
        // What the text says to type.
        let password = [
            "-A",
            "shop",
            "run",
            "testbed.0",
            "cat ~/data/mysql-credentials.cnf",
        ];
        assert!(dotcloud(&password).contains("password"));
        dotcloud(&["-A", "shop", "-y", "destroy"]);
    }
}
