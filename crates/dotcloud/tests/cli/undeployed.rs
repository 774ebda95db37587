//! Verbs on applications that have no deployment yet, and on state that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::Place;

#[test]
fn application_without_services_has_nothing_to_show() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    place.says(
        &["status", "db"],
        1,
        "dotcloud: error: the application 'app' has no service 'db'\n  next: push it first: \
         'dotcloud push'\n",
        "",
    );
    place.says(&["logs", "-N"], 0, "", "");
    place.says(&["url"], 0, "", "");
    let state = place.state().join("apps/app");
    place.says(
        &["info"],
        0,
        &format!(
            "=== app\nflavor:   live\nstate:    {}\n\
             +------+------+------------+-----------------+\n\
             | name | type | containers | reserved memory |\n\
             +------+------+------------+-----------------+\n\
             +------+------+------------+-----------------+\n",
            state.display()
        ),
        "",
    );
    place.dotcloud(&["-y", "destroy"]).assert().success();
    assert!(!state.exists());
}

#[test]
fn damaged_record_and_relative_home_are_explained() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    let record = place.state().join("apps/app/state.json");
    fs::write(&record, "{\"version\": ").unwrap();
    place.says(
        &["info"],
        1,
        &format!(
            "dotcloud: error: the record {path} is damaged\n  cause: EOF while parsing a value at \
             line 1 column 12\n  next: put {path} back from a backup; the data of its services is \
             untouched in the directories beside it\n",
            path = record.display()
        ),
        "",
    );
    let mut relative = place.dotcloud(&["list"]);
    let output = relative.env("DOTCLOUD_HOME", "h").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "dotcloud: error: DOTCLOUD_HOME is 'h', which is not an absolute path\n  next: set \
         DOTCLOUD_HOME to an absolute path\n"
    );
}

#[test]
fn unwritable_home_is_explained() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere: be somebody else then.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dotcloud"));
    if fs::write(place.state().join("probe"), "").is_ok() {
        fs::remove_file(place.state().join("probe")).unwrap();
        command.gid(65534).uid(65534);
    }
    let output = command
        .args(["-o", "create", "app"])
        .env_clear()
        .env("DOTCLOUD_HOME", place.state())
        .current_dir(place.code())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "dotcloud: error: cannot create {}/apps\n  cause: permission denied (os error 13)\n  \
             next: give yourself the right to it, or set DOTCLOUD_HOME to a directory of your own\n",
            place.state().display()
        )
    );
}

#[test]
fn push_without_build_file_changes_nothing() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    let path = place.code().join("dotcloud.yml");
    place.says(
        &["push"],
        1,
        &format!(
            "dotcloud: error: cannot read {path}\n  cause: no such file or directory (os error 2)\n  \
             next: push the directory that has a dotcloud.yml, or write {path}; nothing was changed\n",
            path = path.display()
        ),
        &format!(
            "==> Pushing code with rsync from \"{}\" to application app\n",
            place.code().display(),
        ),
    );
    assert!(!place.state().join("apps/app/code").exists());
}

#[test]
fn push_takes_a_path_and_an_application() {
    let place = Place::new();
    place.dotcloud(&["-o", "create", "app"]).assert().success();
    let elsewhere = place.directory.path().join("src");
    fs::create_dir(&elsewhere).unwrap();
    let path = elsewhere.to_str().unwrap();
    let output = place
        .dotcloud(&["push", "-A", "app", path])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        stdout.contains(&format!("cannot read {path}/dotcloud.yml")),
        "{stdout}"
    );
}

#[test]
fn env_of_an_application_without_code_is_kept_and_checked() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    place.says(
        &["env", "set", "B=2", "A=x=y"],
        0,
        "==> The variables are recorded, for the first push\n",
        "==> Setting B, A for application app\n",
    );
    place.says(
        &["env", "list"],
        0,
        "A=x=y\nB=2\nDOTCLOUD_EMAIL=dotcloud@localhost\nDOTCLOUD_ENVIRONMENT=default\n\
         DOTCLOUD_FLAVOR=live\nDOTCLOUD_PROJECT=app\nDOTCLOUD_USERNAME=dotcloud\n",
        "",
    );
    let unchanged = "nothing was changed\n";
    place.says(
        &["env", "set", "C=1", "hunter2"],
        1,
        &format!(
            "dotcloud: error: operand 2 has no '='\n  next: write every variable as NAME=VALUE; \
             {unchanged}"
        ),
        "",
    );
    place.says(
        &["env", "set", "DOTCLOUD_X=hunter2"],
        1,
        &format!(
            "dotcloud: error: 'DOTCLOUD_X' begins with DOTCLOUD_, which is the platform's\n  \
             next: take letters, digits and underscores, not beginning with a digit or DOTCLOUD_; \
             {unchanged}"
        ),
        "",
    );
    place.says(
        &["env", "unset", "A", "C=hunter2"],
        1,
        &format!(
            "dotcloud: error: the variable 'C' is not set\n  next: 'dotcloud env list' tells which \
             are set; what dotcloud.yml sets is removed there; {unchanged}"
        ),
        "",
    );
    for words in [&["env"][..], &["env", "set"], &["env", "unset"]] {
        place.dotcloud(words).assert().code(1);
    }
    let output = place.dotcloud(&["env", "list"]).output().unwrap();
    assert!(output.stdout.starts_with(b"A=x=y\nB=2\n"));
}

#[test]
fn application_without_code_has_no_revisions_and_deployments() {
    let place = Place::new();
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    place.says(&["revisions"], 0, "", "");
    for (word, text, next) in [
        (
            "latest",
            "no code was pushed yet",
            "push it first: 'dotcloud push'",
        ),
        (
            "previous",
            "no code of a revision before the deployed one is kept",
            "'dotcloud revisions' tells which there are",
        ),
        (
            "rsync-1",
            "no code of a revision 'rsync-1' is kept",
            "'dotcloud revisions' tells which there are",
        ),
    ] {
        let said = format!("dotcloud: error: {text}\n  next: {next}\n");
        place.says(&["deploy", word], 1, &said, "");
    }
    place.says(
        &["dlogs", "latest"],
        1,
        "dotcloud: error: there is no deployment 'latest'\n  next: 'dotcloud dlist' tells which are \
         remembered\n",
        "",
    );
    place.says(
        &["dlist"],
        0,
        "+------+----------+-----------+--------+\n\
         | date | revision | deploy id | result |\n\
         +------+----------+-----------+--------+\n\
         +------+----------+-----------+--------+\n",
        "",
    );
}

#[test]
fn json_of_an_application_without_code_has_its_fields() {
    let place = Place::new();
    place.says(&["list", "--json"], 0, "[]\n", "");
    place.dotcloud(&["-y", "create", "app"]).assert().success();
    place.says(
        &["list", "--json"],
        0,
        "[\n  {\n    \"connected\": true,\n    \"flavor\": \"live\",\n    \"name\": \"app\"\n  }\n]\n",
        "",
    );
    place.says(
        &["info", "--json"],
        0,
        &format!(
            "{{\n  \"flavor\": \"live\",\n  \"name\": \"app\",\n  \"revision\": null,\n  \
             \"services\": [],\n  \"state\": \"{}\"\n}}\n",
            place.state().join("apps/app").display()
        ),
        "",
    );
    for words in [&["revisions", "--json"], &["dlist", "--json"]] {
        place.says(words, 0, "[]\n", "");
    }
    place.says(&["url", "--json"], 0, "{}\n", "");
}
