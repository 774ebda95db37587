//! One candidate: ask, and ask again for the rest as often as it helps, until the file is there,
//! checked, and has its name.

use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use indicatif::DecimalBytes;

use super::checksum::{Checksum, Hasher};
use super::curl::{Answer, Body, Curl, CurlFailure, NoAnswer};
use super::error::FetchError;
use super::part::Part;
use super::tarball::{ENOUGH, first_bytes, other_than_a_tarball};
use super::vendor::Candidate;
use crate::progress::bar;

/// How often in a row to ask without getting any further.
const ATTEMPTS: u32 = 5;

/// What all downloads of a run have in common.
pub(crate) struct Downloader<'a> {
    pub(crate) curl: Curl,
    pub(crate) expected: Option<&'a Checksum>,
    /// Before the second attempt; doubled before each further one.
    pub(crate) delay: Duration,
    pub(crate) notes: &'a mut dyn Write,
}

/// How it went.
pub(crate) enum Outcome {
    /// It is in place.
    Fetched {
        sha256: String,
        bytes: u64,
        /// How many of them an earlier run had fetched.
        resumed_at: u64,
    },
    /// A file of its name and length was there before.
    There(u64),
    /// No such file at this place.
    Absent(Absence),
}

/// What a place has instead of the tarball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Nothing.
    Status(u16),
    /// Some other file under its name: a portal's page, an error that calls itself success.
    Other(&'static str),
}

/// Where an attempt got.
enum Step {
    /// All bytes are here.
    Complete(Hasher),
    /// There is nothing to fetch.
    Done(Outcome),
}

/// What ended an attempt early.
enum Stop {
    Asked(NoAnswer),
    Failed(FetchError),
}

impl<E: Into<FetchError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Downloader<'_> {
    /// Fetches `candidate` to `target`. `existing` is the length of what has that name already.
    pub(crate) fn run(
        &mut self,
        candidate: &Candidate,
        target: &Path,
        existing: Option<u64>,
    ) -> Result<Outcome, FetchError> {
        let url = candidate.shown();
        let mut part = Part::open(target, &url)?;
        let resumed_at = part.position();
        let (mut furthest, mut failures) = (resumed_at, 0);
        let hasher = loop {
            let failure = match self.attempt(candidate, target, existing, &mut part) {
                Ok(Step::Complete(hasher)) => break hasher,
                Ok(Step::Done(outcome)) => return Ok(outcome),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Asked(failure)) => failure,
            };
            // Whoever gets further may go on for ever: the file has an end.
            failures = if part.position() > furthest {
                1
            } else {
                failures + 1
            };
            furthest = furthest.max(part.position());
            if failures == ATTEMPTS || !failure.is_temporary() {
                let kept = part.forget_unless_resumable()?;
                return Err(FetchError::NoAnswer {
                    url,
                    kept,
                    source: failure,
                });
            }
            self.pause(&url, &failure, failures);
        };
        if let Some(what) = part.other_than_a_tarball()? {
            part.forget()?;
            return Ok(Outcome::Absent(Absence::Other(what)));
        }
        let bytes = part.position();
        match hasher.finish(self.expected) {
            Ok(sha256) => {
                part.place()?;
                Ok(Outcome::Fetched {
                    sha256,
                    bytes,
                    resumed_at,
                })
            }
            Err((expected, found)) => {
                part.forget()?;
                Err(FetchError::Checksum {
                    url,
                    expected,
                    found,
                })
            }
        }
    }

    /// Whether `candidate` is there, for all that its first bytes tell. Takes nothing.
    pub(crate) fn is_there(&mut self, candidate: &Candidate) -> Result<bool, FetchError> {
        let url = candidate.shown();
        let mut failures = 0;
        loop {
            let asked = self
                .curl
                .get(candidate, None)
                .and_then(|answer| match answer {
                    Answer::Whole(origin, mut body) => {
                        let start = start_of(&mut body, origin.length)?;
                        Ok(other_than_a_tarball(&start).is_none())
                    }
                    Answer::Rest(_) | Answer::Absent(_) => Ok(false),
                });
            failures += 1;
            match asked {
                Ok(there) => return Ok(there),
                Err(failure) if failures < ATTEMPTS && failure.is_temporary() => {
                    self.pause(&url, &failure, failures);
                }
                Err(source) => {
                    return Err(FetchError::NoAnswer {
                        url,
                        kept: false,
                        source,
                    });
                }
            }
        }
    }

    /// Waits: as long as the server wants, or longer each time.
    fn pause(&mut self, url: &str, failure: &NoAnswer, failures: u32) {
        let delay = self.delay * 2_u32.pow(failures - 1);
        let delay = failure.wait().map_or(delay, |wait| wait.max(delay));
        let _ = writeln!(self.notes, "- {url}: {failure}; asking again in {delay:?}");
        thread::sleep(delay);
    }

    /// Asks once, and takes what comes.
    fn attempt(
        &mut self,
        candidate: &Candidate,
        target: &Path,
        existing: Option<u64>,
        part: &mut Part,
    ) -> Result<Step, Stop> {
        let url = candidate.shown();
        let mut hasher = Hasher::new(self.expected);
        // Killed between the last byte and the new name: nothing is missing.
        if part.position() > 0 && part.length() == Some(part.position()) {
            part.replay(|bytes| hasher.update(bytes))?;
            return Ok(Step::Complete(hasher));
        }
        let (start, body) = match self.curl.get(candidate, Some(part)) {
            Ok(Answer::Absent(status)) => {
                return Ok(Step::Done(Outcome::Absent(Absence::Status(status))));
            }
            Ok(Answer::Whole(origin, mut body)) => {
                let start = start_of(&mut body, origin.length).map_err(Stop::Asked)?;
                if let Some(what) = other_than_a_tarball(&start) {
                    return Ok(Step::Done(Outcome::Absent(Absence::Other(what))));
                }
                if let Some(here) = existing {
                    return Ok(Step::Done(compare(target, here, &url, origin.length)?));
                }
                if origin.length.is_none() && self.expected.is_none() {
                    return Err(FetchError::NoLength { url }.into());
                }
                if part.position() > 0 {
                    let _ = writeln!(self.notes, "- {url}: sent from its start again");
                }
                part.begin(origin)?;
                (start, body)
            }
            Ok(Answer::Rest(body)) => {
                let here = DecimalBytes(part.position());
                let _ = writeln!(self.notes, "- {url}: {here} are here already");
                (Vec::new(), body)
            }
            Err(failure) => {
                if failure.is_about_another_file() {
                    part.forget()?;
                }
                return Err(Stop::Asked(failure));
            }
        };
        part.replay(|bytes| hasher.update(bytes))?;
        transfer(&start, body, part, &mut hasher)?;
        Ok(Step::Complete(hasher))
    }
}

