//! The URL of a tarball, or of a mirror: checked, shown without what may be secret, and asked for the
//! name of the file that it leads to.

use std::str::FromStr;

use thiserror::Error;

/// Endings of what repack reads.
const KINDS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst"];

/// An http or https URL with a host and no character that has no place in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url(String);

/// Not a URL to fetch from.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum UrlError {
    #[error("write a URL (https://...)")]
    Scheme,
    #[error("the URL has no host")]
    NoHost,
    #[error("the URL holds a space or a control character: write it as %20 or the like")]
    Character,
    #[error("a mirror's URL has no query: the path of a tarball comes behind it")]
    Query,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(UrlError::Scheme);
        }
        if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
            return Err(UrlError::Character);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.split(':').next().unwrap_or_default().is_empty() {
            return Err(UrlError::NoHost);
        }
        Ok(Self(format!("{}://{rest}", scheme.to_ascii_lowercase())))
    }
}

impl Url {
    /// One that we made ourselves, of a vendor's or a mirror's and a path.
    pub(crate) fn known(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// As it may be shown and stored: credentials stand before the host or in the query.
    pub(crate) fn shown(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{path}")
    }

    /// The tarball's name: the end of the path, what stands before `/download`, or what a query says.
    pub(crate) fn file_name(&self) -> Option<String> {
        let (_, rest) = self.0.split_once("://")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut segments = location.split('/').skip(1).collect::<Vec<_>>();
        if segments.last() == Some(&"download") {
            segments.pop();
        }
        let in_path = segments.last().copied().unwrap_or_default();
        let in_query = query
            .split('&')
            .filter_map(|pair| Some(pair.split_once('=')?.1));
        std::iter::once(in_path)
            .chain(in_query)
            .filter_map(decoded)
            .find_map(|name| file_name(&name).ok())
    }
}

/// `%20` and its kind as the characters that they stand for; `None` if that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// For the command line: a name that ends as a tarball's does.
pub(crate) fn file_name(text: &str) -> Result<String, String> {
    let odd = text.starts_with('.') || text.contains('/') || text.chars().any(char::is_control);
    if odd || text.len() > 200 {
        return Err("write a file's name, without a directory: -o names that".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    if !KINDS.iter().any(|kind| lower.ends_with(kind)) {
        return Err(format!("a tarball's name ends in {}", KINDS.join(", ")));
    }
    Ok(text.to_owned())
}

/// For the command line: a mirror's URL; nothing means none.
pub(crate) fn mirror(text: &str) -> Result<String, UrlError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let url: Url = text.parse()?;
    if url.0.contains(['?', '#']) {
        return Err(UrlError::Query);
    }
    Ok(url.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_found_wherever_it_stands() {
        let rows = [
            ("https://a.example/x/my-1.tar.gz", Some("my-1.tar.gz")),
            ("HTTP://a.example/my-1.tar.gz?sig=s#f", Some("my-1.tar.gz")),
            ("https://a.example/my%20sql.tar.gz", Some("my sql.tar.gz")),
            ("https://a.example/mysql%2B5.tgz", Some("mysql+5.tgz")),
            ("https://a.example/x.tar.gz/download", Some("x.tar.gz")),
            (
                "https://a.example/d.php?id=1&file=x.tar.xz",
                Some("x.tar.xz"),
            ),
            ("https://a.example/X.TAR.GZ", Some("X.TAR.GZ")),
            ("https://a.example/", None),
            ("https://a.example", None),
            ("https://a.example/.tar.gz", None),
            ("https://a.example/a%2Fb.tar.gz", None),
            ("https://a.example/a%00b.tar.gz", None),
            ("https://a.example/a%ffb.tar.gz", None),
            ("https://a.example/a.html", None),
            ("https://a.example/d?file=../x.tar.xz", None),
        ];
        for (text, expected) in rows {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.file_name().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn url_is_shown_without_what_may_be_secret() {
        let url: Url = "https://me:pw@a.example:8443/x/my-1.tar.gz?sig=s#f"
            .parse()
            .unwrap();
        assert_eq!(url.shown(), "https://a.example:8443/x/my-1.tar.gz");
        assert!(url.as_str().contains("me:pw@"));
    }

    #[test]
    fn what_is_no_url_or_no_mirror_is_refused() {
        let rows = [
            ("127.0.0.1:8080/x", UrlError::Scheme),
            ("/srv/tarballs", UrlError::Scheme),
            ("file:///srv", UrlError::Scheme),
            ("ftp://a.example", UrlError::Scheme),
            ("http:///x", UrlError::NoHost),
            ("http://:80/x", UrlError::NoHost),
            ("http://me@/x", UrlError::NoHost),
            ("http://a.example/a b", UrlError::Character),
            ("http://a.example/a\nurl=b", UrlError::Character),
            ("http://a.example/?x=1", UrlError::Query),
        ];
        for (text, expected) in rows {
            assert_eq!(mirror(text), Err(expected), "{text}");
        }
        assert_eq!(
            mirror("HTTPS://a.example/x/"),
            Ok("https://a.example/x/".to_owned())
        );
        assert_eq!(mirror(""), Ok(String::new()));
    }

    #[test]
    fn name_that_is_none_is_refused_with_exact_text() {
        let rows = [
            (
                "a/b.tar",
                "write a file's name, without a directory: -o names that",
            ),
            (
                "b.zip",
                "a tarball's name ends in .tar, .tar.gz, .tgz, .tar.xz, .txz, .tar.zst",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(file_name(text), Err(expected.to_owned()));
        }
    }
}
