//! The first step of everything that we start as somebody else: our own executable, which leaves our
//! session, puts our limits back, gives root's rights up, and becomes the program. Until then it is
//! still us: nothing of the service, not even a library that its variables name, runs beside our
//! terminal.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use hook::{CommandError, ExitStatus, Finished};
use rustix::process::{Resource, Rlimit, getrlimit, ioctl_tiocsctty, setrlimit, setsid};

use crate::host::account::Account;

/// The first argument of ourselves as this step. Then: what the program is to have of us, its uid and
/// gid, its limit of open files, the entry of its control group, its directory, itself, its arguments.
const ARGUMENT: &str = "--become";
/// Whatever became of the file.
const OURSELVES: &str = "/proc/self/exe";
/// For what is not to be changed.
const SAME: &str = "-";
/// In a variable's name, which never has it: no loader and no library takes such a name for its own.
const VEILED: u8 = 0x80;

/// How many files a process that we start may have open, if we allow ourselves more.
static OPEN_FILES: OnceLock<Option<u64>> = OnceLock::new();

/// What a program has of us besides its standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Nothing.
    Session,
    /// Nothing; its standard input, a terminal of its own, controls it.
    Terminal,
    /// Nothing, and it outlives us: its standard output is how [`spawn`] learns of its start.
    Daemon,
}

impl Apart {
    const ALL: [Self; 3] = [Self::Session, Self::Terminal, Self::Daemon];

    fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Terminal => "terminal",
            Self::Daemon => "daemon",
        }
    }
}

/// `command`, with the variables it sets and no other, in a session of its own, as `account`, in the
/// control group that `group` is the entry of.
pub(crate) fn apart(
    command: &Command,
    account: Option<&Account>,
    group: Option<&Path>,
    apart: Apart,
) -> Command {
    let ids = account.filter(|account| account.drops());
    let ids = ids.map_or(SAME.to_owned(), |account| {
        format!("{}:{}", account.uid, account.gid)
    });
    let files = OPEN_FILES.get().copied().flatten();
    let files = files.map_or(SAME.to_owned(), |files| files.to_string());
    let directory = command
        .get_current_dir()
        .map_or(SAME.as_ref(), |path| path.as_os_str());
    let mut stage = Command::new(OURSELVES);
    stage
        .args([ARGUMENT, apart.word(), &ids, &files])
        .arg(group.map_or(SAME.as_ref(), Path::as_os_str))
        .arg(directory)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((veil(name), value?))),
        );
    stage
}

/// The name that stands for `name` in this step, of the same length; and the other way round.
fn veil(name: &OsStr) -> OsString {
    let mut bytes = name.as_bytes().to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= VEILED;
    }
    OsString::from_vec(bytes)
}

/// Starts `command`, which is to be a [`Apart::Daemon`], and returns as soon as it is the program.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut text)?;
    }
    match text.trim().parse() {
        Ok(number) => {
            let _ = child.wait();
            Err(io::Error::from_raw_os_error(number))
        }
        Err(_) => Ok(child),
    }
}

/// Becomes the program if `arguments` (without our own name) are those of this step, and returns only
/// if that failed.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is the program's, which we are about to be"
)]
pub(crate) fn enter(arguments: &[OsString]) -> Option<ExitStatus> {
    let [
        first,
        apart,
        ids,
        files,
        group,
        directory,
        program,
        arguments @ ..,
    ] = arguments
    else {
        return None;
    };
    if first != ARGUMENT {
        return None;
    }
    let apart = Apart::ALL.into_iter().find(|one| apart == one.word())?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(
        std::env::vars_os()
            .filter(|(name, _)| {
                name.as_bytes()
                    .first()
                    .is_some_and(|first| !first.is_ascii())
            })
            .map(|(name, value)| (veil(&name), value)),
    );
    if directory != SAME {
        command.current_dir(directory);
    }
    if group != SAME {
        // Without it the container's processes are found by how they look.
        let _ = std::fs::write(group, "0");
    }
    let error = become_program(command, apart, ids, files);
    let number = error.raw_os_error().unwrap_or_default();
    let _ = match apart {
        Apart::Daemon => writeln!(io::stdout(), "{number}"),
        Apart::Session | Apart::Terminal => {
            writeln!(io::stderr(), "cannot run {}: {error}", program.display())
        }
    };
    Some(ExitStatus::NotFound)
}