/// The first bytes; an error if there should have been more.
fn start_of(body: &mut Body, length: Option<u64>) -> Result<Vec<u8>, NoAnswer> {
    let start = first_bytes(body).map_err(|error| NoAnswer::BrokeOff {
        source: CurlFailure::pipe(&error),
    })?;
    let all = start.len() == ENOUGH || length.is_none_or(|length| length <= start.len() as u64);
    if all {
        return Ok(start);
    }
    let source = body.failure();
    Err(NoAnswer::BrokeOff { source })
}

/// The name is taken: by the file itself, as far as its length tells, or by another one.
fn compare(target: &Path, here: u64, url: &str, there: Option<u64>) -> Result<Outcome, FetchError> {
    match there {
        Some(there) if there == here => Ok(Outcome::There(here)),
        _ => Err(FetchError::OtherLength {
            path: target.into(),
            here,
            url: url.into(),
            there,
        }),
    }
}

/// Takes the bytes until the last one; `start` came first.
fn transfer(
    start: &[u8],
    mut body: Body,
    part: &mut Part,
    hasher: &mut Hasher,
) -> Result<(), Stop> {
    let bar = bar(part.length()).with_position(part.position());
    let mut buffer = vec![0; 128 << 10];
    let mut take = |bytes: &[u8]| {
        hasher.update(bytes);
        bar.inc(bytes.len() as u64);
        part.append(bytes)
    };
    take(start)?;
    let ended = loop {
        match body.read(&mut buffer) {
            Ok(0) => break body.end(),
            Ok(read) => take(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(CurlFailure::pipe(&error)),
        }
    };
    bar.finish_and_clear();
    part.checkpoint()?;
    match (ended, part.length()) {
        (Err(source), _) => Err(Stop::Asked(NoAnswer::BrokeOff { source })),
        (Ok(()), Some(length)) if part.position() < length => {
            let source = body.failure();
            Err(Stop::Asked(NoAnswer::BrokeOff { source }))
        }
        (Ok(()), Some(length)) if part.position() > length => {
            part.forget()?;
            Err(Stop::Asked(NoAnswer::OtherPart))
        }
        (Ok(()), _) => Ok(()),
    }
}
