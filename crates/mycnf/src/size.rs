//! Amounts of memory as option files and the platform write them: `512M`.

/// Bytes in one of `K`.
pub(crate) const KIB: u64 = 1 << 10;
/// Bytes in one of `M`.
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes in one of `G`.
pub(crate) const GIB: u64 = 1 << 30;

/// Reads a number of bytes with the servers' suffixes `K`, `M`, `G` and, newer ones only, `T`, in
/// either case.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], KIB),
        b'M' => (&text[..text.len() - 1], MIB),
        b'G' => (&text[..text.len() - 1], GIB),
        b'T' => (&text[..text.len() - 1], 1 << 40),
        _ => (text, 1),
    };
    // `parse` takes a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(unit))?
}

/// The shortest text that every server reads as exactly `bytes`.
#[must_use]
pub(crate) fn exact_size(bytes: u64) -> String {
    for (unit, suffix) in [(GIB, "G"), (MIB, "M"), (KIB, "K")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// `bytes` for the reader: in whole or tenths of M, or as `exact_size` below that.
#[must_use]
pub fn shown_size(bytes: u64) -> String {
    if bytes < MIB || bytes.is_multiple_of(MIB) {
        return exact_size(bytes);
    }
    // Rounded up: what is needed must not look smaller than it is.
    let tenths = (bytes * 10).div_ceil(MIB);
    if tenths >= 1000 || tenths.is_multiple_of(10) {
        return format!("{}M", tenths.div_ceil(10));
    }
    format!("{}.{}M", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_size_table() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("256k", Some(256 << 10)),
            ("512M", Some(512 << 20)),
            ("1g", Some(1 << 30)),
            ("2T", Some(2 << 40)),
            ("", None),
            ("M", None),
            ("+1M", None),
            ("-1", None),
            ("1.5G", None),
            ("512MB", None),
            ("1é", None),
            ("99999999999G", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_as_servers_read_them() {
        for (bytes, exact, shown) in [
            (0, "0", "0"),
            (1000, "1000", "1000"),
            (768 << 10, "768K", "768K"),
            (40 << 20, "40M", "40M"),
            (2 << 30, "2G", "2G"),
            ((1 << 20) + 1, "1048577", "1.1M"),
            ((3 << 20) / 2, "1536K", "1.5M"),
            ((20 << 20) - 1, "20971519", "20M"),
            ((200 << 20) + 1, "209715201", "201M"),
        ] {
            assert_eq!(exact_size(bytes), exact);
            assert_eq!(shown_size(bytes), shown);
        }
    }
}
