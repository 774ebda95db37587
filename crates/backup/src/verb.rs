//! What backup is asked for: its arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use hook::Usage;

/// What `--help` shows of the arguments.
pub const FORMS: &str =
    "take DIR | check [--move] DIR | place [--move] DIR | release | dump | load | ";

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
    Place(Copy),
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

impl Verb {
    /// Reads the arguments, of which our own name is none.
    pub fn parse(arguments: &[OsString]) -> Result<Self, Usage> {
        let words: Vec<&str> = arguments
            .iter()
            .map(|word| word.to_str().unwrap_or(""))
            .collect();
        let copy = |directory: &OsString, consume| {
            let directory = PathBuf::from(directory);
            if directory.is_absolute() {
                Ok(Copy { directory, consume })
            } else {
                Err(Usage {
                    problem: format!("'{}' is not an absolute path", directory.display()),
                    next: "name the copy's directory by its whole path".to_owned(),
                })
            }
        };
        match (&words[..], arguments) {
            (["take", _], [_, directory]) => Ok(Self::Take {
                directory: copy(directory, false)?.directory,
            }),
            (["check", _], [_, directory]) => Ok(Self::Check(copy(directory, false)?)),
            (["check", "--move", _], [_, _, directory]) => Ok(Self::Check(copy(directory, true)?)),
            (["place", _], [_, directory]) => Ok(Self::Place(copy(directory, false)?)),
            (["place", "--move", _], [_, _, directory]) => Ok(Self::Place(copy(directory, true)?)),
            (["release"], _) => Ok(Self::Release),
            (["dump"], _) => Ok(Self::Dump),
            (["load"], _) => Ok(Self::Load),
            ([], _) => Err(Usage {
                problem: "nothing to do".to_owned(),
                next: NEXT.to_owned(),
            }),
            _ => {
                let given: Vec<_> = arguments
                    .iter()
                    .map(|word| word.to_string_lossy())
                    .collect();
                Err(Usage {
                    problem: format!("cannot understand '{}'", given.join(" ")),
                    next: NEXT.to_owned(),
                })
            }
        }
    }
}

const NEXT: &str = "say take DIR, check DIR, place DIR, dump or load";

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
        for (text, verb) in [
            (
                "take /d",
                Verb::Take {
                    directory: "/d".into(),
                },
            ),
            ("check /d", Verb::Check(copy(false))),
            ("check --move /d", Verb::Check(copy(true))),
            ("place /d", Verb::Place(copy(false))),
            ("place --move /d", Verb::Place(copy(true))),
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
                "nothing to do; say take DIR, check DIR, place DIR, dump or load",
            ),
            (
                "dump x",
                "cannot understand 'dump x'; say take DIR, check DIR, place DIR, dump or load",
            ),
            (
                "take d",
                "'d' is not an absolute path; name the copy's directory by its whole path",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), said);
        }
    }
}
