//! How long variables may be: the kernel starts no program with a longer one, or with more of them.

use rustix::process::{Resource, getrlimit};
use thiserror::Error;

/// Of `NAME=VALUE` and its NUL (`MAX_ARG_STRLEN`, 32 pages of 4 KiB).
const STRING: usize = 128 << 10;
/// What the kernel keeps of each beside the text, and we at most in front of its name.
const OVERHEAD: usize = 8 + 16;
/// For the command line, which shares the room, and what the platform adds.
const RESERVE: usize = 256 << 10;
/// The least and the most that the kernel gives to both, whatever the limit of the stack.
const LEAST: usize = 128 << 10;
const MOST: usize = 6 << 20;

/// Variables that no program can be started with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum SizeError {
    #[error(
        "the variable '{name}' is {length} bytes long with its name, and {limit} are what a program \
         can be started with"
    )]
    TooLong {
        name: String,
        length: usize,
        limit: usize,
    },
    #[error(
        "the variables are {length} bytes long together, and {limit} are what a program can be \
         started with"
    )]
    TooMany { length: usize, limit: usize },
}

/// Whether a program can be started with it.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), SizeError> {
    let (length, limit) = (name.len() + 1 + value.len(), STRING - 1);
    if length > limit {
        let name = name.to_owned();
        return Err(SizeError::TooLong {
            name,
            length,
            limit,
        });
    }
    Ok(())
}

/// Whether a program can be started with all of them.
pub(crate) fn check_variables<'a>(
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<(), SizeError> {
    let mut length = 0;
    for (name, value) in variables {
        check_variable(name, value)?;
        length += name.len() + value.len() + "=\0".len() + OVERHEAD;
    }
    let limit = limit();
    if length > limit {
        return Err(SizeError::TooMany { length, limit });
    }
    Ok(())
}

/// A quarter of the stack's limit (execve(2)).
fn limit() -> usize {
    let stack = getrlimit(Resource::Stack).current;
    let room = stack.map_or(MOST, |stack| usize::try_from(stack / 4).unwrap_or(MOST));
    room.clamp(LEAST, MOST)
        .saturating_sub(RESERVE)
        .max(LEAST / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_variable_ends_where_the_kernel_does() {
        assert_eq!(check_variable("A", &"x".repeat(STRING - 3)), Ok(()));
        let error = check_variable("A", &"x".repeat(STRING - 2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the variable 'A' is 131072 bytes long with its name, and 131071 are what a program can \
             be started with"
        );
    }

    #[test]
    fn check_variables_counts_them_together() {
        let many: Vec<(String, String)> = (0..100)
            .map(|number| (format!("A{number}"), "x".repeat(100_000)))
            .collect();
        let error = check_variables(many.iter().map(|(name, value)| (name, value))).unwrap_err();
        let SizeError::TooMany { length, limit } = error else {
            panic!("{error}");
        };
        assert!(length > 10_000_000 && limit < 6 << 20, "{length} {limit}");
        let text = SizeError::TooMany {
            length: 9,
            limit: 8,
        }
        .to_string();
        assert_eq!(
            text,
            "the variables are 9 bytes long together, and 8 are what a program can be started with"
        );
        assert_eq!(
            check_variables(many[..2].iter().map(|(name, value)| (name, value))),
            Ok(())
        );
    }
}
