//! Every way fetching can fail, and what its reader can do next.

use std::io;
use std::path::PathBuf;

use hook::{Advice, ExitStatus, Explain, Kind};
use thiserror::Error;

use super::checksum::Checksum;
use super::curl::{CurlError, NoAnswer};
use super::download::Absence;
use crate::output::OutputError;

/// The tarball is not here.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot tell which glibc this machine has")]
    UnknownGlibc,
    #[error("{release} was never built for {machine}")]
    NoBuild { release: String, machine: String },
    #[error("cannot tell what to call it: {url} does not end in a tarball's name")]
    NoFileName { url: String },
    #[error("found no {what}")]
    NotThere {
        what: String,
        /// Where it was looked for, and what was there instead.
        tried: Vec<(String, Absence)>,
    },
    #[error("found no release of {series}")]
    NoRelease { series: String },
    #[error("there is no file at {url}: HTTP status {status}")]
    NoFile { url: String, status: u16 },
    #[error(transparent)]
    Curl(#[from] CurlError),
    #[error("cannot fetch {url}")]
    NoAnswer {
        url: String,
        /// Whether the next run goes on with what is here.
        kept: bool,
        source: NoAnswer,
    },
    #[error("{url} sent {what}, not a tarball")]
    NotATarball { url: String, what: &'static str },
    #[error("{url} does not say how long it is")]
    NoLength { url: String },
    #[error("{url} has {algorithm} {found}, not {expected}", algorithm = found.algorithm())]
    Checksum {
        url: String,
        expected: Checksum,
        found: Checksum,
    },
    #[error("{path} is there already, with {algorithm} {found}, not {expected}",
        path = path.display(), algorithm = found.algorithm())]
    OtherChecksum {
        path: PathBuf,
        expected: Checksum,
        found: Checksum,
    },
    #[error("{path} is there already, with {here} bytes; {url} has {there}",
        path = path.display(), there = length(*there))]
    OtherLength {
        path: PathBuf,
        here: u64,
        url: String,
        there: Option<u64>,
    },
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Output(#[from] OutputError),
}

fn length(bytes: Option<u64>) -> String {
    bytes.map_or("an unknown number".into(), |bytes| bytes.to_string())
}

impl Explain for FetchError {
    fn advice(&self) -> Advice {
        let configuration = |next: &str| Advice::new(Kind::Configuration, next);
        let environment = |next: &str| Advice::new(Kind::Environment, next);
        match self {
            Self::UnknownGlibc => configuration(
                "pass --glibc with that of the machine the server is for ('ldd --version' shows it)",
            ),
            Self::NoBuild { .. } => configuration(
                "pass --glibc if the server is for another machine, or the URL of a build that fits",
            ),
            Self::NoFileName { .. } => {
                configuration("pass a name, as in --name mysql-8.4.6.tar.xz")
                    .status(ExitStatus::Usage)
            }
            Self::NotThere { tried, .. } => {
                let line = |(url, absence): &(String, Absence)| match absence {
                    Absence::Status(status) => format!("HTTP status {status}: {url}\n"),
                    Absence::Other(what) => format!("{what}: {url}\n"),
                };
                configuration(
                    "look it up on the vendor's download page, and pass the tarball's URL",
                )
                .detail(tried.iter().map(line).collect::<String>())
            }
            Self::NoRelease { .. } => configuration(
                "look the series up on the vendor's download page, and pass a full version or a URL",
            ),
            Self::NoFile { .. } => configuration(
                "open it in a browser to see what it wants; pass the URL that the download begins with",
            ),
            Self::Curl(CurlError::Missing | CurlError::Start { .. }) => {
                environment("install curl (apt-get install curl), or download the tarball by hand")
            }
            Self::Curl(CurlError::TooOld { .. }) => {
                environment("install a newer one, or download the tarball by hand")
            }
            Self::NoAnswer { source, kept, .. } => source.advice(*kept),
            Self::NotATarball { .. } => configuration(
                "open it in a browser to see what it wants; pass the tarball's own URL",
            ),
            Self::NoLength { .. } => {
                configuration("pass --sha256 or --md5, which also tell whether it is complete")
            }
            Self::Checksum { .. } => {
                configuration("compare both with the vendor's page; what was fetched is removed")
            }
            Self::OtherChecksum { .. } | Self::OtherLength { .. } => {
                configuration("move it away, or choose another directory with -o")
            }
            Self::Read { .. } => environment("check the disk it is on"),
            Self::Write { .. } => environment(
                "make room there, or choose another directory with -o; then it goes on where it was",
            ),
            Self::Output(error) => error.advice(),
        }
    }
}

impl NoAnswer {
    /// What to do next; `kept` says whether a part is here to go on with.
    fn advice(&self, kept: bool) -> Advice {
        let configuration = |next: &str| Advice::new(Kind::Configuration, next);
        let again = if kept {
            "run it again: it goes on where it was"
        } else {
            "run it again"
        };
        match self {
            Self::Status { status: 401, .. } => configuration("put the credentials into the URL"),
            Self::Status { status: 407, .. } | Self::Proxy { status: 407 } => configuration(
                "put the credentials into HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT",
            ),
            Self::Proxy { .. } => configuration(
                "ask who runs the proxy to let this URL through, or name it in NO_PROXY",
            ),
            Self::Status {
                wait: Some(wait), ..
            } => Advice::new(
                Kind::Environment,
                format!("{again}, in {} s as the server asks", wait.as_secs()),
            ),
            Self::Status { status, .. } if *status < 500 => {
                configuration("open it in a browser to see what it wants")
            }
            Self::OddRedirect | Self::Redirects => {
                configuration("pass the URL that it should lead to")
            }
            Self::Downgrade => {
                configuration("pass the URL that it leads to, with --sha256 from a page you trust")
            }
            Self::Trust { .. } => Advice::new(
                Kind::Environment,
                "install ca-certificates, or name your organisation's certificates in SSL_CERT_FILE",
            ),
            Self::Status { .. }
            | Self::OtherPart
            | Self::TooFew
            | Self::BrokeOff { .. }
            | Self::Curl(_) => Advice::new(
                Kind::Environment,
                format!("check the network (HTTPS_PROXY, if it needs one) and {again}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other failures are brought about by the tests of the executable.
    #[test]
    fn error_of_an_odd_machine_has_exact_text() {
        let rows = [
            (
                FetchError::UnknownGlibc,
                "cannot tell which glibc this machine has\n  next: pass --glibc with that of the \
                 machine the server is for ('ldd --version' shows it)\n",
            ),
            (
                FetchError::Curl(CurlError::Start {
                    source: io::Error::from_raw_os_error(13),
                }),
                "cannot run curl\n  cause: permission denied (os error 13)\n  next: install curl \
                 (apt-get install curl), or download the tarball by hand\n",
            ),
            (
                FetchError::Read {
                    path: "/srv/file".into(),
                    source: io::Error::from_raw_os_error(5),
                },
                "cannot read /srv/file\n  cause: input/output error (os error 5)\n  next: check \
                 the disk it is on\n",
            ),
        ];
        for (error, expected) in rows {
            let mut out = Vec::new();
            hook::render("repack", &error, &mut out);
            let expected = format!("repack: error: {expected}");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
