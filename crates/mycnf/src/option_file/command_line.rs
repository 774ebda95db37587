//! Options of the server's command line, as if they stood at the end of the option file: so that they are
//! planned for, told and checked like every other.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use thiserror::Error;

use super::parse::MAX_LINE;
use super::{Line, Meaning, OptionFile, name, quote};

/// Stands for the file in the [`super::Place`] of such an option; its line is the argument's number.
pub const COMMAND_LINE: &str = "the command line";

/// Options that count on a command line only, or decide what is not the caller's to decide, each with what
/// to do instead.
const NOT_TAKEN: [(&str, &str); 10] = [
    (
        "port",
        "set the PORT_ variable of the service's port, such as PORT_MYSQL=3306",
    ),
    ("defaults-file", MY_CNF),
    ("defaults-extra-file", MY_CNF),
    ("defaults-group-suffix", MY_CNF),
    ("no-defaults", MY_CNF),
    ("print-defaults", MY_CNF),
    ("initialize", MADE),
    ("initialize-insecure", MADE),
    ("bootstrap", MADE),
    (
        "daemonize",
        "leave it out: the server is to stay in the foreground",
    ),
];
const MY_CNF: &str = "put the options themselves into my.cnf, or on the command line";
const MADE: &str = "leave it out: a database is made where there is none";

/// Options given to a server's executable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    options: Vec<CommandLineOption>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CommandLineOption {
    name: String,
    value: Option<Vec<u8>>,
    /// From 1.
    argument: usize,
}

impl CommandLine {
    /// Reads `--name`, `--name=value` and `--name value`. The server's own name in front, as the official
    /// images take it, is passed over.
    pub fn parse(arguments: &[OsString]) -> Result<Self, CommandLineError> {
        let mut options: Vec<CommandLineOption> = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let bytes = argument.as_bytes();
            if index == 0 && (bytes == b"mysqld" || bytes == b"mariadbd") {
                continue;
            }
            if let Some(option) = option(bytes, index + 1)? {
                options.push(option);
                continue;
            }
            match options.last_mut() {
                // Directly behind an option that still has no value.
                Some(last) if last.value.is_none() && last.argument == index => {
                    last.value = Some(bytes.to_vec());
                }
                _ => {
                    return Err(CommandLineError::NoOption {
                        word: argument.clone(),
                    });
                }
            }
        }
        Ok(Self { options })
    }
}

/// `None` if `bytes` does not begin as an option does.
fn option(bytes: &[u8], argument: usize) -> Result<Option<CommandLineOption>, CommandLineError> {
    let Some(text) = bytes.strip_prefix(b"--") else {
        return Ok(None);
    };
    let end = text.iter().position(|byte| *byte == b'=');
    let name = &text[..end.unwrap_or(text.len())];
    let value = end.map(|end| text[end + 1..].to_vec());
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if name.is_empty() || !name.iter().all(legal) {
        let word = OsString::from_vec(bytes.to_vec());
        return Err(CommandLineError::NoOption { word });
    }
    let name = String::from_utf8_lossy(name).into_owned();
    for (option, instead) in NOT_TAKEN {
        if name::relate(name.as_bytes(), option).is_some() {
            return Err(CommandLineError::NotTaken {
                option: name,
                instead,
            });
        }
    }
    let length = name.len() + value.as_ref().map_or(0, |value| 2 * value.len());
    if length + " = \"\"\r\n".len() > MAX_LINE {
        return Err(CommandLineError::TooLong { option: name });
    }
    Ok(Some(CommandLineOption {
        name,
        value,
        argument,
    }))
}

