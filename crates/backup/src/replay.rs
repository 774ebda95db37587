//! Replaying binary logs on a copy that was placed, up to a moment: by the release's own mysqlbinlog or
//! mariadb-binlog and its client, on a server that nobody else reaches. Nothing of it is logged again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hook::{CommandError, Report};
use mycnf::{PrivateServer, TemporaryServerError, bare_command};
use thiserror::Error;

use crate::binlog::{BinaryLog, BinaryLogError};
use crate::chain::{Chain, ChainError, chain};
use crate::dump::{self, DumpError};
use crate::logs::{LOGS, REPLAYERS};
use crate::manifest::{Manifest, ManifestError, Method, Position};
use crate::moment::{self, Gtid, Moment};
use crate::service::Service;
use crate::tree::{self, TreeError};
use crate::verb::Until;

/// Where the clone plugin leaves what a server finds out when it first starts on a clone, in the data
/// directory: two times, the log's path, the position and the transactions, each on a line.
const CLONED: &str = "#clone/#status_recovery";

/// Nothing of the user's runs, nothing is logged, and nothing is too large.
const REPLAYING: [&str; 7] = [
    "--init-file=/dev/null",
    "--loose-skip-slave-start",
    "--loose-event-scheduler=OFF",
    "--max-allowed-packet=1G",
    "--loose-super-read-only=OFF",
    "--read-only=OFF",
    "--loose-offline-mode=OFF",
];

/// What is to be replayed, read and found whole before anything is placed.
pub(crate) struct Replay {
    moment: Moment,
    position: Position,
    method: Method,
    files: Vec<(String, PathBuf)>,
}

impl Replay {
    /// Reads the copies of logs in the directories of `until`, which are named so that they sort.
    pub(crate) fn prepare(
        service: &Service,
        manifest: &Manifest,
        until: &Until,
        report: &mut Report,
    ) -> Result<Self, ReplayError> {
        program(service)?;
        let failed = || tree::failed("read", &until.logs);
        let mut directories = Vec::new();
        for entry in fs::read_dir(&until.logs).map_err(failed())? {
            directories.push(entry.map_err(failed())?.path());
        }
        directories.sort();
        let mut copies = Vec::new();
        for directory in &directories {
            let copy = Manifest::read(directory)?;
            copy.verify(directory)?;
            copies.push(copy);
        }
        let position = manifest.position.clone().ok_or(ChainError::NoPosition)?;
        let Chain { logs, notes } = chain(&copies, &position, &until.moment, until.allow_gap)?;
        for note in notes {
            report.warning(note);
        }
        let file = |(index, log): (usize, crate::manifest::LogEntry)| {
            let path = directories[index].join(LOGS).join(&log.name);
            (log.name, path)
        };
        Ok(Self {
            moment: until.moment.clone(),
            position,
            method: manifest.method,
            files: logs.into_iter().map(file).collect(),
        })
    }

    /// Starts a server on `data_dir`, a copy's files, and replays on that.
    pub(crate) fn on_files(
        &self,
        service: &Service,
        data_dir: &Path,
        report: &mut Report,
    ) -> Result<(), ReplayError> {
        let mut arguments: Vec<_> = REPLAYING.iter().map(Into::into).collect();
        // A server that was killed needs its log to know what it had committed.
        if self.method != Method::Cold {
            arguments.push("--skip-log-bin".into());
        }
        tree::make_directory(&service.layout.logs())?;
        let log = service.layout.initialise_log();
        let mut running =
            PrivateServer::start(&service.server, &service.layout, data_dir, log, &arguments)?;
        running.wait_for_greeting()?;
        let position = cloned(data_dir).unwrap_or_else(|| self.position.clone());
        self.on_server(service, &position, report)?;
        Ok(running.stop()?)
    }

    /// Replays on the server that listens on the private socket, and has a dump.
    pub(crate) fn on_dump(
        &self,
        service: &Service,
        report: &mut Report,
    ) -> Result<(), ReplayError> {
        self.on_server(service, &self.position, report)
    }

    fn on_server(
        &self,
        service: &Service,
        position: &Position,
        report: &mut Report,
    ) -> Result<(), ReplayError> {
        let range = self.range(position)?;
        if let Some(early) = range.set_back {
            report.warning(format!(
                "the clock was set back: changes of {} are later than the end of the replay, and are \
                 not replayed; name a transaction to get those",
                moment::shown(early)
            ));
        }
        if range.files.is_empty() {
            report.bullet("nothing to replay: the copy is what it was then");
            return Ok(());
        }
        run(service, &range)?;
        report.bullet(format!(
            "replayed {} transactions of {} binary logs{}",
            range.transactions,
            range.files.len(),
            range.last.map_or(String::new(), |last| format!(
                ", the last one of {}",
                moment::shown(last)
            ))
        ));
        Ok(())
    }

