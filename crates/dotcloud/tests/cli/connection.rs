//! Directories and the applications they are connected to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::{Place, not_connected};

#[test]
fn create_connect_and_disconnect_say_what_they_do() {
    let place = Place::new();
    place.says(&["list"], 0, "", "");
    place.says(
        &["-y", "create", "my-sql"],
        0,
        "==> Application \"my-sql\" created.\n\
         ==> Connected with default push options: --rsync (my-sql)\n",
        "==> Creating a live application named \"my-sql\"\n\
         ==> Connecting with the application \"my-sql\"\n",
    );
    place.says(
        &["create", "-o", "--flavor", "test", "other"],
        0,
        "==> Application \"other\" created.\n",
        "==> Creating a test application named \"other\"\n",
    );
    place.says(&["list"], 0, "* my-sql  live\n  other  test\n", "");
    place.says(&["app"], 0, "my-sql\n", "");
    place.says(&["app", "-A", "other"], 0, "other\n", "");
    place.says(
        &["connect", "other"],
        0,
        "==> Connected with default push options: --rsync (other)\n",
        "==> Connecting with the application \"other\"\n",
    );
    place.says(&["app"], 0, "other\n", "");
    place.says(
        &["disconnect"],
        0,
        "==> Disconnected.\n",
        &format!(
            "==> Disconnecting \"{}\" from the application \"other\"\n",
            place.code().display()
        ),
    );
    for verb in [
        &["app"][..],
        &["push"],
        &["info"],
        &["logs", "-N"],
        &["destroy", "-y"],
    ] {
        place.says(verb, 1, &not_connected(&place.code()), "");
    }
}

#[test]
fn create_existing_or_badly_named_is_refused() {
    let place = Place::new();
    place.dotcloud(&["-o", "create", "app"]).assert().success();
    place.says(
        &["-y", "create", "app"],
        1,
        "dotcloud: error: there is an application 'app' already\n  next: connect this directory to \
         it with 'dotcloud connect app', or choose another name\n",
        "==> Creating a live application named \"app\"\n",
    );
    place.says(
        &["create", "../x"],
        1,
        "dotcloud: error: '../x' cannot be an application's name\n  next: take at most 32 \
         lower-case letters, digits, - and _, the first a letter or a digit\n",
        "",
    );
}

#[test]
fn create_asks_and_connects_by_default() {
    let place = Place::new();
    let output = place
        .dotcloud(&["create", "app"])
        .write_stdin("\n")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("Connect the current directory to \"app\"? [Y/n]: "),
        "{stderr}"
    );
    place.says(&["app"], 0, "app\n", "");
}

#[test]
fn unknown_application_is_named() {
    let place = Place::new();
    place.says(
        &["info", "-A", "nope"],
        1,
        "dotcloud: error: there is no application 'nope'\n  next: 'dotcloud list' tells which there \
         are; 'dotcloud create nope' makes it\n",
        "",
    );
}

/// A directory that everybody can write, with a connection of `user`, and one of ours in it.
fn shared_by(place: &Place, user: Option<u32>) -> (PathBuf, PathBuf) {
    let shared = place.directory.path().join("shared");
    let mine = shared.join("mine");
    fs::create_dir_all(shared.join(".dotcloud")).unwrap();
    fs::create_dir(&mine).unwrap();
    let config = shared.join(".dotcloud/config");
    fs::write(&config, r#"{"application": "app", "version": "1"}"#).unwrap();
    for path in [&config, &shared.join(".dotcloud")] {
        std::os::unix::fs::chown(path, user, user).unwrap();
    }
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    (shared, mine)
}

#[test]
fn connection_in_a_shared_directory_is_not_obeyed() {
    let place = Place::new();
    place.dotcloud(&["-o", "create", "app"]).assert().success();
    let (shared, mine) = shared_by(&place, None);
    let said = |words: &[&str]| {
        let output = place.dotcloud(words).current_dir(&mine).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let why = format!("{} is not obeyed: others may write it", shared.display());
    for words in [
        &["push"][..],
        &["app"],
        &["info"],
        &["destroy", "-y"],
        &["env", "list"],
    ] {
        let (status, stdout, _) = said(words);
        assert_eq!(status, Some(1), "{words:?}");
        assert!(stdout.contains(&why), "{words:?}: {stdout}");
    }
    assert_eq!(
        said(&["list"]),
        (Some(0), "  app  live\n".to_owned(), String::new())
    );
    assert_eq!(said(&["-A", "app", "app"]).0, Some(0));
    // What is pushed is where we are, not what lies above.
    let (_, stdout, stderr) = said(&["-A", "app", "push"]);
    assert!(stderr.contains(&why), "{stderr}");
    assert!(
        stdout.contains(&format!("{}/dotcloud.yml", mine.display())),
        "{stdout}"
    );
    // One of our own ends the search before it.
    assert_eq!(said(&["connect", "app"]).0, Some(0));
    assert_eq!(said(&["app"]).1, "app\n");
}

#[test]
fn connection_of_somebody_else_is_not_obeyed_whatever_it_is() {
    let place = Place::new();
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root can give files to others");
        return;
    }
    place.dotcloud(&["-o", "create", "app"]).assert().success();
    let (shared, mine) = shared_by(&place, Some(65534));
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    let dotcloud = shared.join(".dotcloud");
    let app = |sudo: Option<&str>| {
        let mut command = place.dotcloud(&["app"]);
        command.current_dir(&mine);
        if let Some(uid) = sudo {
            command.env("SUDO_UID", uid);
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let foreign = format!(
        "{} is not obeyed: it belongs to uid 65534",
        dotcloud.display()
    );
    assert!(app(None).contains(&foreign), "{}", app(None));
    assert!(app(Some("4242")).contains(&foreign));
    assert_eq!(app(Some("65534")), "app\n");
    // Damaged, closed, or a link to one of ours.
    fs::write(dotcloud.join("config"), "{").unwrap();
    assert!(app(None).contains(&foreign));
    fs::set_permissions(&dotcloud, fs::Permissions::from_mode(0o000)).unwrap();
    assert!(app(None).contains(&foreign));
    fs::rename(&dotcloud, shared.join("away")).unwrap();
    place.dotcloud(&["connect", "app"]).assert().success();
    std::os::unix::fs::symlink(place.code().join(".dotcloud"), &dotcloud).unwrap();
    assert!(app(None).contains("is not obeyed: it is a symbolic link"));
}

#[test]
fn connection_further_up_is_named() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    let below = place.code().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let output = place
        .dotcloud(&["app"])
        .current_dir(&below)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "==> Working on the application \"app\", which {} is connected to\n",
            place.code().display()
        )
    );
}

#[test]
fn build_file_that_others_may_write_is_not_pushed_unasked() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    let build_file = place.code().join("dotcloud.yml");
    fs::write(&build_file, "db:\n  type: custom\n  process: 'true'\n").unwrap();
    fs::set_permissions(&build_file, fs::Permissions::from_mode(0o666)).unwrap();
    let output = place.dotcloud(&["push"]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let why = format!(
        "{} is not obeyed: others may write it",
        build_file.display()
    );
    assert!(stdout.contains(&why), "{stdout}");
    assert!(!place.state().join("apps/app/code").exists());
}
