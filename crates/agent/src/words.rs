//! What the agent is asked for: its arguments.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use hook::{Environment, Usage};

/// One task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Answers over HTTP until it is stopped.
    Serve {
        /// Where; as the environment says, if nobody does.
        listen: Option<SocketAddr>,
    },
    /// Looks once.
    Check(Question),
}

/// What a look is to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Does it live?
    Live,
    /// Does it serve?
    Ready,
}

/// What to say instead.
const NEXT: &str = "say serve [--listen ADDRESS:PORT], check live or check ready";

impl Task {
    /// Reads the arguments, of which our own name is none.
    pub fn parse(arguments: &[OsString]) -> Result<Self, Usage> {
        let words: Vec<&str> = arguments
            .iter()
            .map(|word| word.to_str().unwrap_or(""))
            .collect();
        let refuse = |problem: String| {
            Err(Usage {
                problem,
                next: NEXT.to_owned(),
            })
        };
        let listen = match &words[..] {
            ["serve"] => return Ok(Self::Serve { listen: None }),
            ["check", "live"] => return Ok(Self::Check(Question::Live)),
            ["check", "ready"] => return Ok(Self::Check(Question::Ready)),
            ["serve", "--listen", address] => *address,
            ["serve", option] if option.starts_with("--listen=") => &option["--listen=".len()..],
            [] => return refuse("nothing to do".to_owned()),
            _ => {
                let given: Vec<_> = arguments
                    .iter()
                    .map(|word| word.to_string_lossy())
                    .collect();
                return refuse(format!("cannot understand '{}'", given.join(" ")));
            }
        };
        match listen.parse() {
            Ok(address) => Ok(Self::Serve {
                listen: Some(address),
            }),
            Err(_) => refuse(format!("'{listen}' is not an address with a port")),
        }
    }
}

/// The port that the platform gave the agent.
const VARIABLE: &str = "PORT_AGENT";

/// Where to listen if no argument says it: on this machine only.
pub(crate) fn declared(environment: &Environment) -> Result<SocketAddr, String> {
    let Some(value) = environment.get(VARIABLE) else {
        return Err(format!("no port to listen on: {VARIABLE} is not set"));
    };
    match value.to_str().and_then(|text| text.parse().ok()) {
        Some(port) if port != 0 => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        _ => {
            let value = value.to_string_lossy();
            Err(format!(
                "{VARIABLE} is '{value}', which is not a port number"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Task, String> {
        let words: Vec<OsString> = text.split_whitespace().map(Into::into).collect();
        Task::parse(&words).map_err(|usage| {
            assert_eq!(usage.next, NEXT);
            usage.problem
        })
    }

    #[test]
    fn parse_every_form() {
        let at = |text: &str| Task::Serve {
            listen: Some(text.parse().unwrap()),
        };
        for (text, task) in [
            ("serve", Task::Serve { listen: None }),
            ("serve --listen 127.0.0.1:9104", at("127.0.0.1:9104")),
            ("serve --listen=[::]:9104", at("[::]:9104")),
            ("check live", Task::Check(Question::Live)),
            ("check ready", Task::Check(Question::Ready)),
        ] {
            assert_eq!(parse(text), Ok(task), "{text}");
        }
    }

    #[test]
    fn parse_anything_else_is_refused_with_exact_text() {
        for (text, said) in [
            ("", "nothing to do"),
            ("check", "cannot understand 'check'"),
            ("check live now", "cannot understand 'check live now'"),
            (
                "serve --listen 9104",
                "'9104' is not an address with a port",
            ),
            (
                "serve --listen=db:1",
                "'db:1' is not an address with a port",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), said);
        }
    }

    #[test]
    fn declared_is_this_machines_own_or_refused_with_exact_text() {
        let declared = |value| declared(&[(VARIABLE, value)].into_iter().collect());
        assert_eq!(declared("9104"), Ok("127.0.0.1:9104".parse().unwrap()));
        assert_eq!(
            declared(""),
            Err("no port to listen on: PORT_AGENT is not set".to_owned())
        );
        for value in ["0", "x", "70000"] {
            let said = format!("PORT_AGENT is '{value}', which is not a port number");
            assert_eq!(declared(value), Err(said));
        }
    }
}
