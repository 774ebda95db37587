//! Why inflating failed, whoever's error wraps the reason.

use std::error::Error;
use std::io;

/// Whether inflating failed because the input wants more memory than it may have.
#[must_use]
pub fn is_memory_limit(error: &io::Error) -> bool {
    // The text is zstd's own; its binding keeps no number.
    let zstd = "Frame requires too much memory for decoding";
    let mut found = false;
    walk(error, |error| {
        let xz = error.downcast_ref::<xz2::stream::Error>();
        found |= xz == Some(&xz2::stream::Error::MemLimit) || error.to_string() == zstd;
    });
    found
}

/// The `E` that an I/O error wraps, however deep.
#[must_use]
pub fn cause<E: Error + Clone + 'static>(error: &io::Error) -> Option<E> {
    let mut found = None;
    walk(error, |error| {
        if let (None, Some(error)) = (&found, error.downcast_ref::<E>()) {
            found = Some(error.clone());
        }
    });
    found
}

/// Shows `look` the error and everything in it.
fn walk(error: &io::Error, mut look: impl FnMut(&(dyn Error + 'static))) {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        look(error);
        // An `io::Error` shows its content to `get_ref` only; its `source` is one further.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn is_memory_limit_of_a_large_window_only() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(28).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[0; 1000]).unwrap();
        let packed = encoder.finish().unwrap();
        let read = |bytes: &[u8]| {
            let mut decoder = zstd::Decoder::new(bytes).unwrap();
            decoder.read_to_end(&mut Vec::new()).unwrap_err()
        };
        let wrapped = io::Error::other(read(&packed));
        assert!(is_memory_limit(&wrapped));
        assert!(!is_memory_limit(&read(b"no frame")));
        let xz = io::Error::other(xz2::stream::Error::MemLimit);
        assert!(is_memory_limit(&xz));
    }

    #[test]
    fn cause_is_found_however_deep() {
        let inner = io::Error::other(xz2::stream::Error::Data);
        let error = io::Error::other(inner);
        assert_eq!(cause(&error), Some(xz2::stream::Error::Data));
        assert_eq!(cause::<xz2::stream::Error>(&io::Error::other("x")), None);
    }
}
