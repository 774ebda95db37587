//! supervisord's configuration, as the platform made it for custom services: one section per
//! program, Supervisor's defaults for everything that the contract does not mention.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::SupervisorError;
use crate::host::files::{self, FileError};
use crate::model::variable_size::check_variable;
use crate::model::variables::check_variable_name;
use crate::state::container::Variables;

/// `sun_path` is 108 bytes with its NUL, and supervisord binds `SOCKET.PID` before it renames;
/// a pid has up to 7 digits.
const SOCKET_LIMIT: usize = 107 - ".4194304".len();

/// What one supervisord has to know of its container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    /// The file to write. Its directory must not be writable by the container's user: a
    /// configuration can make supervisorctl load code, and we run that as ourselves.
    pub(crate) config: &'a Path,
    /// The socket as we reach it from outside.
    pub(crate) socket: &'a Path,
    /// Socket and pid file; writable by the container's user. As supervisord calls it, like all
    /// that follow.
    pub(crate) run_dir: &'a Path,
    /// Writable by the container's user.
    pub(crate) log_dir: &'a Path,
    /// Where programs start.
    pub(crate) home: &'a Path,
    /// The kernel's `oom_score_adj` of the programs, where it is not to be supervisord's.
    pub(crate) oom_score: Option<i32>,
    /// Program name to command line, as the build file's reader leaves them.
    pub(crate) programs: &'a BTreeMap<String, String>,
}

/// Writes the configuration and returns its path.
pub(crate) fn write_config(container: &Container<'_>) -> Result<PathBuf, SupervisorError> {
    let text = render(container)?;
    // Readable by the container's user; command lines are no secrets, any `ps` shows them.
    match files::replace(container.config, text.as_bytes(), 0o644) {
        Ok(()) => Ok(container.config.to_owned()),
        Err(FileError { path, source, .. }) => Err(SupervisorError::WriteConfig { path, source }),
    }
}

/// Whether supervisord can be told to listen on `socket`.
pub(crate) fn check_socket(socket: &Path) -> Result<(), SupervisorError> {
    check_length(socket)?;
    value(socket).map(drop)
}

fn check_length(socket: &Path) -> Result<(), SupervisorError> {
    let length = socket.as_os_str().len();
    if length > SOCKET_LIMIT {
        return Err(SupervisorError::SocketTooLong {
            socket: socket.to_owned(),
            length,
            limit: SOCKET_LIMIT,
        });
    }
    Ok(())
}

fn render(container: &Container<'_>) -> Result<String, SupervisorError> {
    let socket = container.run_dir.join("supervisor.sock");
    check_length(container.socket)?;
    check_length(&socket)?;
    let socket = value(&socket)?;
    let pid_file = value(&container.run_dir.join("supervisord.pid"))?;
    let log_dir = value(container.log_dir)?;
    let home = value(container.home)?;
    // In the foreground, so that whoever starts it knows its pid; then it would also log to
    // standard output, hence 'silent'.
    let mut text = format!(
        "; Written by dotcloud at every deployment.\n\
         [supervisord]\n\
         nodaemon=true\n\
         silent=true\n\
         logfile={log_dir}/supervisord.log\n\
         logfile_maxbytes=1MB\n\
         logfile_backups=1\n\
         pidfile={pid_file}\n\
         childlogdir={log_dir}\n\
         \n\
         [unix_http_server]\n\
         file={socket}\n\
         chmod=0700\n\
         \n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         \n\
         [supervisorctl]\n\
         serverurl=unix://{socket}\n"
    );
    // 40 MB for each stream of a program, where Supervisor would take 550: nobody watches the disk.
    for (name, line) in container.programs {
        // Supervisor 4 narrowed the default of exitcodes to 0; the platform's release had both.
        let _ = write!(
            text,
            "\n\
             [program:{name}]\n\
             command={command}\n\
             directory={home}\n\
             exitcodes=0,2\n\
             stdout_logfile={log_dir}/{name}.log\n\
             stdout_logfile_maxbytes=10MB\n\
             stdout_logfile_backups=3\n\
             stderr_logfile={log_dir}/{name}_error.log\n\
             stderr_logfile_maxbytes=10MB\n\
             stderr_logfile_backups=3\n",
            command = command(line, container.oom_score),
        );
    }
    Ok(text)
}

