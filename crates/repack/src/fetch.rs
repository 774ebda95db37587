//! `repack fetch`: a vendor's tarball, by version or URL, onto this machine, under its own name only
//! once it is complete and checked.

mod checksum;
mod cli;
mod curl;
mod download;
mod error;
mod glibc;
mod part;
mod release;
mod series;
mod tarball;
mod url;
mod vendor;
mod wanted;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::DecimalBytes;
use serde::{Serialize, Serializer};

use self::checksum::Hasher;
use self::curl::Curl;
use self::download::{Absence, Downloader, Outcome};
use self::url::Url;
use self::vendor::{Machine, Release};
use crate::output::OutputError;

use self::checksum::Checksum;
pub(crate) use self::cli::{Fetch, run};
use self::error::FetchError;
use self::glibc::Glibc;
pub use self::release::{NotFetched, Sources, fetch_release};
use self::vendor::Candidate;
use self::wanted::Wanted;

/// What to do.
#[derive(Debug)]
struct Job {
    wanted: Wanted,
    /// What to call it, instead of what the URL or the vendor does.
    name: Option<String>,
    directory: PathBuf,
    expected: Option<Checksum>,
    /// Instead of the vendors' sites.
    mirror: Option<String>,
    /// Instead of this machine's.
    glibc: Option<Glibc>,
    /// For servers without TLS.
    http_proxy: Option<OsString>,
    /// Before asking a second time.
    delay: Duration,
}

/// Does the job; `notes` hears of what did not work at once.
fn fetch(job: &Job, notes: &mut dyn Write) -> Result<Fetched, FetchError> {
    let start = Instant::now();
    let (what, candidates) = match &job.wanted {
        Wanted::Url(url) => (url.shown(), of_url(job, url)?),
        Wanted::Release(release) => of_release(job, release)?,
        Wanted::Series(series) => {
            let release = series.newest(&mut downloader(job, notes)?, |release| {
                Ok(of_release(job, release)?.1)
            })?;
            let _ = writeln!(notes, "- the newest of {series} is {release}");
            of_release(job, &release)?
        }
    };
    let fetched = match keep(job, &candidates)? {
        Some(kept) => kept,
        None => download(job, what, candidates, notes)?,
    };
    Ok(Fetched {
        seconds: start.elapsed().as_secs_f64(),
        ..fetched
    })
}

fn of_url(job: &Job, url: &Url) -> Result<Vec<Candidate>, FetchError> {
    let name = job.name.clone().or_else(|| url.file_name());
    let name = name.ok_or_else(|| FetchError::NoFileName { url: url.shown() })?;
    let url = url.clone();
    Ok(vec![Candidate { url, name }])
}

/// What is looked for, and where it may be.
fn of_release(job: &Job, release: &Release) -> Result<(String, Vec<Candidate>), FetchError> {
    let machine = machine(job)?;
    let mut candidates = release.candidates(machine, job.mirror.as_deref());
    if let Some(name) = &job.name {
        for candidate in &mut candidates {
            candidate.name.clone_from(name);
        }
    }
    if candidates.is_empty() {
        return Err(FetchError::NoBuild {
            release: release.to_string(),
            machine: machine.to_string(),
        });
    }
    Ok((format!("{release} for {machine}"), candidates))
}

fn downloader<'a>(job: &'a Job, notes: &'a mut dyn Write) -> Result<Downloader<'a>, FetchError> {
    Ok(Downloader {
        curl: Curl::find(job.http_proxy.clone())?,
        expected: job.expected.as_ref(),
        delay: job.delay,
        notes,
    })
}

fn machine(job: &Job) -> Result<Machine, FetchError> {
    let glibc = job.glibc.or_else(|| Glibc::below(Path::new("/")));
    Ok(Machine {
        processor: std::env::consts::ARCH,
        glibc: glibc.ok_or(FetchError::UnknownGlibc)?,
    })
}

/// The file that is here already: whoever knows its checksum need not ask anybody.
fn keep(job: &Job, candidates: &[Candidate]) -> Result<Option<Fetched>, FetchError> {
    let Some(expected) = &job.expected else {
        return Ok(None);
    };
    for candidate in candidates {
        let target = job.directory.join(&candidate.name);
        if let Some(bytes) = existing(&target)? {
            let sha256 = check(&target, Some(expected))?;
            return Ok(Some(kept(job, target, bytes, sha256)));
        }
    }
    Ok(None)
}

