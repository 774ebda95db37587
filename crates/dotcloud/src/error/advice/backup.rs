//! Advice about backups.

use hook::Advice;

use super::{
    build_file, command, configuration, environment, file, handover, hook, launch, runtime, store,
    wiring,
};
use crate::backup::BackupError;
use crate::host::timer::TimerError;

pub(super) fn backup(error: &BackupError) -> Advice {
    match error {
        BackupError::NoProgram { .. } | BackupError::Nothing { .. } => configuration(NO_PROGRAM),
        BackupError::Program { source, .. } => match hook(source).detail {
            detail if !detail.is_empty() => environment(PROGRAM).detail(detail),
            _ => environment(PROGRAM),
        },
        BackupError::Problem { .. } => environment(PROBLEM),
        BackupError::Rehearsal { .. } => environment("do not push it before you know why"),
        BackupError::VerifyAlone => configuration("call it twice: once with each"),
        BackupError::HowOften { .. } => configuration(OFTEN),
        BackupError::Notify { source } => command(source, "see to it that it ends with status 0"),
        BackupError::Timer(error) => timer(error),
        BackupError::Unknown { .. } => configuration("'dotcloud backups' tells which there are"),
        BackupError::NoneYet { .. } => configuration("'dotcloud backup' makes one"),
        BackupError::Empty { .. } => configuration(
            "name the application as it was called then, -A APP, or another repository; 'restic \
             snapshots' tells what is in it",
        ),
        BackupError::Damaged { .. } => environment(
            "move that file away: the backup itself may be whole, but nothing is known of it",
        ),
        BackupError::Manifest { .. } => {
            environment("see to it that the service's backup program is whole, push again")
        }
        BackupError::Copy { .. } => environment(
            "take another backup; the service was not touched, and this copy is not trusted",
        ),
        BackupError::ReadBack { .. } => environment(
            "see to it that there is room and that the place of the backups can be reached, call it \
             again",
        ),
        BackupError::NoRestic { .. } => environment(
            "install it ('apt-get install restic' as root), call it again; --to 'exec:COMMAND' does \
             without",
        ),
        BackupError::Restic { source, .. } => command(
            source,
            "do what restic says, call it again; nothing that was kept before was changed",
        ),
        BackupError::Place { .. } => configuration(
            "say --to restic:REPOSITORY --password-file FILE, --to 'exec:COMMAND', or neither for \
             this machine",
        ),
        BackupError::NoPassword => configuration("name the file that has it: --password-file FILE"),
        BackupError::Command { .. } | BackupError::RunCommand { .. } => configuration(
            "see to it that it takes an archive on standard input when $BACKUP_ACTION is put, and \
             gives it back on standard output when that is get ($BACKUP is its name)",
        ),
        BackupError::NotServing { source, .. } => launch(source),
        BackupError::BuildFile(error) => build_file(error),
        BackupError::File(error) => file(error),
        BackupError::Store(error) => store(error),
        BackupError::Runtime(error) => runtime(error),
        BackupError::Launch(error) => launch(error),
        BackupError::Handover(error) => handover(error),
        BackupError::Wiring(error) => wiring(error),
        BackupError::Supervisor(error) => super::supervisor(error),
    }
}

fn timer(error: &TimerError) -> Advice {
    match error {
        TimerError::Nobody => environment(
            "install cron ('apt-get install cron' as root), or have whatever you have for that call \
             'dotcloud up' when the machine has started, and 'dotcloud backup' by the clock",
        ),
        TimerError::Program { source, .. } => command(source, "do what it says, call it again"),
        TimerError::File(error) => file(error),
    }
}

const PROBLEM: &str =
    "make a backup ('dotcloud backup'), from which on every change is there again";

const OFTEN: &str = "with --every, --verify says how often the newest backup is tried out";

/// Of a service that has no backups.
const NO_PROGRAM: &str = "add 'backup: ~/backup', or another program that takes and places copies \
                          (docs/platform.md), push again";

