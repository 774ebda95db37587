//! One question to one server, asked by the system's curl, which knows transport, TLS and proxies better
//! than we ever would. Says what the answer means; keeps nothing, tries nothing twice.
//!
//! curl gets its options on standard input, so that no secret of a URL is in its arguments. It sends the
//! body to standard output, the headers and, at its end, one line of its own to standard error.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::part::{Origin, Part};
use super::vendor::Candidate;

/// The first curl that says at its end how it went (`exitcode` and `errormsg` of --write-out came
/// with 7.75.0, and 7.76.0 mended them).
const OLDEST: (u32, u32) = (7, 76);
/// What that line begins with. No header line stands where it does.
const LAST_LINE: &str = "repack:";
/// Of headers and of what comes behind them; a server may send more, nobody reads it.
const STDERR_LIMIT: u64 = 1 << 20;
/// A server's `Retry-After` beyond this is no reason to wait, but to come back.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// What every question has in common. Ten redirects are what browsers follow, roughly; a server that
/// says nothing for a minute will not say more. A tarball that is compressed once more on its way has no
/// length and cannot be resumed, hence `identity`.
const OPTIONS: &str = concat!(
    "silent\nlocation\ngloboff\nno-buffer\nsuppress-connect-headers\n",
    "max-redirs = 10\nconnect-timeout = 60\nspeed-limit = 1\nspeed-time = 60\n",
    "dump-header = \"/dev/stderr\"\n",
    "user-agent = \"repack/",
    env!("CARGO_PKG_VERSION"),
    "\"\nheader = \"Accept-Encoding: identity\"\n",
    "write-out = \"%{stderr}\\nrepack: %{exitcode} %{http_connect} %{errormsg}\\n\"\n",
);

/// A curl that is new enough.
#[derive(Debug)]
pub(crate) struct Curl {
    /// For `http_proxy`, which is the only name that curl takes for it. In upper case it refuses it
    /// since a CGI program's client could set that; repack is none.
    http_proxy: Option<OsString>,
}

/// There is no curl to work with.
#[derive(Debug, Error)]
pub(crate) enum CurlError {
    #[error("curl is not installed, and repack fetch downloads with it")]
    Missing,
    #[error("cannot run curl")]
    Start { source: io::Error },
    #[error("curl {version} is too old: repack fetch needs 7.76 or later")]
    TooOld { version: String },
}

/// A server's answer, as far as it helps.
pub(crate) enum Answer {
    /// The file, from its first byte on.
    Whole(Origin, Body),
    /// The bytes that were missing.
    Rest(Body),
    /// No such file here: the next candidate may have it.
    Absent(u16),
}

/// Why there is no answer to work with.
#[derive(Debug, Error)]
pub(crate) enum NoAnswer {
    #[error("HTTP status {status}")]
    Status {
        status: u16,
        /// How long the server wants to be left alone.
        wait: Option<Duration>,
    },
    #[error("the proxy answered with HTTP status {status}")]
    Proxy { status: u16 },
    #[error("it sent another part of the file than was asked for")]
    OtherPart,
    #[error("it does not have as many bytes as it said")]
    TooFew,
    #[error("it broke off")]
    BrokeOff { source: CurlFailure },
    /// Without its URL, which may hold a secret.
    #[error("it leads to a server without TLS")]
    Downgrade,
    #[error("it leads to something that is no http or https URL")]
    OddRedirect,
    #[error("it leads from one URL to the next, more than ten times")]
    Redirects,
    #[error("its certificate is not one to be trusted")]
    Trust { source: CurlFailure },
    #[error(transparent)]
    Curl(#[from] CurlFailure),
}

/// How curl ended, in its own words.
#[derive(Debug, Error)]
#[error("curl: {message}")]
pub(crate) struct CurlFailure {
    /// Its exit status, if no signal ended it.
    code: Option<i32>,
    message: String,
}

impl CurlFailure {
    /// What curl sends cannot be read.
    pub(crate) fn pipe(error: &io::Error) -> Self {
        failure(None, &error.to_string())
    }

