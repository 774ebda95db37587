//! The command line: what may be asked for, and where the answer goes. stdout gets the result
//! only (the path written, the JSON, a dry run's table); everything else goes to stderr.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use hook::{ExitStatus, render, watch_for_defects};
use signal_hook::low_level::emulate_default_handler;

use crate::compress::Compression;
use crate::error::Error;
use crate::fetch::{self, Fetch};
use crate::minimal::MINIMAL;
use crate::output::{Target, default_output, directory_of};
use crate::prune::Glob;
use crate::repack::{Job, repack};
use crate::rules::STANDARD;
use crate::size::Size;
use crate::summary::Summary;

const AFTER_HELP: &str = "\
GLOBs match whole paths below the tarball's top directory, or any directory above a path:
'mysql-test' is the whole tree, 'bin/*' the files in bin, '**/*.a' an extension at any depth.
--keep wins over --drop, and both win over the profile.

Examples:
  repack mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz
  repack -o hooks/mysql.tar.zst mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz
  repack --dry-run --drop man --drop docs mariadb-11.4.5-linux-systemd-x86_64.tar.gz
  curl -sL URL | repack - -o hooks/mysql.tar.zst
  repack -o - --format gz mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz | ssh HOST 'cat >mysql.tar.gz'
  tarball=$(repack --keep 'lib/libmysqlclient.a' mysql-5.7.44-linux-glibc2.12-x86_64.tar.gz)
  repack -o hooks/mysql.tar.zst \"$(repack fetch 8.4.6)\"

Exit status: 0 done, 1 failed (nothing written), 2 wrong usage, 70 a defect of repack.";

/// Shrink a MySQL, Percona Server or MariaDB binary tarball to what a server needs.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pack: Option<Pack>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch a vendor's tarball, by version or URL
    Fetch(Fetch),
}

#[derive(Debug, Args)]
struct Pack {
    /// The vendor's tarball: .tar, .tar.gz, .tar.xz or .tar.zst, told by content, whatever its name;
    /// or an outer .tar around it. '-' is standard input, and needs --output
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The file to write; its ending chooses the format, '-' is standard output
    /// [default: IN's name with -repacked.tar.zst, beside IN]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// What to leave out
    #[arg(long, value_enum, default_value_t = Profile::Standard)]
    profile: Profile,

    /// Keep what matches, whatever the profile or --drop says; may be repeated
    #[arg(long, value_name = "GLOB")]
    keep: Vec<Glob>,

    /// Leave out what matches as well; may be repeated
    #[arg(long, value_name = "GLOB")]
    drop: Vec<Glob>,

    /// Keep symbol tables and debug information in executables and libraries
    #[arg(long)]
    no_strip: bool,

    /// What the result is compressed with [default: what OUT's ending says, else zst]
    #[arg(long, value_enum)]
    format: Option<Compression>,

    /// Compression, from 1 (fast) to 9 (small), with zst to 12 [default: 3 with zst, else 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    level: Option<u32>,

    /// How many threads compress; the result is the same [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// The most bytes the input may inflate to; K, M, G and T after a number are powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "32G")]
    max_size: Size,

    /// Write no tarball; print the table of what would be kept and left out
    #[arg(long)]
    dry_run: bool,

    /// Write a page that shows what became of the bytes; a browser opens it from disk
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,

    /// Print the result as one JSON object instead of a path and a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// No test suites, debug builds, benchmarks, static or embedded libraries
    Standard,
    /// The server, the everyday clients, what they load, and nothing else
    Minimal,
}

/// Runs the command line `arguments` and says how to exit.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    hook::keep_descriptors();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Ok
            };
        }
    };
    let chosen = match cli.pack.as_ref().map(chosen).transpose() {
        Ok(chosen) => chosen,
        Err(error) => {
            let _ = error.print();
            return ExitStatus::Usage;
        }
    };
    watch_for_defects("repack");
    match (cli.command, cli.pack.zip(chosen)) {
        (Some(Command::Fetch(arguments)), _) => fetch::run(arguments),
        (None, Some((arguments, chosen))) => run(arguments, chosen),
        // The parser asks for IN.
        (None, None) => ExitStatus::Usage,
    }
}