fn become_program(mut command: Command, apart: Apart, ids: &OsStr, files: &OsStr) -> io::Error {
    if let Err(error) = leave_us(apart, files) {
        return error;
    }
    if apart == Apart::Daemon {
        command.stdout(Stdio::null());
    }
    if ids != SAME {
        let ids = ids.to_str().and_then(|ids| ids.split_once(':'));
        let ids = ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        let Some((uid, gid)) = ids else {
            return io::ErrorKind::InvalidInput.into();
        };
        // The standard library drops root's supplementary groups together with its uid, and changes
        // the directory after that.
        command.gid(gid).uid(uid);
    }
    command.exec()
}

fn leave_us(apart: Apart, files: &OsStr) -> io::Result<()> {
    setsid()?;
    if apart == Apart::Terminal {
        ioctl_tiocsctty(io::stdin())?;
    }
    if let Some(files) = files.to_str().and_then(|files| files.parse().ok()) {
        limit_files(files)?;
    }
    Ok(())
}

fn limit_files(soft: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(soft);
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}

/// Allows ourselves, and nobody we start, as many open files as we may have.
pub(crate) fn raise_limits() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        let _ = OPEN_FILES.set(limit.current);
    }
}

/// Undoes [`raise_limits`], for a program that has our own rights.
fn lower_limits() {
    if let Some(files) = OPEN_FILES.get().copied().flatten() {
        // What cannot be lowered stays raised: it is more than the program expects, not less.
        let _ = limit_files(files);
    }
}

/// [`hook::run`] for a program of this machine.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Result<Finished, CommandError> {
    lower_limits();
    let result = hook::run(command, stdin);
    raise_limits();
    result.map_err(|mut error| {
        let (CommandError::Start { program, .. }
        | CommandError::Talk { program, .. }
        | CommandError::Fail { program, .. }
        | CommandError::Stopped { program, .. }) = &mut error;
        *program = program_of(command);
        error
    })
}

/// What `command` becomes in the end.
pub(crate) fn program_of(command: &Command) -> OsString {
    let program = command.get_program();
    // After what `enter` takes for itself.
    let inner = (program == OURSELVES).then(|| command.get_args().nth(6));
    inner.flatten().unwrap_or(program).to_owned()
}

/// [`hook::exec`] for a program of this machine.
pub(crate) fn exec(command: &mut Command) -> CommandError {
    lower_limits();
    hook::exec(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let words = command.get_args().map(|word| word.display().to_string());
        words.collect()
    }

    #[test]
    fn apart_names_no_variable_that_a_loader_knows() {
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", "x"])
            .current_dir("/d")
            .env_clear()
            .env("LD_PRELOAD", "/d/evil.so");
        let stage = apart(&command, None, None, Apart::Session);
        assert_eq!(stage.get_program(), OURSELVES);
        assert_eq!(program_of(&stage), "/bin/bash");
        assert_eq!(program_of(&command), "/bin/bash");
        let expected = [
            "--become",
            "session",
            "-",
            "-",
            "-",
            "/d",
            "/bin/bash",
            "-c",
            "x",
        ];
        assert_eq!(words(&stage), expected);
        let names: Vec<&[u8]> = stage.get_envs().map(|(name, _)| name.as_bytes()).collect();
        assert_eq!(names, [b"\xccD_PRELOAD"]);
        assert_eq!(veil(OsStr::from_bytes(names[0])), "LD_PRELOAD");
    }

    #[test]
    fn enter_other_arguments_are_not_its_own() {
        for text in [
            "push",
            "--become session - - - -",
            "run --become session - - - - /bin/true",
        ] {
            let words: Vec<OsString> = text.split(' ').map(Into::into).collect();
            assert_eq!(enter(&words), None, "{text}");
        }
    }
}