    /// Where to begin and where to end. Reads every log to there.
    fn range(&self, position: &Position) -> Result<Range, ReplayError> {
        let own = position.file.rsplit('/').next().unwrap_or_default();
        let mut range = Range {
            files: Vec::new(),
            start: 4,
            stop: None,
            transactions: 0,
            last: None,
            set_back: None,
        };
        // A clone may be further than was known when it was begun.
        let begin = self.files.iter().position(|(name, _)| name == own);
        let mut found = false;
        for (name, path) in self.files.iter().skip(begin.unwrap_or(0)) {
            let mut log = BinaryLog::open(path)?;
            if name == own && position.position > 0 {
                log.skip_to(position.position)?;
                range.start = position.position;
            }
            range.files.push(path.clone());
            while let Some(next) = log.next()? {
                if range.stop.is_some() {
                    if self.is_before(next.time) {
                        range.set_back.get_or_insert(next.time);
                    }
                    continue;
                }
                if found || self.ends_at(next.time) {
                    range.stop = Some(next.position);
                    if range.transactions == 0 && range.files.len() == 1 {
                        range.files.clear();
                    }
                    continue;
                }
                range.transactions += 1;
                range.last = range.last.max(Some(next.time));
                found = matches!(&self.moment, Moment::Transaction(gtid) if next.gtid.as_ref() == Some(gtid));
            }
            if range.stop.is_some() || found {
                break;
            }
        }
        match &self.moment {
            Moment::Transaction(gtid) if !found => Err(ReplayError::InCopy { gtid: gtid.clone() }),
            _ => Ok(range),
        }
    }

    fn ends_at(&self, time: u64) -> bool {
        matches!(self.moment, Moment::Time(until) if time >= until)
    }

    fn is_before(&self, time: u64) -> bool {
        matches!(self.moment, Moment::Time(until) if time < until)
    }
}

struct Range {
    files: Vec<PathBuf>,
    start: u64,
    stop: Option<u64>,
    transactions: u64,
    last: Option<u64>,
    /// A later transaction with an earlier time.
    set_back: Option<u64>,
}

/// Has the release's own programs do it.
fn run(service: &Service, range: &Range) -> Result<(), ReplayError> {
    let mut command = bare_command(&service.layout, &program(service)?);
    command
        .env("HOME", service.layout.run_dir())
        .args([
            "--no-defaults",
            "--verify-binlog-checksum",
            "--disable-log-bin",
        ])
        .arg(format!("--start-position={}", range.start));
    if let Some(stop) = range.stop {
        command.arg(format!("--stop-position={stop}"));
    }
    command.args(&range.files);
    let (reader, writer) = io::pipe().map_err(|source| ReplayError::Pipe { source })?;
    let (read, loaded) = std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let done = hook::run_into(&mut command, writer);
            // The client waits until nobody can write any more.
            drop(command);
            done
        });
        let loaded = dump::load(service, &service.layout.private_socket(), reader);
        (read.join(), loaded)
    });
    // What the client says of a statement is the cause of whatever the other one says then.
    loaded.map_err(|source| ReplayError::Load { source })?;
    match read {
        Ok(done) => done
            .map(drop)
            .map_err(|source| ReplayError::Read { source }),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn program(service: &Service) -> Result<PathBuf, ReplayError> {
    service
        .program(&REPLAYERS)
        .ok_or_else(|| ReplayError::NoReplayer {
            path: service.server.basedir.clone(),
        })
}

/// What the server that runs on a clone found out.
fn cloned(data_dir: &Path) -> Option<Position> {
    let text = fs::read_to_string(data_dir.join(CLONED)).ok()?;
    let mut lines = text.lines().skip(2);
    let file = lines.next().filter(|file| !file.is_empty())?;
    Some(Position {
        file: file.to_owned(),
        position: lines.next()?.parse().ok()?,
        gtid: String::new(),
        lineage: String::new(),
    })
}

/// The logs were not replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The release cannot.
    #[error("no bin/mysqlbinlog or bin/mariadb-binlog in {path}", path = path.display())]
    NoReplayer {
        /// The release.
        path: PathBuf,
    },
    /// The copy is later.
    #[error("the copy has the transaction {gtid} already, and what came after it")]
    InCopy {
        /// The transaction.
        gtid: Gtid,
    },
    /// The logs do not follow on the copy.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A log is damaged.
    #[error(transparent)]
    Log(#[from] BinaryLogError),
    /// A copy of logs is not what was made.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// No server starts on the copy.
    #[error(transparent)]
    Server(#[from] TemporaryServerError),
    /// Between two programs.
    #[error("cannot connect the programs of a replay")]
    Pipe {
        /// Why.
        source: io::Error,
    },
    /// A log cannot be read by its own program.
    #[error("the binary logs could not be read")]
    Read {
        /// How it ended.
        source: CommandError,
    },
    /// A change was refused.
    #[error("the changes could not be replayed")]
    Load {
        /// What the client said.
        source: DumpError,
    },
}

impl ReplayError {
    /// What programs said.
    pub(crate) fn evidence(&self) -> String {
        match self {
            Self::Server(error) => error.evidence(),
            Self::Read { source } => source.last_words().to_owned(),
            Self::Load { source } => source.evidence().to_owned(),
            _ => String::new(),
        }
    }
}
