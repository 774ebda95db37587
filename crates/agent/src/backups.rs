//! How the backups of this service are, as whoever makes them left it in `~/data/backups.json`: the platform,
//! or a `CronJob`. Whatever else is in that file harms nothing; what cannot be understood counts as a failure.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::Value;

/// A whole one is much smaller.
const LONGEST: u64 = 4096;

/// Of one kind: copies of all, or of what was changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// When the last good one was made, in seconds since 1970.
    pub(crate) good: Option<u64>,
    /// When one was last tried out.
    pub(crate) verified: Option<u64>,
    /// The last one failed, or one that was due was not made.
    pub(crate) failed: bool,
}

/// Both kinds, as far as somebody makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backups {
    pub(crate) copies: Option<Health>,
    pub(crate) changes: Option<Health>,
}

impl Backups {
    /// What `path` says, if it is there, at `now`.
    pub(crate) fn read(path: &Path, now: u64) -> Self {
        // Neither a link, nor a pipe that waits for somebody.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(CWD, path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Self::default(),
            Err(_) => return Self::damaged(),
        };
        let is_file = file.metadata().is_ok_and(|found| found.is_file());
        let mut text = Vec::new();
        if !is_file || file.take(LONGEST + 1).read_to_end(&mut text).is_err() {
            return Self::damaged();
        }
        let whole = u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST);
        match serde_json::from_slice(&text) {
            Ok(Value::Object(found)) if whole => Self {
                copies: Health::of(found.get("copies"), now),
                changes: Health::of(found.get("changes"), now),
            },
            Ok(_) | Err(_) => Self::damaged(),
        }
    }

    fn damaged() -> Self {
        Self {
            copies: Some(Health {
                failed: true,
                ..Health::default()
            }),
            changes: None,
        }
    }
}

impl Health {
    fn of(found: Option<&Value>, now: u64) -> Option<Self> {
        let found = found.filter(|found| !found.is_null())?;
        let seconds = |name: &str| found.get(name).and_then(Value::as_u64);
        let in_time = match found.get("overdue") {
            None | Some(Value::Null) => true,
            Some(overdue) => overdue.as_u64().is_some_and(|overdue| now < overdue),
        };
        let succeeded = found.get("failed").and_then(Value::as_bool) == Some(false);
        Some(Self {
            good: seconds("good"),
            verified: seconds("verified"),
            failed: !(succeeded && in_time),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const NOW: u64 = 1000;

    fn read(text: &[u8]) -> Backups {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Backups::read(file.path(), NOW)
    }

    #[test]
    fn read_tells_of_the_last_ones_and_of_one_that_was_missed() {
        let health = |failed| Health {
            good: Some(900),
            verified: Some(800),
            failed,
        };
        for (failed, overdue, expected) in [
            ("false", "null", false),
            ("false", "1001", false),
            ("false", "1000", true),
            ("true", "null", true),
            ("7", "null", true),
            ("false", "-1", true),
            ("false", "\"soon\"", true),
        ] {
            let text = format!(
                "{{\"copies\": {{\"good\": 900, \"verified\": 800, \"failed\": {failed}, \"overdue\": \
                 {overdue}}}, \"changes\": null}}"
            );
            let found = read(text.as_bytes());
            assert_eq!(found.copies, Some(health(expected)), "{text}");
            assert_eq!(found.changes, None);
        }
        let changes = read(b"{\"changes\": {\"good\": 1e300, \"failed\": false}}");
        let expected = Health::default();
        assert_eq!(changes.changes, Some(expected), "no such time");
    }

    #[test]
    fn read_of_what_cannot_be_understood_is_a_failure_and_harms_nothing() {
        let text = "{\"copies\": {\"good\": 900, \"failed\": false}}";
        for length in 0..text.len() {
            assert_eq!(read(&text.as_bytes()[..length]), Backups::damaged());
        }
        let long = format!("{text}{}", " ".repeat(5000));
        let deep = "[".repeat(4000);
        for text in ["null", "[]", "7", "\u{0}", &long, &deep] {
            assert_eq!(read(text.as_bytes()), Backups::damaged(), "{text}");
        }
        for text in ["{\"copies\": 7}", "{\"copies\": []}"] {
            assert!(read(text.as_bytes()).copies.unwrap().failed, "{text}");
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("backups.json");
        assert_eq!(Backups::read(&path, NOW), Backups::default(), "none");
        assert_eq!(Backups::read(home.path(), NOW), Backups::damaged());
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(Backups::read(&path, NOW), Backups::damaged());
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(Backups::read(&path, NOW), Backups::damaged());
    }
}
