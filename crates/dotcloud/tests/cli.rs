//! The command line: help, usage, verbs without a deployment, and their failures in full.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A state directory and a working directory.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("dc")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        fs::create_dir(directory.path().join("code")).unwrap();
        Self { directory }
    }

    fn code(&self) -> PathBuf {
        self.directory.path().join("code")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("h")
    }

    fn dotcloud(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcloud"));
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("DOTCLOUD_HOME", self.state())
            .current_dir(self.code());
        command
    }

    /// Compares status, standard output and standard error in full.
    #[track_caller]
    fn says(&self, words: &[&str], status: i32, stdout: &str, stderr: &str) {
        let output = self.dotcloud(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(
            (
                output.status.code(),
                text(&output.stdout),
                text(&output.stderr)
            ),
            (Some(status), stdout.to_owned(), stderr.to_owned())
        );
    }
}

fn not_connected(directory: &Path) -> String {
    format!(
        "dotcloud: error: {} is not connected to an application\n  next: 'dotcloud create APP' \
         makes one and connects this directory; 'dotcloud connect APP' connects it to one that \
         exists; -A APP names one for this call\n",
        directory.display()
    )
}

#[test]
fn version_has_the_form_of_the_platforms_client() {
    let version = concat!("dotcloud/", env!("CARGO_PKG_VERSION"), "\n");
    Place::new().says(&["-v"], 0, version, "");
    Place::new().says(&["--version"], 0, version, "");
}

#[test]
fn every_verb_has_help_with_an_example() {
    let place = Place::new();
    for verb in [
        "list",
        "create",
        "connect",
        "disconnect",
        "app",
        "push",
        "info",
        "status",
        "url",
        "logs",
        "run",
        "restart",
        "destroy",
        "env",
        "scale",
        "revisions",
        "deploy",
        "dlist",
        "dlogs",
        "completions",
        "man",
    ] {
        let output = place.dotcloud(&[verb, "--help"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("Example"),
            "{text}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_1() {
    let place = Place::new();
    for words in [
        &["bogus"][..],
        &["create"],
        &["status"],
        &["-y", "-o", "list"],
        &[],
    ] {
        let output = place.dotcloud(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}

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

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let place = Place::new();
    let printed = |words: &[&str]| {
        let output = place.dotcloud(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for word in ["push", "dlogs", "scale", "json"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = printed(&["man"]);
    assert!(page.contains("dotcloud\\-push(1)"), "{page}");
    let page = printed(&["man", "push"]);
    assert!(page.contains(".TH dotcloud-push 1"), "{page}");
    assert!(page.contains("DOTCLOUD_BUILD_LIMIT"), "{page}");
    let page = printed(&["man", "env", "set"]);
    assert!(page.contains(".TH dotcloud-env-set 1"), "{page}");
    for hidden in ["gateway", "bogus"] {
        let said = format!(
            "dotcloud: error: there is no verb '{hidden}'\n  next: 'dotcloud --help' tells which \
             there are\n"
        );
        place.says(&["man", hidden], 1, &said, "");
    }
    assert!(!place.state().exists());
}
