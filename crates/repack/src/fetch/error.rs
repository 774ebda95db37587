//! Every way fetching can fail, and what its reader can do next.

use std::io;
use std::path::PathBuf;

use hook::{Advice, Explain, Kind};
use thiserror::Error;
use ureq::http::StatusCode;

use super::checksum::Checksum;
use super::http::NoAnswer;
use crate::output::OutputError;

/// The tarball is not here.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot tell which glibc this machine has")]
    UnknownGlibc,
    #[error("{release} was never built for {machine}")]
    NoBuild { release: String, machine: String },
    #[error("found no {what}")]
    NotThere {
        what: String,
        /// Where it was looked for, and what the answer was.
        tried: Vec<(String, StatusCode)>,
    },
    #[error("cannot fetch {url}")]
    NoAnswer { url: String, source: NoAnswer },
    #[error("{url} sent a web page, not a tarball")]
    WebPage { url: String },
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
            Self::NotThere { tried, .. } => {
                let line = |(url, status): &(String, StatusCode)| {
                    format!("HTTP status {}: {url}\n", status.as_u16())
                };
                configuration(
                    "look it up on the vendor's download page, and pass the tarball's URL",
                )
                .detail(tried.iter().map(line).collect::<String>())
            }
            Self::NoAnswer { source, .. } => source.advice(),
            Self::WebPage { .. } => configuration(
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

impl Explain for NoAnswer {
    fn advice(&self) -> Advice {
        match self {
            Self::Status { status } if matches!(status.as_u16(), 401 | 407) => Advice::new(
                Kind::Configuration,
                "put the credentials into the URL, or into HTTPS_PROXY if a proxy wants them",
            ),
            Self::Request(ureq::Error::TooManyRedirects) => {
                Advice::new(Kind::Configuration, "pass the URL that it should lead to")
            }
            Self::Downgrade => Advice::new(
                Kind::Configuration,
                "pass the URL that it leads to, with --sha256 from a page you trust",
            ),
            failure if failure.is_about_trust() => Advice::new(
                Kind::Environment,
                "install ca-certificates, or name your organisation's certificates in SSL_CERT_FILE",
            ),
            Self::Status { .. }
            | Self::OtherPart
            | Self::TooFew
            | Self::BrokeOff { .. }
            | Self::Connection(_)
            | Self::Request(_) => Advice::new(
                Kind::Environment,
                "check the network (HTTPS_PROXY, if it needs one) and run it again: it goes on \
                 where it was",
            ),
        }
    }
}

impl NoAnswer {
    fn is_about_trust(&self) -> bool {
        match self {
            Self::Connection(error) => error.kind() == io::ErrorKind::InvalidData,
            Self::Request(error) => matches!(error, ureq::Error::Rustls(_) | ureq::Error::Tls(_)),
            _ => false,
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
