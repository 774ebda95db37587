//! PAX extended headers (POSIX pax, "pax Interchange Format"): what they say about an entry's name,
//! target and size. Everything else in them is left unread.

use crate::archive::ArchiveError;

/// One header. A record that comes again counts last, as POSIX has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax<'a> {
    pub(crate) path: Option<&'a [u8]>,
    pub(crate) linkpath: Option<&'a [u8]>,
    pub(crate) size: Option<u64>,
    /// GNU tar's way to write holes.
    pub(crate) sparse: bool,
}

impl<'a> Pax<'a> {
    /// Reads records of the form `LENGTH KEY=VALUE\n`, where LENGTH counts all of it.
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or(ArchiveError::Pax)?;
            match key {
                b"path" => pax.path = Some(value),
                b"linkpath" => pax.linkpath = Some(value),
                b"size" => pax.size = Some(number(value).ok_or(ArchiveError::Pax)?),
                _ => pax.sparse |= key.starts_with(b"GNU.sparse."),
            }
            bytes = rest;
        }
        Ok(pax)
    }

    /// Whether it says what can be true of one entry only.
    pub(crate) fn describes_an_entry(&self) -> bool {
        *self != Self::default()
    }
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    // `parse` would take a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_of_each_shape_is_read_or_refused() {
        let path = |path| Pax {
            path: Some(path),
            ..Pax::default()
        };
        let rows: &[(&[u8], Option<Pax<'_>>, &str)] = &[
            (b"", Some(Pax::default()), "no record"),
            (b"10 path=a\n", Some(path(b"a")), "one record"),
            (
                b"12 path=a\nb\n",
                Some(path(b"a\nb")),
                "a line end in a name",
            ),
            (
                b"10 path=a\n10 path=b\n",
                Some(path(b"b")),
                "the last counts",
            ),
            (b"9 mtime=\n", Some(Pax::default()), "something else"),
            (b"11 path=a\n", None, "longer than the header"),
            (b"8 path=a\n", None, "shorter than itself"),
            (b"0 path=a\n", None, "no length"),
            (b"+10 path=a\n", None, "a sign"),
            (b"7 path\n", None, "no value"),
            (b"path=a\n", None, "no number"),
            (b"99999999999999999999 path=a\n", None, "beyond any number"),
            (b"11 size=-1\n", None, "a negative size"),
            (b"1 \n", None, "shorter than its own length"),
        ];
        for (bytes, expected, reason) in rows {
            assert_eq!(&Pax::parse(bytes).ok(), expected, "{reason}");
        }
    }

    #[test]
    fn pax_about_one_entry_is_known() {
        let describes = |bytes| Pax::parse(bytes).unwrap().describes_an_entry();
        assert!(describes(b"10 path=a\n"));
        assert!(describes(b"10 size=1\n"));
        assert!(describes(b"22 GNU.sparse.major=1\n"));
        assert!(!describes(b"13 comment=a\n"));
    }
}
