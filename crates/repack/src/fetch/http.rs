//! One question to one server: the file, or what is missing of it. Says what the answer means; keeps
//! nothing, tries nothing twice.

use std::io::{self, Read};
use std::time::Duration;

use thiserror::Error;
use ureq::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::part::{Origin, Part};
use super::vendor::Candidate;

/// As many as browsers follow, roughly.
const REDIRECTS: u32 = 10;
/// A server that says nothing for so long will not say more.
const SILENCE: Duration = Duration::from_mins(1);

/// A server's answer, as far as it helps.
pub(crate) enum Answer {
    /// The file, from its first byte on.
    Whole(Origin, Box<dyn Read>),
    /// The bytes that were missing.
    Rest(Box<dyn Read>),
    /// No such file here: the next candidate may have it.
    Absent(StatusCode),
}

/// Why there is no answer to work with.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("HTTP status {status}", status = status.as_u16())]
    Status { status: StatusCode },
    #[error("it sent another part of the file than was asked for")]
    OtherPart,
    #[error("it does not have as many bytes as it said")]
    TooFew,
    #[error("it broke off")]
    BrokeOff { source: io::Error },
    /// Without its URL, which may hold a secret.
    #[error("it leads to a server without TLS")]
    Downgrade,
    /// The connection, or TLS on it.
    #[error(transparent)]
    Connection(io::Error),
    #[error(transparent)]
    Request(ureq::Error),
}

impl From<ureq::Error> for NoAnswer {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => Self::Connection(error),
            ureq::Error::RequireHttpsOnly(_) => Self::Downgrade,
            error => Self::Request(error),
        }
    }
}

impl NoAnswer {
    /// Whether what is here cannot be added to.
    pub(crate) fn is_about_another_file(&self) -> bool {
        matches!(self, Self::OtherPart | Self::TooFew)
    }

    /// Whether asking again may help.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::OtherPart | Self::TooFew | Self::BrokeOff { .. } => true,
            Self::Downgrade => false,
            // TLS found something in it that it will find again.
            Self::Connection(error) => error.kind() != io::ErrorKind::InvalidData,
            Self::Request(error) => matches!(
                error,
                ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed
            ),
        }
    }
}

/// A client with the system's certificates and the environment's proxies.
pub(crate) struct Client(Agent);

impl Client {
    pub(crate) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs().certs;
        let certificates: Vec<_> = found
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        // A bare system has none; then those that came with repack.
        let roots = match certificates.as_slice() {
            [] => RootCerts::WebPki,
            certificates => RootCerts::new_with_certs(certificates),
        };
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .user_agent(concat!("repack/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Self(config.new_agent())
    }

    /// Asks for the candidate; if some of it is in `part`, for the rest only.
    pub(crate) fn get(&self, candidate: &Candidate, part: &Part) -> Result<Answer, NoAnswer> {
        // A compressed tarball that is compressed once more has no length and cannot be resumed.
        let mut request = self
            .0
            .get(&candidate.url)
            .header(ACCEPT_ENCODING, "identity");
        let position = part.position();
        let resumed = part.origin();
        if let Some(validator) = resumed.and_then(|origin| origin.validator.as_deref()) {
            request = request
                .header(RANGE, format!("bytes={position}-"))
                .header(IF_RANGE, validator);
        }
        // A redirect away from https would undo it.
        let https = candidate.url.starts_with("https:");
        let response = request.config().https_only(https).build().call()?;
        match (response.status(), resumed) {
            (StatusCode::OK, _) => Ok(whole(candidate, response)),
            (StatusCode::PARTIAL_CONTENT, Some(origin)) => rest(origin, position, response),
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => Err(NoAnswer::TooFew),
            // A store without a listing says 403 for what is not there.
            (status @ (StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE), _) => {
                Ok(Answer::Absent(status))
            }
            (status, _) => Err(NoAnswer::Status { status }),
        }
    }
}

fn whole(candidate: &Candidate, response: Response<Body>) -> Answer {
    let origin = Origin {
        url: candidate.shown(),
        validator: validator(response.headers()),
        length: response.body().content_length(),
    };
    Answer::Whole(origin, reader(response))
}

/// The rest, if it is the rest of the very same file.
fn rest(origin: &Origin, position: u64, response: Response<Body>) -> Result<Answer, NoAnswer> {
    let range = text(response.headers(), &CONTENT_RANGE).and_then(parse_range);
    let same_place = range.is_some_and(|(first, end, total)| {
        let total = total.or(origin.length);
        first == position && total == origin.length && total.is_none_or(|total| end == total)
    });
    // Some servers pay no attention to If-Range.
    let now = validator(response.headers());
    let same_file = now.is_none() || now == origin.validator;
    if same_place && same_file {
        Ok(Answer::Rest(reader(response)))
    } else {
        Err(NoAnswer::OtherPart)
    }
}

fn reader(response: Response<Body>) -> Box<dyn Read> {
    Box::new(
        response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader(),
    )
}

/// What tells this version of the file from another. Weak tags do not: they stand for files that
/// mean the same (RFC 9110, 8.8.1).
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, &LAST_MODIFIED))
        .map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `bytes 5-9/10` as (5, 10, Some(10)): the first byte, the one after the last, the total.
fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.parse().ok()?;
    Some((
        first.parse().ok()?,
        last.checked_add(1)?,
        total.parse().ok(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_of_each_form_is_read_or_not() {
        let rows = [
            ("bytes 5-9/10", Some((5, 10, Some(10)))),
            ("bytes 0-0/*", Some((0, 1, None))),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("lines 5-9/10", None),
            ("bytes 5-18446744073709551615/10", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_range(text), expected, "{text}");
        }
    }

    #[test]
    fn validator_that_is_weak_is_not_used() {
        let headers = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            pairs
                .map(|(name, value)| (name, value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let time = "Tue, 15 Nov 1994 12:45:26 GMT";
        let both = headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, time)]);
        assert_eq!(validator(&both).as_deref(), Some("\"a\""));
        let weak = headers(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, time)]);
        assert_eq!(validator(&weak).as_deref(), Some(time));
        assert_eq!(validator(&headers(&[(ETAG, "W/\"a\"")])), None);
    }
}
