//! What backup is asked for: its arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use hook::Usage;

use crate::moment::Moment;

/// What `--help` shows of the arguments.
pub const FORMS: &str = "take DIR | check [--move] DIR | \
                         place [--move] [--until MOMENT --logs DIR [--allow-gap]] DIR | logs DIR | \
                         plan DIR | release | dump | load | ";

/// One task.
#[derive(Debug, PartialEq, Eq)]
pub enum Verb {
    /// A copy of the database, in a directory that is empty or not there.
    Take {
        /// The directory.
        directory: PathBuf,
    },
    /// Tries out a copy, in a home directory that has no database.
    Check(Copy),
    /// Makes a copy the database of this home directory, which has none.
    Place {
        /// The copy.
        copy: Copy,
        /// What is replayed on it.
        until: Option<Until>,
    },
    /// A copy of the binary logs that are closed.
    Logs {
        /// The directory.
        directory: PathBuf,
    },
    /// Which copy, and which copies of logs, a moment takes.
    Plan {
        /// The directory with the question.
        directory: PathBuf,
    },
    /// The release, on a line of standard output: another one may change the data for good.
    Release,
    /// SQL to standard output.
    Dump,
    /// SQL from standard input.
    Load,
}

/// A copy that is to become a database.
#[derive(Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where `take` made it.
    pub directory: PathBuf,
    /// The copy may be used up: its files are moved where they can be.
    pub consume: bool,
}

/// Binary logs that are to be replayed on a copy.
#[derive(Debug, PartialEq, Eq)]
pub struct Until {
    /// Until when.
    pub moment: Moment,
    /// The directory with the copies that `logs` made.
    pub logs: PathBuf,
    /// Also if logs are missing in between.
    pub allow_gap: bool,
}

impl Verb {
    /// Reads the arguments, of which our own name is none.
    pub fn parse(arguments: &[OsString]) -> Result<Self, Usage> {
        let words: Vec<&str> = arguments
            .iter()
            .map(|word| word.to_str().unwrap_or(""))
            .collect();
        let copy = |directory: &OsString, consume| {
            let directory = absolute(directory)?;
            Ok(Copy { directory, consume })
        };
        match (&words[..], arguments) {
            (["take", _], [_, directory]) => Ok(Self::Take {
                directory: absolute(directory)?,
            }),
            (["logs", _], [_, directory]) => Ok(Self::Logs {
                directory: absolute(directory)?,
            }),
            (["plan", _], [_, directory]) => Ok(Self::Plan {
                directory: absolute(directory)?,
            }),
            (["check", _], [_, directory]) => Ok(Self::Check(copy(directory, false)?)),
            (["check", "--move", _], [_, _, directory]) => Ok(Self::Check(copy(directory, true)?)),
            (["place", options @ .., _], [_, given @ .., directory]) => {
                let (consume, until) =
                    place_options(options, given).ok_or_else(|| not_understood(arguments))??;
                let copy = copy(directory, consume)?;
                Ok(Self::Place { copy, until })
            }
            (["release"], _) => Ok(Self::Release),
            (["dump"], _) => Ok(Self::Dump),
            (["load"], _) => Ok(Self::Load),
            ([], _) => Err(Usage {
                problem: "nothing to do".to_owned(),
                next: NEXT.to_owned(),
            }),
            _ => Err(not_understood(arguments)),
        }
    }
}

fn not_understood(arguments: &[OsString]) -> Usage {
    let given: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    Usage {
        problem: format!("cannot understand '{}'", given.join(" ")),
        next: NEXT.to_owned(),
    }
}

fn absolute(directory: &OsString) -> Result<PathBuf, Usage> {
    let directory = PathBuf::from(directory);
    if directory.is_absolute() {
        return Ok(directory);
    }
    Err(Usage {
        problem: format!("'{}' is not an absolute path", directory.display()),
        next: "name the copy's directory by its whole path".to_owned(),
    })
}

type PlaceOptions = (bool, Option<Until>);

/// `None` if they cannot be understood.
fn place_options(words: &[&str], given: &[OsString]) -> Option<Result<PlaceOptions, Usage>> {
    let (consume, words, given) = match words {
        ["--move", rest @ ..] => (true, rest, &given[1..]),
        _ => (false, words, given),
    };
    let allow_gap = match words {
        [] => return Some(Ok((consume, None))),
        ["--until", _, "--logs", _] => false,
        ["--until", _, "--logs", _, "--allow-gap"] => true,
        _ => return None,
    };
    let until = Moment::parse(words[1])
        .map_err(|error| Usage {
            problem: error.to_string(),
            next: "say @SECONDS since 1970, UUID:NUMBER or DOMAIN-SERVER-NUMBER".to_owned(),
        })
        .and_then(|moment| {
            Ok(Until {
                moment,
                logs: absolute(&given[3])?,
                allow_gap,
            })
        });
    Some(until.map(|until| (consume, Some(until))))
}

const NEXT: &str = "say take DIR, check DIR, place DIR, logs DIR, plan DIR, dump or load";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Verb, String> {
        let words: Vec<OsString> = text.split_whitespace().map(Into::into).collect();
        Verb::parse(&words).map_err(|usage| format!("{}; {}", usage.problem, usage.next))
    }

    #[test]
    fn parse_every_form() {
        let copy = |consume| Copy {
            directory: "/d".into(),
            consume,
        };
        let until = |allow_gap| Until {
            moment: Moment::Time(1_500_000),
            logs: "/l".into(),
            allow_gap,
        };
        let place = |consume, until| Verb::Place {
            copy: copy(consume),
            until,
        };
        for (text, verb) in [
            (
                "take /d",
                Verb::Take {
                    directory: "/d".into(),
                },
            ),
            ("check /d", Verb::Check(copy(false))),
            ("check --move /d", Verb::Check(copy(true))),
            ("place /d", place(false, None)),
            ("place --move /d", place(true, None)),
            (
                "place --until @1.5 --logs /l /d",
                place(false, Some(until(false))),
            ),
            (
                "place --move --until @1.5 --logs /l --allow-gap /d",
                place(true, Some(until(true))),
            ),
            (
                "logs /d",
                Verb::Logs {
                    directory: "/d".into(),
                },
            ),
            (
                "plan /d",
                Verb::Plan {
                    directory: "/d".into(),
                },
            ),
            ("release", Verb::Release),
            ("dump", Verb::Dump),
            ("load", Verb::Load),
        ] {
            assert_eq!(parse(text), Ok(verb), "{text}");
        }
    }

    #[test]
    fn parse_anything_else_is_refused_with_exact_text() {
        for (text, said) in [
            (
                "",
                "nothing to do; say take DIR, check DIR, place DIR, logs DIR, plan DIR, dump or load",
            ),
            (
                "dump x",
                "cannot understand 'dump x'; say take DIR, check DIR, place DIR, logs DIR, plan DIR, dump \
                 or load",
            ),
            (
                "take d",
                "'d' is not an absolute path; name the copy's directory by its whole path",
            ),
            (
                "place --until yesterday --logs /l /d",
                "'yesterday' is neither a time nor the name of a transaction; say @SECONDS since 1970, \
                 UUID:NUMBER or DOMAIN-SERVER-NUMBER",
            ),
            (
                "place --until @1 /d",
                "cannot understand 'place --until @1 /d'; say take DIR, check DIR, place DIR, logs DIR, \
                 plan DIR, dump or load",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), said);
        }
    }
}
