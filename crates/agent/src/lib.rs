//! agent: watches the server beside which it runs, and answers probes and scrapes. Changes nothing.
#![warn(missing_docs)]

mod backups;
mod client;
mod error;
mod http;
mod look;
mod metrics;
mod place;
mod sample;
mod serve;
mod state;
mod verdict;
mod watch;
mod words;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hook::{Busy, Environment, ExitStatus, Report, Usage};
use preparation::MemoryInput;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use look::Eye;
use place::Place;
use sample::Sampler;
use serve::Service;
use watch::Watch;
use words::declared;

pub use error::Error;
pub use words::{Question, Task};

/// The text of `--help`.
pub const ABOUT: &str = "\
Usage: agent serve [--listen ADDRESS:PORT] | check live | check ready | --help | --version

Watches the MySQL or MariaDB server of this home directory, through its socket, with an
account that may do nothing (dotcloud-agent; its password is in ~/data/mysql-agent.cnf).

  serve        answers over HTTP at 127.0.0.1:$PORT_AGENT, or where --listen says:
                 /live     200: the server answers, or is being initialised, upgraded,
                           started or stopped; 503: nothing of that for 30 s
                 /ready    200: it serves queries on its port, and lets accounts in
                 /metrics  OpenMetrics
                 /state    the same as JSON
  check live   looks once, for at most 5 s; says why on a line
  check ready

Reads: HOME, PORT_AGENT, and for /metrics MYSQL_MEMORY.

Examples:
  ~/agent serve --listen 127.0.0.1:9104
  ~/agent check ready && mysql

Exit status: 0 yes, or stopped by TERM; 1 no, or failed; 2 called wrongly; 70 a defect of
agent.
";

/// A look takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// From the arguments to the exit status.
#[must_use]
pub fn main(arguments: &[OsString], environment: &Environment) -> ExitCode {
    let status = match arguments {
        [only] if only == "--version" || only == "-V" => {
            say(
                io::stdout(),
                concat!("agent ", env!("CARGO_PKG_VERSION"), "\n"),
            );
            ExitStatus::Ok
        }
        [only] if only == "--help" || only == "-h" => {
            say(io::stdout(), ABOUT);
            ExitStatus::Ok
        }
        others => match Task::parse(others) {
            Ok(task) => perform(task, environment),
            Err(Usage { problem, next }) => {
                let text =
                    format!("agent: error: {problem}\n  next: {next}; 'agent --help' tells more\n");
                say(io::stderr(), &text);
                ExitStatus::Usage
            }
        },
    };
    status.into()
}

fn perform(task: Task, environment: &Environment) -> ExitStatus {
    let outcome = match task {
        Task::Check(question) => check(question, environment),
        Task::Serve { listen } => serve(listen, environment).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitStatus::Ok,
        Ok(false) => ExitStatus::Failed,
        Err(error) => hook::render("agent", &error, &mut io::stderr()),
    }
}

/// One look, on a line.
fn check(question: Question, environment: &Environment) -> Result<bool, Error> {
    let mut eye = Eye::new(Place::find(environment)?, PATIENCE);
    let seen = eye.look();
    let (word, verdict) = match question {
        // Whoever asks once has no patience.
        Question::Live => ("live", seen.live_at_once(PATIENCE)),
        Question::Ready => ("ready", seen.ready(PATIENCE, Duration::ZERO)),
    };
    let not = if verdict.good { "" } else { "not " };
    say(io::stdout(), &format!("{not}{word}: {}\n", verdict.why));
    Ok(verdict.good)
}

/// Answers until a signal comes.
fn serve(listen: Option<SocketAddr>, environment: &Environment) -> Result<(), Error> {
    let place = Place::find(environment)?;
    let address = match listen {
        Some(address) => address,
        None => declared(environment).map_err(|problem| Error::NoAddress { problem })?,
    };
    let answer = |source| Error::Answer { source };
    // As the first process of a container it would not end by default.
    let _busy = Busy::new();
    let (stop, stopping) = UnixStream::pair().map_err(answer)?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        pipe::register(signal, stopping.try_clone().map_err(answer)?).map_err(answer)?;
    }
    let watch = Arc::new(Watch::new(place));
    let listening = |source| Error::Listen { address, source };
    let mut service = Service::bind(address, &watch).map_err(listening)?;
    let mut report = Report::to_stderr(environment);
    report.bullet(format!(
        "answering at http://{}: /live, /ready, /metrics, /state",
        service.address().map_err(listening)?
    ));
    let (news, newsboy) = UnixStream::pair().map_err(answer)?;
    newsboy.set_nonblocking(true).map_err(answer)?;
    let tell = move || {
        // Full, it has been told.
        let _ = (&newsboy).write(&[0]);
    };
    let planned = MemoryInput::from_environment(environment);
    let sampler = Sampler::new(planned.ok().map(|input| input.memory.budget));
    let watcher = Arc::clone(&watch);
    // Never waited for: a server that hangs may have it.
    thread::spawn(move || watcher.run(sampler, tell));
    service.run(&stop, &news).map_err(answer)
}

fn say(mut out: impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
