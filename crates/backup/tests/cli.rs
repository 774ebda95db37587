//! backup as it is called: what it answers, and what it refuses before it does anything.

use std::path::Path;
use testbed::sandbox;

use sandbox::{Sandbox, assert_refused};

const BACKUP: &str = env!("CARGO_BIN_EXE_backup");

#[test]
fn answers_and_refuses_arguments() {
    let run = |arguments: &[&str]| {
        assert_cmd::Command::new(BACKUP)
            .env_clear()
            .args(arguments)
            .assert()
    };
    let version = format!("backup {}\n", env!("CARGO_PKG_VERSION"));
    run(&["--version"]).success().stdout(version).stderr("");
    let help = format!(
        "Usage: backup [{}--help | --version]\n\n{}",
        backup::FORMS,
        backup::ABOUT
    );
    run(&["--help"]).success().stdout(help).stderr("");
    for (arguments, problem) in [
        (&[][..], "nothing to do"),
        (&["steal", "/d"], "cannot understand 'steal /d'"),
        (&["take"], "cannot understand 'take'"),
    ] {
        let said = format!(
            "backup: error: {problem}\n  next: say take DIR, check DIR, place DIR, logs DIR, plan DIR, dump or load; \
             'backup --help' tells what it reads\n"
        );
        run(arguments).code(2).stdout("").stderr(said);
    }
}

#[test]
fn home_without_a_release_is_refused() {
    let sandbox = Sandbox::new();
    let copy = sandbox.path().join("copy");
    let mut command = sandbox.command(Path::new(BACKUP));
    command.arg("take").arg(copy);
    assert_refused(
        &sandbox.outcome(&mut command),
        "backup",
        "backup: error: no MySQL server in {dir}/home/mysql/install\n  next: push again: builder \
         puts the server there\n",
    );
}
