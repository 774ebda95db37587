//! Values: what the servers read between the quotes, and how to write a value so that they
//! read it back.

/// The value the servers take from `raw`, the text after `=` without surrounding blanks.
pub(super) fn decode(raw: &[u8]) -> Vec<u8> {
    let inner = match raw {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        _ => raw,
    };
    let mut value = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => value.push(b'\n'),
            Some(b't') => value.push(b'\t'),
            Some(b'r') => value.push(b'\r'),
            Some(b'b') => value.push(0x08),
            Some(b's') => value.push(b' '),
            Some(quoted @ (b'"' | b'\'' | b'\\')) => value.push(quoted),
            Some(other) => value.extend([b'\\', other]),
            None => value.push(b'\\'),
        }
    }
    value
}

/// `value` as to be written after `=`: quoted only where it must be.
pub(super) fn encode(value: &[u8]) -> Vec<u8> {
    if !value.is_empty() && value.iter().all(|byte| is_plain(*byte)) {
        return value.to_vec();
    }
    let mut quoted = vec![b'"'];
    for byte in value {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    quoted
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+,:@%*=~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_raw_table() {
        for (raw, value, reason) in [
            (&b"3306"[..], &b"3306"[..], "plain"),
            (b"\"a b\"", b"a b", "double quotes"),
            (b"'a b'", b"a b", "single quotes"),
            (b"\"a'", b"\"a'", "different quotes stay"),
            (b"\"", b"\"", "one quote stays"),
            (b"\"\"", b"", "nothing between quotes"),
            (b"a\\sb\\tc\\nd\\re\\bf", b"a b\tc\nd\re\x08f", "escapes"),
            (b"\\\\\\'\\\"", b"\\'\"", "escaped specials"),
            (b"C:\\dir", b"C:\\dir", "unknown escape stays"),
            (b"end\\", b"end\\", "backslash at the end stays"),
            (b"\"end\\\"", b"end\\", "even before the closing quote"),
        ] {
            assert_eq!(decode(raw), value, "{reason}");
        }
    }

    #[test]
    fn encode_any_value_decodes_to_itself() {
        for value in [
            &b"/home/dotcloud/mysql/install"[..],
            b"",
            b" leading and trailing ",
            b"a#b",
            b"it's",
            b"say \"hi\"",
            b"back\\slash\\",
            b"\\n",
            b"tab\tnew\nline\rreturn\x08",
            b"'",
            b"\"",
            b"voil\xc3\xa0",
            b"\xff\xfe",
        ] {
            assert_eq!(decode(&encode(value)), value);
        }
    }

    #[test]
    fn encode_ordinary_path_stays_unquoted() {
        assert_eq!(encode(b"/home/me/.my-1.cnf"), b"/home/me/.my-1.cnf");
        assert_eq!(encode(b"/home/a b"), b"\"/home/a b\"");
        assert_eq!(encode(b""), b"\"\"");
    }
}
