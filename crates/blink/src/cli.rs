//! The command line. stdout gets what was asked for only; everything else goes to stderr.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use hook::{Environment, ExitStatus, Report, end_by, render, stop_signal, with_arguments};

use crate::cache::Cache;
use crate::control;
use crate::error::Error;
use crate::inventory;
use crate::place::Places;
use crate::run::run;

const AFTER_HELP: &str = "\
COMMAND gets DATABASE_URL, MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_UNIX_PORT, MYSQL_USER,
MYSQL_PWD and MYSQL_DATABASE; with -n also DATABASE_URL_0, DATABASE_URL_1 and so on.
The server is killed and its data removed when COMMAND ends, or whoever started blink.

Examples:
  blink mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz -- cargo test
  blink 8.4 -- pytest
  blink 8.4 --save migrated -- ./migrate
  blink --seed migrated -n 8 -- pytest -n 8
  blink --json mariadb-11.4

Exit status: COMMAND's, 128 and more if a signal ended it; 126 it is not executable, 127 it is
not there; 0 told to end; 1 failed, 2 wrong usage, 70 a defect of blink.";

/// A MySQL or MariaDB server for as long as a command runs.
#[derive(Debug, Parser)]
#[command(name = "blink", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 90)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    start: Start,
}

/// What to start.
#[derive(Args, Debug)]
pub(crate) struct Start {
    /// A vendor's tarball, a directory with an unpacked one, the home of a service, or a version (8.4,
    /// 8.4.6, mariadb-11.4): the newest one in the cache, else fetched [default: what was unpacked last]
    #[arg(value_name = "RELEASE")]
    pub(crate) release: Option<PathBuf>,

    /// The command; without one, blink says how to connect and stays until Ctrl-C
    #[arg(value_name = "COMMAND", last = true)]
    pub(crate) command: Vec<OsString>,

    /// How many servers to start at once
    #[arg(short = 'n', value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) servers: u8,

    /// Begin with what this SQL file, or the *.sql, *.sql.gz, *.sql.xz and *.sql.zst of a directory,
    /// make of a fresh database; they are run once
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "seed")]
    pub(crate) init: Option<PathBuf>,

    /// Begin with what --save kept
    #[arg(long, value_name = "NAME")]
    pub(crate) seed: Option<String>,

    /// When COMMAND has succeeded, keep the database for --seed
    #[arg(long, value_name = "NAME", requires = "command")]
    pub(crate) save: Option<String>,

    /// On the disk, with everything that makes data last
    #[arg(long)]
    pub(crate) durable: bool,

    /// Keep releases and seeds there [default: blink in `$XDG_CACHE_HOME` or ~/.cache]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// Have the servers' data there [default: in memory where there is room, else TMPDIR]
    #[arg(long = "dir", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Say how to connect as one line of JSON for each server
    #[arg(long, conflicts_with = "command")]
    pub(crate) json: bool,

    /// End when standard input does: for whoever starts blink from a program
    #[arg(long, conflicts_with = "command")]
    pub(crate) until_eof: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Inside of a blink: start one more server, which lives as long as that one
    New {
        /// Say how to connect as one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// List the releases and the seeds in the cache
    List {
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// The cache
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
    },
    /// Remove a release, with all that was made of it, or a seed
    Remove {
        /// As 'blink list' calls it
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// The cache
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
    },
}

/// Runs the command line of this process and says how to exit.
#[must_use]
pub fn main() -> ExitCode {
    with_arguments("blink", |arguments, environment| {
        let name = OsString::from("blink");
        let cli = match Cli::try_parse_from([name].into_iter().chain(arguments)) {
            Ok(cli) => cli,
            Err(error) => {
                let _ = error.print();
                return if error.use_stderr() {
                    ExitStatus::Usage.into()
                } else {
                    ExitStatus::Ok.into()
                };
            }
        };
        let mut report = Report::to_stderr(environment);
        match obey(cli, environment, &mut report) {
            Ok(status) => ExitCode::from(status),
            Err(error) => {
                if let Some(signal) = stop_signal() {
                    end_by(signal);
                }
                render("blink", &error, &mut io::stderr()).into()
            }
        }
    })
}

fn obey(cli: Cli, environment: &Environment, report: &mut Report) -> Result<u8, Error> {
    let open = |cache: Option<PathBuf>| {
        let places = Places::find(environment, None)?;
        Ok::<_, Error>(Cache::open(environment, cache.as_deref(), &places)?)
    };
    let say = |text: &str| {
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    };
    match cli.verb {
        None => return run(&cli.start, environment, report),
        Some(Verb::New { json }) => say(&control::ask(environment, json)?),
        Some(Verb::List { json, cache }) => say(&inventory::list(&open(cache)?, json)),
        Some(Verb::Remove { names, cache }) => {
            for name in names {
                inventory::remove(&open(cache.clone())?, &name)?;
                report.bullet(format!("removed {name}"));
            }
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn cli_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cli_words_after_the_dashes_are_the_commands() {
        let cli = Cli::try_parse_from(["blink", "8.4", "--", "list", "--json"]).unwrap();
        assert!(cli.verb.is_none());
        assert_eq!(cli.start.command, ["list", "--json"]);
        for words in [
            "blink -n 0",
            "blink --json -- x",
            "blink --save x",
            "blink a b",
        ] {
            Cli::try_parse_from(words.split(' ')).unwrap_err();
        }
    }
}