impl OptionFile {
    /// Adds `options` for the server at the end of the file, where they overrule everything before them.
    pub fn add_command_line(&mut self, options: &CommandLine) {
        if options.options.is_empty() {
            return;
        }
        self.add_group("mysqld");
        for CommandLineOption {
            name,
            value,
            argument,
        } in &options.options
        {
            let value = value.as_deref().map(quote::encode);
            let text = match &value {
                Some(value) => [name.as_bytes(), b" = ", value].concat(),
                None => name.as_bytes().to_vec(),
            };
            let start = name.len() + " = ".len();
            let meaning = Meaning::Option {
                name: 0..name.len(),
                value: value.map(|value| start..start + value.len()),
            };
            self.end_last_line();
            let line = self.line(&text);
            self.lines.push(Line {
                meaning,
                argument: Some(*argument),
                ..line
            });
        }
    }
}

/// What the server is to be told on its command line cannot be passed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandLineError {
    /// A program to run instead, a short option, a stray word.
    #[error("unexpected argument '{word}'", word = word.display())]
    NoOption {
        /// The argument.
        word: OsString,
    },
    /// Ours to decide.
    #[error("the option --{option} is not taken")]
    NotTaken {
        /// Its name as written.
        option: String,
        /// What to do.
        instead: &'static str,
    },
    /// More than a line of an option file holds.
    #[error("the value of --{option} is too long")]
    TooLong {
        /// Its name as written.
        option: String,
    },
}

impl CommandLineError {
    /// What to do, as an imperative without a full stop.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::NoOption { .. } => {
                "give it the server's options only, in their long form (--max-connections=500); no \
                 program to run, no -P"
            }
            Self::NotTaken { instead, .. } => instead,
            Self::TooLong { .. } => "put it into a file that my.cnf includes",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<CommandLine, CommandLineError> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        CommandLine::parse(&arguments)
    }

    #[test]
    fn add_command_line_overrules_the_file_and_is_told_by_its_argument() {
        let mut file = OptionFile::parse(Path::new("my.cnf"), b"[mysqld]\nx=1").unwrap();
        let arguments = ["mysqld", "--x", "a b", "--skip-y", "--loose-z=a=\"b"];
        file.add_command_line(&parse(&arguments).unwrap());
        assert_eq!(
            String::from_utf8(file.render()).unwrap(),
            "[mysqld]\nx=1\n\n[mysqld]\nx = \"a b\"\nskip-y\nloose-z = \"a=\\\"b\"\n"
        );
        let found = file.get(&["mysqld"], "x").unwrap();
        assert_eq!(found.value.unwrap(), b"a b");
        assert_eq!(found.place.to_string(), "the command line:2");
        file.set("mysqld", "x", "3", "why");
        assert_eq!(file.get(&["mysqld"], "x").unwrap().value.unwrap(), b"3");
        assert_eq!(file.get(&["mysqld"], "z").unwrap().value.unwrap(), b"a=\"b");
    }

    #[test]
    fn add_command_line_nothing_changes_nothing() {
        let mut file = OptionFile::parse(Path::new("my.cnf"), b"[mysqld]").unwrap();
        file.add_command_line(&CommandLine::default());
        assert_eq!(file.render(), b"[mysqld]");
    }

    #[test]
    fn parse_what_is_refused_has_exact_texts() {
        for (arguments, text) in [
            (&["bash"][..], "unexpected argument 'bash'"),
            (&["-P", "3307"], "unexpected argument '-P'"),
            (&["--x=1", "2"], "unexpected argument '2'"),
            (&["--x", "1", "2"], "unexpected argument '2'"),
            (&["--"], "unexpected argument '--'"),
            (&["--a\nb"], "unexpected argument '--a\nb'"),
            (&["--port=3307"], "the option --port is not taken"),
            (
                &["--defaults_file=x"],
                "the option --defaults_file is not taken",
            ),
            (
                &["--skip-bootstrap"],
                "the option --skip-bootstrap is not taken",
            ),
        ] {
            assert_eq!(parse(arguments).unwrap_err().to_string(), text);
        }
        let long = format!("--x={}", "v".repeat(MAX_LINE));
        let error = parse(&[&long]).unwrap_err();
        assert_eq!(error.to_string(), "the value of --x is too long");
        assert_eq!(error.next(), "put it into a file that my.cnf includes");
    }
}