    /// Whether asking again may help: no connection, a time-out, an answer that broke off.
    fn is_temporary(&self) -> bool {
        matches!(self.code, Some(7 | 16 | 18 | 28 | 52 | 55 | 56 | 92 | 95))
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
            Self::Status { wait, .. } if wait.is_some_and(|wait| wait > PATIENCE) => false,
            Self::Status { status, .. } | Self::Proxy { status } => {
                *status >= 500 || matches!(status, 408 | 425 | 429)
            }
            Self::OtherPart | Self::TooFew | Self::BrokeOff { .. } => true,
            Self::Downgrade | Self::OddRedirect | Self::Redirects | Self::Trust { .. } => false,
            Self::Curl(failure) => failure.is_temporary(),
        }
    }

    /// How long the server wants to be left alone.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Status { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl Curl {
    /// Looks whether there is one. `http_proxy` is for servers without TLS.
    pub(crate) fn find(http_proxy: Option<OsString>) -> Result<Self, CurlError> {
        let output = Command::new("curl").arg("--version").output();
        let output = output.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CurlError::Missing,
            _ => CurlError::Start { source },
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().nth(1).unwrap_or("of no version");
        if parse_version(version).is_none_or(|version| version < OLDEST) {
            let version = version.to_owned();
            return Err(CurlError::TooOld { version });
        }
        Ok(Self { http_proxy })
    }

    /// Asks for the candidate; if some of it is in `part`, for the rest only.
    pub(crate) fn get(
        &self,
        candidate: &Candidate,
        part: Option<&Part>,
    ) -> Result<Answer, NoAnswer> {
        let position = part.map_or(0, Part::position);
        let resumed = part.and_then(Part::origin);
        let validator = resumed.and_then(|origin| origin.validator.as_deref());
        let (head, body) = self.ask(candidate, validator.map(|it| (position, it)))?;
        match (head.status, resumed) {
            (200, _) => {
                let origin = Origin {
                    url: candidate.shown(),
                    validator: head.validator(),
                    length: head.length(),
                };
                Ok(Answer::Whole(origin, body))
            }
            (206, Some(origin)) if head.is_rest(origin, position) => Ok(Answer::Rest(body)),
            (206, Some(_)) => Err(NoAnswer::OtherPart),
            (416, Some(_)) => Err(NoAnswer::TooFew),
            // A store without a listing says 403 for what is not there, some proxies and portals 400,
            // and 451 is about this file and this place.
            (status @ (400 | 403 | 404 | 410 | 451), _) => Ok(Answer::Absent(status)),
            (status, _) => Err(NoAnswer::Status {
                status,
                wait: head.wait(),
            }),
        }
    }

    fn ask(
        &self,
        candidate: &Candidate,
        rest: Option<(u64, &str)>,
    ) -> Result<(Head, Body), NoAnswer> {
        let mut command = Command::new("curl");
        // Whatever a ~/.curlrc says might change what we read.
        command.args(["--disable", "--config", "-"]);
        if let Some(proxy) = &self.http_proxy {
            command.env("http_proxy", proxy);
        }
        let started = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started.map_err(|error| failure(None, &error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failure(None, "its pipes are gone").into());
        };
        // A curl that ends before it has read everything says why.
        let _ = stdin.write_all(config(candidate, rest).as_bytes());
        drop(stdin);
        let mut lines = BufReader::new(stderr.take(STDERR_LIMIT));
        let mut heads = Heads::default();
        let head = heads.read(&mut lines);
        if head.is_none() && heads.last_line.is_none() {
            // It said more than anybody reads, or it is gone.
            let _ = child.kill();
        }
        let mut body = Body::new(child, stdout, lines);
        match head {
            Some(head) => Ok((head, body)),
            None => Err(heads.explain(candidate, body.wait())),
        }
    }
}

/// curl's options for one question.
fn config(candidate: &Candidate, rest: Option<(u64, &str)>) -> String {
    let mut text = OPTIONS.to_owned();
    let https = candidate.url.is_https();
    // A redirect away from https would undo it.
    text.push_str(if https {
        "proto = \"=https\"\nproto-redir = \"=https\"\n"
    } else {
        "proto = \"=http,https\"\nproto-redir = \"=http,https\"\n"
    });
    if let Some((position, validator)) = rest {
        let if_range = quoted(&format!("If-Range: {validator}"));
        let _ = write!(text, "range = \"{position}-\"\nheader = {if_range}\n");
    }
    let _ = writeln!(text, "url = {}", quoted(candidate.url.as_str()));
    text
}