/// In front of the name of a variable that is a program's, while supervisord runs: whatever it is for,
/// Python, the loader or the C library, it is not for supervisord.
const VEIL: &str = "DOTCLOUD__";
/// Of supervisord itself: it is not to find modules in the service's `$HOME`.
const OWN_VARIABLE: (&str, &str) = ("PYTHONNOUSERSITE", "1");
/// Gives the program its variables back, each exactly as it was, and becomes the shell of the program. A
/// few names are bash's own, and stay as they are.
const UNVEIL: &str = "unset PYTHONNOUSERSITE; for DOTCLOUD_ in ${!DOTCLOUD__@}; do declare -x \
    \\\"${DOTCLOUD_#DOTCLOUD__}=${!DOTCLOUD_}\\\" 2>/dev/null; unset \\\"$DOTCLOUD_\\\"; done; unset DOTCLOUD_; ";

/// What supervisord is started with, so that its programs get `variables`.
pub(crate) fn veiled(variables: &Variables) -> Variables {
    let mut veiled: Variables = variables
        .iter()
        .map(|(name, value)| (veil(name, value), value.clone()))
        .collect();
    let (name, value) = OWN_VARIABLE;
    veiled.insert(name.to_owned(), value.to_owned());
    veiled
}

fn veil(name: &str, value: &str) -> String {
    // In the program's language and time supervisord writes its log.
    let shared = name == "LANG" || name == "TZ" || name.starts_with("LC_");
    let veiled = format!("{VEIL}{name}");
    // Bash passes a name that is not one of its own on, and cannot change it.
    let known = check_variable_name(name).is_ok() || name.starts_with("DOTCLOUD_");
    if shared || !known || check_variable(&veiled, value).is_err() {
        return name.to_owned();
    }
    veiled
}

/// A login bash that sources `~/profile` and execs the command line: `~` and `$PORT_X` work, what
/// follows a `;` or `&&` is never reached.
///
/// Without the profiles of /etc and of other login shells: they belong to this machine, not to the
/// container, and Debian's replaces the `PATH` that the runtime chose.
fn command(line: &str, oom_score: Option<i32>) -> String {
    let set = oom_score.map_or(String::new(), |score| {
        format!("echo {score} >/proc/self/oom_score_adj; ")
    });
    format!(
        "/bin/bash -c \"{UNVEIL}exec /bin/bash --noprofile --login -c \\\"$0\\\"\" \"{set}if [ -f ~/profile ]; then . ~/profile; fi; exec \
         {}\"",
        quoted(line)
    )
}