fn download(
    job: &Job,
    what: String,
    mut candidates: Vec<Candidate>,
    notes: &mut dyn Write,
) -> Result<Fetched, FetchError> {
    let mut downloader = downloader(job, notes)?;
    // The place that an earlier run was fetching from knows it: no need to ask the others.
    candidates.sort_by_key(|candidate| {
        let left = part::left_from(&job.directory.join(&candidate.name));
        left != Some(candidate.shown())
    });
    let mut tried = Vec::new();
    for candidate in &candidates {
        let target = job.directory.join(&candidate.name);
        let here = existing(&target)?;
        match downloader.run(candidate, &target, here)? {
            Outcome::Absent(absence) => tried.push((candidate.shown(), absence)),
            Outcome::There(bytes) => {
                let sha256 = check(&target, None)?;
                return Ok(kept(job, target, bytes, sha256));
            }
            Outcome::Fetched {
                sha256,
                bytes,
                resumed_at,
            } => {
                return Ok(Fetched {
                    url: Some(candidate.shown()),
                    resumed_at,
                    ..kept(job, target, bytes, sha256)
                });
            }
        }
    }
    match (&job.wanted, tried.as_slice()) {
        (Wanted::Url(_), [(url, Absence::Status(status))]) => Err(FetchError::NoFile {
            url: url.clone(),
            status: *status,
        }),
        (Wanted::Url(_), [(url, Absence::Other(what))]) => Err(FetchError::NotATarball {
            url: url.clone(),
            what,
        }),
        _ => Err(FetchError::NotThere { what, tried }),
    }
}

/// The length of what has the name already.
fn existing(target: &Path) -> Result<Option<u64>, FetchError> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(OutputError::NotAFile {
            path: target.into(),
        }
        .into()),
        // Whatever else is wrong will show when it is created.
        Err(_) => Ok(None),
    }
}

/// The SHA-256 of a file, which must have the `expected` checksum.
fn check(path: &Path, expected: Option<&Checksum>) -> Result<String, FetchError> {
    let mut hasher = Hasher::new(expected);
    let mut read = || {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return io::Result::Ok(()),
                read => hasher.update(&buffer[..read]),
            }
        }
    };
    read().map_err(|source| FetchError::Read {
        path: path.into(),
        source,
    })?;
    hasher
        .finish(expected)
        .map_err(|(expected, found)| FetchError::OtherChecksum {
            path: path.into(),
            expected,
            found,
        })
}

fn kept(job: &Job, file: PathBuf, bytes: u64, sha256: String) -> Fetched {
    Fetched {
        file,
        bytes,
        sha256,
        verified: job.expected.as_ref().map(Checksum::algorithm),
        url: None,
        resumed_at: 0,
        seconds: 0.0,
    }
}

/// The tarball, here. The names are part of the interface: docs/repack.md lists them.
#[derive(Debug, Serialize)]
struct Fetched {
    #[serde(serialize_with = "lossy")]
    file: PathBuf,
    bytes: u64,
    sha256: String,
    /// The checksum that it was compared with.
    verified: Option<&'static str>,
    /// Where it came from; `None` if it was here already.
    url: Option<String>,
    /// How many bytes an earlier run had fetched.
    resumed_at: u64,
    seconds: f64,
}

impl Fetched {
    /// What became of it, for people.
    fn table(&self) -> String {
        let size = DecimalBytes(self.bytes);
        let mut text = self
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let _ = match &self.url {
            None => writeln!(text, " {size}, here already"),
            Some(url) => writeln!(text, " {size} in {:.1} s, from {url}", self.seconds),
        };
        let _ = match self.verified {
            Some(algorithm) => writeln!(
                text,
                "SHA-256 {}; its {algorithm} is the one asked for",
                self.sha256
            ),
            None => writeln!(
                text,
                "SHA-256 {}; compared with none, for none was given",
                self.sha256
            ),
        };
        text
    }

    fn json(&self) -> String {
        // Strings and numbers only: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