/// As curl's option files take it. A line break would begin another option: there is none.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// `7.88.1` as (7, 88).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The status and the headers of a response.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    fn of(status_line: &str) -> Self {
        let status = status_line.split(' ').nth(1);
        Self {
            status: status.and_then(|it| it.parse().ok()).unwrap_or_default(),
            headers: Vec::new(),
        }
    }

    /// The last one of that name, in lower case.
    fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().rev();
        found.find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Whether another response follows: curl goes where this one leads, or it was an interim one.
    fn is_on_the_way(&self) -> bool {
        self.status < 200 || (300..400).contains(&self.status) && self.text("location").is_some()
    }

    fn length(&self) -> Option<u64> {
        // With both, the length does not count (RFC 9112, 6.3).
        match self.text("transfer-encoding") {
            Some(_) => None,
            None => self.text("content-length")?.parse().ok(),
        }
    }

    /// What tells this version of the file from another. Weak tags do not: they stand for files that
    /// mean the same (RFC 9110, 8.8.1).
    fn validator(&self) -> Option<String> {
        let tag = self.text("etag").filter(|tag| tag.starts_with('"'));
        tag.or_else(|| self.text("last-modified"))
            .map(str::to_owned)
    }

    /// `Retry-After`, in either of its forms.
    fn wait(&self) -> Option<Duration> {
        let text = self.text("retry-after")?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let time = httpdate::parse_http_date(text).ok()?;
        time.duration_since(SystemTime::now()).ok()
    }

    /// Whether it brings the rest, from `position` on, of the very same file.
    fn is_rest(&self, origin: &Origin, position: u64) -> bool {
        let range = self.text("content-range").and_then(parse_range);
        let same_place = range.is_some_and(|(first, end, total)| {
            let total = total.or(origin.length);
            first == position && total == origin.length && total.is_none_or(|total| end == total)
        });
        // Some servers pay no attention to If-Range.
        let now = self.validator();
        same_place && (now.is_none() || now == origin.validator)
    }
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

/// The responses that came before the one that counts.
#[derive(Debug, Default)]
struct Heads {
    /// Where the last redirect leads.
    location: Option<String>,
    /// curl's own last line, if it came instead of a response.
    last_line: Option<String>,
}

impl Heads {
    /// The response that counts, if there is one.
    fn read(&mut self, lines: &mut impl BufRead) -> Option<Head> {
        let mut head: Option<Head> = None;
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            match &mut head {
                None if line.starts_with("HTTP/") => head = Some(Head::of(line)),
                None if line.starts_with(LAST_LINE) => {
                    self.last_line = Some(line.to_owned());
                    return None;
                }
                None => {}
                Some(known) if line.is_empty() => {
                    if !known.is_on_the_way() {
                        return head;
                    }
                    if let Some(location) = known.text("location") {
                        self.location = Some(location.to_owned());
                    }
                    head = None;
                }
                Some(known) => {
                    if let Some((name, value)) = line.split_once(':') {
                        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
                        known.headers.push(header);
                    }
                }
            }
        }
    }

    /// Why no response came that counts. `end` is how curl ended.
    fn explain(self, candidate: &Candidate, end: Result<(), Ended>) -> NoAnswer {
        let ended = end.err().unwrap_or_default();
        let line = self.last_line.or(ended.last_line).unwrap_or_default();
        let (connect, message) = parse_last_line(&line);
        let failure = failure(ended.code, message);
        let leads_to_http = || {
            let location = self.location.as_deref().unwrap_or_default();
            location.to_ascii_lowercase().starts_with("http:")
        };
        match ended.code {
            _ if connect >= 400 => NoAnswer::Proxy { status: connect },
            Some(1) if candidate.url.is_https() && leads_to_http() => NoAnswer::Downgrade,
            Some(1 | 3) if self.location.is_some() => NoAnswer::OddRedirect,
            Some(47) => NoAnswer::Redirects,
            Some(51 | 58 | 60 | 77 | 83 | 90 | 91) => NoAnswer::Trust { source: failure },
            _ => NoAnswer::Curl(failure),
        }
    }
}

/// The proxy's answer to CONNECT (0 if there was none) and the message of [`LAST_LINE`].
fn parse_last_line(line: &str) -> (u16, &str) {
    let mut words = line.strip_prefix(LAST_LINE).unwrap_or_default();
    words = words.trim_start();
    let (_, rest) = words.split_once(' ').unwrap_or_default();
    let (connect, message) = rest.split_once(' ').unwrap_or((rest, ""));
    (connect.parse().unwrap_or_default(), message)
}

