//! One candidate: ask, and ask again for the rest as often as it helps, until the file is there,
//! checked, and has its name.

use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use indicatif::DecimalBytes;
use ureq::http::StatusCode;

use super::checksum::{Checksum, Hasher};
use super::error::FetchError;
use super::http::{Answer, Client, NoAnswer};
use super::part::Part;
use super::vendor::Candidate;
use crate::progress::bar;

/// How often in a row to ask without getting any further.
const ATTEMPTS: u32 = 5;

/// What all downloads of a run have in common.
pub(crate) struct Downloader<'a> {
    pub(crate) client: Client,
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
    Absent(StatusCode),
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
                part.forget_unless_resumable()?;
                return Err(FetchError::NoAnswer {
                    url,
                    source: failure,
                });
            }
            let delay = self.delay * 2_u32.pow(failures - 1);
            let _ = writeln!(self.notes, "- {url}: {failure}; asking again in {delay:?}");
            thread::sleep(delay);
        };
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

    /// Asks once, and takes what comes.
    fn attempt(
        &mut self,
        candidate: &Candidate,
        target: &Path,
        existing: Option<u64>,
        part: &mut Part,
    ) -> Result<Step, Stop> {
        let url = candidate.shown();
        // Killed between the last byte and the new name: nothing is missing.
        let answer = if part.position() > 0 && part.length() == Some(part.position()) {
            Ok(Answer::Rest(Box::new(io::empty())))
        } else {
            self.client.get(candidate, part)
        };
        let body = match answer {
            Ok(Answer::Absent(status)) => return Ok(Step::Done(Outcome::Absent(status))),
            Ok(Answer::Whole(origin, body)) => {
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
                body
            }
            Ok(Answer::Rest(body)) => {
                let here = DecimalBytes(part.position());
                let _ = writeln!(self.notes, "- {url}: {here} are here already");
                body
            }
            Err(failure) => {
                if failure.is_about_another_file() {
                    part.forget()?;
                }
                return Err(Stop::Asked(failure));
            }
        };
        let mut hasher = Hasher::new(self.expected);
        part.replay(|bytes| hasher.update(bytes))?;
        transfer(&url, body, part, &mut hasher)?;
        Ok(Step::Complete(hasher))
    }
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

/// Takes the bytes until the last one.
fn transfer(
    url: &str,
    mut body: impl Read,
    part: &mut Part,
    hasher: &mut Hasher,
) -> Result<(), Stop> {
    let bar = bar(part.length()).with_position(part.position());
    let mut buffer = vec![0; 128 << 10];
    let ended = loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => break Some(source),
        };
        if part.position() == 0 && read.trim_ascii_start().first() == Some(&b'<') {
            part.forget()?;
            return Err(FetchError::WebPage { url: url.into() }.into());
        }
        part.append(read)?;
        hasher.update(read);
        bar.inc(read.len() as u64);
    };
    bar.finish_and_clear();
    part.checkpoint()?;
    match (ended, part.length()) {
        (Some(source), _) => Err(Stop::Asked(NoAnswer::BrokeOff { source })),
        (None, Some(length)) if part.position() < length => {
            let source = io::ErrorKind::UnexpectedEof.into();
            Err(Stop::Asked(NoAnswer::BrokeOff { source }))
        }
        (None, Some(length)) if part.position() > length => {
            part.forget()?;
            Err(Stop::Asked(NoAnswer::OtherPart))
        }
        (None, _) => Ok(()),
    }
}