/// What to compress with, if the options go together.
fn chosen(pack: &Pack) -> Result<(Compression, u32), clap::Error> {
    let conflict = |text: &str| Cli::command().error(ErrorKind::ArgumentConflict, text);
    let is_dash = |path: &PathBuf| path == Path::new("-");
    if pack.input == Path::new("-") && pack.output.is_none() && !pack.dry_run {
        let text = "standard input has no name to derive the output's from: add --output OUT";
        return Err(Cli::command().error(ErrorKind::MissingRequiredArgument, text));
    }
    if pack.report.as_ref().is_some_and(is_dash) {
        return Err(conflict("--report needs the name of a file: '-' is none"));
    }
    let to_stdout = pack.output.as_ref().is_some_and(is_dash) && !pack.dry_run;
    if to_stdout && pack.json {
        let text = "--json and --output - both want standard output";
        return Err(conflict(text));
    }
    if to_stdout && io::stdout().is_terminal() {
        let text = "standard output is a terminal: redirect it, or name a file with --output";
        return Err(conflict(text));
    }
    if let (Some(output), Some(report)) = (&pack.output, &pack.report)
        && is_same_name(output, report)
    {
        return Err(conflict("--output and --report name the same file"));
    }
    let name = pack.output.as_deref().filter(|_| !to_stdout);
    Compression::choose(name, pack.format, pack.level).map_err(|error| conflict(&error.to_string()))
}

/// Whether both would be written to the same place, however their directories are called.
fn is_same_name(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let directory = directory_of(path).canonicalize().ok();
        directory.map(|directory| directory.join(path.file_name().unwrap_or_default()))
    };
    a == b || place(a).is_some_and(|place_a| Some(place_a) == place(b))
}

fn run(cli: Pack, (compression, level): (Compression, u32)) -> ExitStatus {
    let profile = match cli.profile {
        Profile::Standard => &STANDARD,
        Profile::Minimal => &MINIMAL,
    };
    let threads = cli
        .threads
        .and_then(|threads| NonZero::new(threads.into()))
        .or_else(|| available_parallelism().ok())
        .unwrap_or(NonZero::<usize>::MIN);
    let job = Job {
        output: (!cli.dry_run).then(|| match cli.output {
            Some(path) if path == Path::new("-") => Target::StandardOutput,
            Some(path) => Target::File(path),
            None => Target::File(default_output(&cli.input, compression)),
        }),
        input: cli.input,
        max_size: cli.max_size.0,
        report: cli.report,
        profile,
        keep: cli.keep,
        drop: cli.drop,
        strip: !cli.no_strip,
        compression,
        level,
        threads,
    };
    match repack(&job) {
        Ok(summary) => {
            answer(&summary, cli.json);
            ExitStatus::Ok
        }
        Err(error) => {
            let status = render("repack", &error, &mut io::stderr());
            if let Error::Stopped { signal } = error {
                // So that a shell's loop ends, as with any program that does not catch the signal.
                let _ = emulate_default_handler(signal);
            }
            status
        }
    }
}

fn answer(summary: &Summary, json: bool) {
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let _ = write!(stderr, "{}", summary.notes());
    let _ = match (&summary.output, json) {
        (_, true) => writeln!(stdout, "{}", summary.json()),
        (None, false) => write!(stdout, "{}", summary.table()),
        (Some(Target::StandardOutput), false) => write!(stderr, "{}", summary.table()),
        (Some(Target::File(output)), false) => {
            write!(stderr, "{}", summary.table()).and_then(|()| {
                stdout.write_all(output.as_os_str().as_bytes())?;
                stdout.write_all(b"\n")
            })
        }
    };
    let _ = stdout.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