fn failure(code: Option<i32>, message: &str) -> CurlFailure {
    let message = match (message.trim(), code) {
        ("", Some(code)) => format!("it ended with status {code}"),
        ("", None) => "it was ended by a signal".to_owned(),
        (message, _) => message.to_owned(),
    };
    CurlFailure { code, message }
}

/// How a curl ended that did not end well.
#[derive(Debug, Default)]
struct Ended {
    code: Option<i32>,
    last_line: Option<String>,
}

impl From<Ended> for CurlFailure {
    fn from(ended: Ended) -> Self {
        let line = ended.last_line.unwrap_or_default();
        failure(ended.code, parse_last_line(&line).1)
    }
}

/// The bytes that a server sends. Dropped early, it ends curl.
pub(crate) struct Body {
    child: Child,
    stdout: ChildStdout,
    /// Reads on, or a server's trailers could fill the pipe and curl would wait for ever.
    rest: Option<JoinHandle<Option<String>>>,
}

impl Body {
    fn new(child: Child, stdout: ChildStdout, lines: BufReader<io::Take<ChildStderr>>) -> Self {
        let rest = std::thread::spawn(move || last_line(lines));
        Self {
            child,
            stdout,
            rest: Some(rest),
        }
    }

    /// Waits for curl's end, which is near once the last byte was read.
    pub(crate) fn end(&mut self) -> Result<(), CurlFailure> {
        self.wait().map_err(CurlFailure::from)
    }

    /// Why there were fewer bytes than the server announced.
    pub(crate) fn failure(&mut self) -> CurlFailure {
        match self.end() {
            Ok(()) => failure(Some(0), "the transfer ended early"),
            Err(failure) => failure,
        }
    }

    fn wait(&mut self) -> Result<(), Ended> {
        let status = self.child.wait();
        let last_line = self.rest.take().and_then(|it| it.join().ok()).flatten();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Ended {
                code: status.code(),
                last_line,
            }),
            Err(_) => Err(Ended::default()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stdout.read(buffer)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// curl's own line, behind whatever else comes.
fn last_line(mut lines: BufReader<io::Take<ChildStderr>>) -> Option<String> {
    let mut last = None;
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        if line.starts_with(LAST_LINE.as_bytes()) {
            last = Some(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        line.clear();
    }
    // Beyond the limit: nobody needs it, but curl must be able to write it.
    let _ = io::copy(lines.into_inner().get_mut(), &mut io::sink());
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_of_each_form_is_read_or_not() {
        let rows = [
            ("bytes 5-9/10", Some((5, 10, Some(10)))),
            ("bytes 5-9/*", Some((5, 10, None))),
            ("bytes */10", None),
            ("bytes 5-18446744073709551615/*", None),
            ("items 5-9/10", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_range(text), expected, "{text}");
        }
    }

    #[test]
    fn version_of_each_form_is_read() {
        let rows = [
            ("7.88.1", Some((7, 88))),
            ("8.14.0-DEV", Some((8, 14))),
            ("8", None),
            ("of no version", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_version(text), expected, "{text}");
        }
    }

    #[test]
    fn value_cannot_end_its_line_or_begin_another_option() {
        assert_eq!(quoted("a\\b\"c\nurl = d"), r#""a\\b\"curl = d""#);
    }

    #[test]
    fn response_that_counts_is_the_last_and_a_header_is_no_line_of_ours() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n\
                    HTTP/2 200 \r\nETag: \"1\"\r\nrepack: 7 0 no\r\ncontent-length: 5\r\n\r\n";
        let mut heads = Heads::default();
        let head = heads.read(&mut text.as_bytes()).unwrap();
        assert_eq!((head.status, head.length()), (200, Some(5)));
        assert_eq!(head.validator().as_deref(), Some("\"1\""));
        assert_eq!(heads.location.as_deref(), Some("/x"));
    }

    #[test]
    fn wait_of_each_form_is_read() {
        let head = |value: &str| Head {
            status: 503,
            headers: vec![("retry-after".into(), value.into())],
        };
        assert_eq!(head("30").wait(), Some(Duration::from_secs(30)));
        assert_eq!(head("soon").wait(), None);
        assert_eq!(head("Wed, 21 Oct 2015 07:28:00 GMT").wait(), None, "past");
        let future = SystemTime::now() + Duration::from_secs(90);
        let wait = head(&httpdate::fmt_http_date(future)).wait().unwrap();
        assert!((80..=90).contains(&wait.as_secs()), "{wait:?}");
    }
}
