//! Directories and the applications they are connected to.

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