/// For the inside of double quotes, past both of Supervisor's readers: the one of the file, to
/// which ` ;` and ` #` begin a comment and `%` an expansion, and the one of the command, which
/// knows `\"` and `\\` in quotes and any escape outside of them.
fn quoted(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' => text.push_str("%%"),
            // Closes the quotes, escapes, opens them again: no blank is left in front of it.
            ';' | '#' => text.extend(['"', '\\', c, '"']),
            // A line break would begin another setting.
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// A path as the value of a setting.
fn value(path: &Path) -> Result<String, SupervisorError> {
    let writable = |text: &&str| {
        let comment = text
            .split(char::is_whitespace)
            .skip(1)
            .any(|word| word.starts_with([';', '#']));
        // Supervisor expands '%' once in some settings and twice in others.
        !comment && text.trim() == *text && !text.contains(|c: char| c == '%' || c.is_control())
    };
    match path.to_str().filter(writable) {
        Some(text) => Ok(text.to_owned()),
        None => Err(SupervisorError::Unwritable {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container<'a>(path: &'a Path, programs: &'a BTreeMap<String, String>) -> Container<'a> {
        Container {
            config: path,
            socket: Path::new("/run/a/supervisor.sock"),
            run_dir: path,
            log_dir: Path::new("/var/log/supervisor"),
            home: Path::new("/home/dotcloud"),
            oom_score: None,
            programs,
        }
    }

    #[test]
    fn render_program_has_the_platforms_form() {
        let programs = BTreeMap::from([("db".to_owned(), "~/starttest".to_owned())]);
        let text = render(&container(Path::new("/run/a b"), &programs)).unwrap();
        assert_eq!(
            text,
            "\
; Written by dotcloud at every deployment.
[supervisord]
nodaemon=true
silent=true
logfile=/var/log/supervisor/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=/run/a b/supervisord.pid
childlogdir=/var/log/supervisor

[unix_http_server]
file=/run/a b/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///run/a b/supervisor.sock

[program:db]
command=/bin/bash -c \"unset PYTHONNOUSERSITE; for DOTCLOUD_ in ${!DOTCLOUD__@}; do declare -x \
\\\"${DOTCLOUD_#DOTCLOUD__}=${!DOTCLOUD_}\\\" 2>/dev/null; unset \\\"$DOTCLOUD_\\\"; done; unset DOTCLOUD_; \
exec /bin/bash --noprofile --login -c \\\"$0\\\"\" \"if [ -f ~/profile ]; then . ~/profile; fi; \
exec ~/starttest\"
directory=/home/dotcloud
exitcodes=0,2
stdout_logfile=/var/log/supervisor/db.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
stderr_logfile=/var/log/supervisor/db_error.log
stderr_logfile_maxbytes=10MB
stderr_logfile_backups=3
"
        );
    }

    #[test]
    fn command_with_an_oom_score_sets_it_first() {
        let text = command("~/run", Some(900));
        assert!(
            text.contains("\" \"echo 900 >/proc/self/oom_score_adj; if ["),
            "{text}"
        );
    }

    #[test]
    fn veiled_leaves_nothing_that_supervisord_would_heed() {
        let variables = [
            "PYTHONPATH",
            "LD_PRELOAD",
            "HOME_",
            "LANG",
            "SERVICE_A-B",
            "DOTCLOUD_X",
        ]
        .map(|name| (name.to_owned(), "v".to_owned()));
        let veiled = veiled(&variables.into());
        let names: Vec<&str> = veiled.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "DOTCLOUD__DOTCLOUD_X",
                "DOTCLOUD__HOME_",
                "DOTCLOUD__LD_PRELOAD",
                "DOTCLOUD__PYTHONPATH",
                "LANG",
                "PYTHONNOUSERSITE",
                "SERVICE_A-B",
            ]
        );
        // What only just fits has no room for more.
        let long = "x".repeat((128 << 10) - 4);
        assert_eq!(veil("AB", &long), "AB");
    }

    #[test]
    fn quoted_specials_are_escaped_for_both_readers() {
        let cases = [
            (r#"a "b c""#, r#"a \"b c\""#),
            (r"a\b", r"a\\b"),
            ("date +%s", "date +%%s"),
            ("a ;b #c", r#"a "\;"b "\#"c"#),
            ("a\n[program:x]", "a [program:x]"),
            ("$HOME '~'", "$HOME '~'"),
        ];
        for (line, expected) in cases {
            assert_eq!(quoted(line), expected);
        }
    }

    #[test]
    fn write_config_unusable_paths_are_refused_with_exact_text() {
        let programs = BTreeMap::new();
        let text = |path: &str| {
            let error = write_config(&container(Path::new(path), &programs)).unwrap_err();
            error.to_string()
        };
        let long = format!("/{}", "x".repeat(83));
        assert_eq!(
            text(&long),
            format!(
                "{long}/supervisor.sock is 100 bytes long, and at most 99 fit for supervisord's \
                 socket"
            )
        );
        assert!(render(&container(Path::new(&long[..83]), &programs)).is_ok());
        for path in ["/run/a #b", "/run/a\nb", "/run/100%"] {
            let socket = format!("{path}/supervisor.sock");
            assert_eq!(
                text(path),
                format!("a supervisord configuration cannot hold the path {socket:?}")
            );
        }
        assert_eq!(text("/nowhere/conf"), "cannot write /nowhere/conf");
    }
}
