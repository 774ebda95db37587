//! HTTP/1 for probes and scrapes, and for nobody else: one short request without a body a connection,
//! GET or HEAD. (Crates that serve HTTP bound neither how long a request takes nor how many there are,
//! or bring a runtime along.)

/// A request's head ends within as many bytes.
pub(crate) const LONGEST: usize = 4096;

/// What has come so far of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Not all of it.
    Partial,
    /// All of it.
    Request {
        /// With what follows a `?` cut off.
        path: String,
        /// Only the head of an answer is wanted.
        head: bool,
    },
    /// None that we answer otherwise: a status.
    Refused(Status),
}

/// Status lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }

    /// What a refusal says.
    pub(crate) fn text(self) -> String {
        format!("{}\n", self.line())
    }
}

/// Reads a request's head. What follows it is never looked at.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() >= LONGEST {
            Parsed::Refused(Status::TooLarge)
        } else if is_nonsense(bytes) {
            Parsed::Refused(Status::BadRequest)
        } else {
            Parsed::Partial
        };
    };
    let Some(head) = bytes.get(..end).and_then(|head| str::from_utf8(head).ok()) else {
        return Parsed::Refused(Status::BadRequest);
    };
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
        return Parsed::Refused(Status::BadRequest);
    };
    let fields_are_sound = lines.all(|line| {
        line.split_once(':')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(is_name))
    });
    if !fields_are_sound || !target.starts_with('/') || target.bytes().any(|byte| byte < b' ') {
        return Parsed::Refused(Status::BadRequest);
    }
    let head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Parsed::Refused(Status::MethodNotAllowed),
    };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Parsed::Request { path, head }
}

/// No method begins like this: not worth waiting for the rest.
fn is_nonsense(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .take_while(|byte| **byte != b' ')
        .any(|byte| !byte.is_ascii_uppercase())
}

/// A field's name (RFC 9110, section 5.6.2).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An answer, after which the connection ends.
pub(crate) fn answer(status: Status, kind: &str, body: &str, head: bool) -> Vec<u8> {
    let allow = if status == Status::MethodNotAllowed {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let mut text = format!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {allow}Connection: close\r\n\r\n",
        status.line(),
        body.len()
    );
    if !head {
        text.push_str(body);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_requests_and_nothing_else() {
        let request = |path: &str, head| Parsed::Request {
            path: path.to_owned(),
            head,
        };
        let bad = || Parsed::Refused(Status::BadRequest);
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(LONGEST));
        for (text, parsed) in [
            (
                "GET /live HTTP/1.1\r\nHost: x\r\n\r\n",
                request("/live", false),
            ),
            (
                "HEAD /ready?a=b HTTP/1.0\r\n\r\nrest",
                request("/ready", true),
            ),
            ("", Parsed::Partial),
            ("GET /live HTTP/1.1\r\nHost", Parsed::Partial),
            (
                "POST / HTTP/1.1\r\n\r\n",
                Parsed::Refused(Status::MethodNotAllowed),
            ),
            ("GET  / HTTP/1.1\r\n\r\n", bad()),
            ("GET / HTTP/2\r\n\r\n", bad()),
            ("GET http://x/ HTTP/1.1\r\n\r\n", bad()),
            ("GET / HTTP/1.1\r\nno field\r\n\r\n", bad()),
            ("GET / HTTP/1.1\r\n folded: x\r\n\r\n", bad()),
            ("\u{16}\u{3}\u{1}", bad()),
            ("get /", bad()),
            (&long, Parsed::Refused(Status::TooLarge)),
        ] {
            assert_eq!(parse(text.as_bytes()), parsed, "{text:.60}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), bad());
    }

    #[test]
    fn answer_is_whole_and_closes() {
        let text =
            |head| String::from_utf8(answer(Status::Ok, "text/plain", "ok\n", head)).unwrap();
        let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\
                     Cache-Control: no-store\r\nConnection: close\r\n\r\n";
        assert_eq!(text(false), format!("{begin}ok\n"));
        assert_eq!(text(true), begin);
    }
}