const PROGRAM: &str = "do what it says above, call it again; what serves was not touched";

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;
    use crate::error::Error;
    use crate::service::hook_run::HookError;

    #[track_caller]
    fn say(error: BackupError, text: &str) {
        let mut out = Vec::new();
        hook_of_errors::render("dotcloud", &Error::from(error), &mut out);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, format!("dotcloud: error: {text}\n"));
    }

    use ::hook as hook_of_errors;

    fn other() -> std::io::Error {
        std::io::Error::other("x")
    }

    #[test]
    fn backup_errors_have_exact_texts() {
        let instance = crate::model::application::InstanceName::new("db", 0);
        say(
            BackupError::Program {
                what: "make the copy",
                instance,
                source: HookError::Fail {
                    status: ExitStatus::from_raw(256),
                },
            },
            "its backup program could not make the copy of db.0\n  cause: it ended with exit status: \
             1\n  next: do what it says above, call it again; what serves was not touched",
        );
        say(
            BackupError::Empty {
                application: "shop".to_owned(),
                repository: "/srv/r".to_owned(),
            },
            "there is no backup of the application 'shop' in /srv/r\n  next: name the application as it \
             was called then, -A APP, or another repository; 'restic snapshots' tells what is in it",
        );
        let damaged = serde_json::from_str::<u8>("x").unwrap_err();
        say(
            BackupError::Damaged {
                path: "/r/1.json".into(),
                source: damaged,
            },
            "the record /r/1.json is damaged\n  cause: expected value at line 1 column 1\n  next: move \
             that file away: the backup itself may be whole, but nothing is known of it",
        );
        say(
            BackupError::Copy {
                path: "data/a".to_owned(),
                problem: "is missing",
            },
            "data/a of the copy is missing\n  next: take another backup; the service was not touched, \
             and this copy is not trusted",
        );
        say(
            BackupError::ReadBack { source: other() },
            "cannot read the copy back\n  cause: x\n  next: see to it that there is room and that the \
             place of the backups can be reached, call it again",
        );
    }

    #[test]
    fn errors_of_other_programs_have_exact_texts() {
        let source = || {
            Box::new(hook_of_errors::CommandError::Fail {
                program: "tell".into(),
                status: ExitStatus::from_raw(256),
                last_words: "no such address".to_owned(),
            })
        };
        let ended = "cause: tell ended with status 1\n  | no such address";
        say(
            BackupError::Notify { source: source() },
            &format!(
                "the program of --notify failed\n  {ended}\n  next: see to it that it ends with status 0"
            ),
        );
        let program = "systemctl";
        say(
            TimerError::Program {
                program,
                source: source(),
            }
            .into(),
            &format!("systemctl failed\n  {ended}\n  next: do what it says, call it again"),
        );
    }

    #[test]
    fn backup_errors_about_the_place_and_the_service_have_exact_texts() {
        let instance = crate::model::application::InstanceName::new("db", 0);
        say(
            BackupError::Place {
                text: "ftp:h".to_owned(),
            },
            "'ftp:h' is no place for backups\n  next: say --to restic:REPOSITORY --password-file FILE, \
             --to 'exec:COMMAND', or neither for this machine",
        );
        say(
            BackupError::NoPassword,
            "restic needs a password, which is in no file\n  next: name the file that has it: \
             --password-file FILE",
        );
        say(
            BackupError::NotServing {
                instance,
                source: Box::new(crate::service::launch::LaunchError::Silent {
                    waiting_for: "port db (1)".to_owned(),
                    limit: std::time::Duration::from_mins(1),
                }),
            },
            "db.0 does not serve with what was brought back, and has its own data again\n  cause: port db \
             (1) does not answer after 60 s\n  next: see to it that the service binds $PORT_..., or \
             give it more time (DOTCLOUD_LAUNCH_LIMIT, in seconds)",
        );
    }
}
