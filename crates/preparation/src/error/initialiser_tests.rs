//! What the vendor's initialiser said, in the error that its failure makes.

use std::fs;

use hook::CommandError;

use super::tests::assert_rendered;
use super::*;

/// The initialiser's failure with `logged` in its log and `last_words` on its stderr.
fn initialiser_says(logged: &str, last_words: &str) -> (tempfile::TempDir, Error) {
    use std::os::unix::process::ExitStatusExt;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("initialise.log");
    fs::write(&log, logged).unwrap();
    let source = CommandError::Fail {
        program: "mysqld".into(),
        status: std::process::ExitStatus::from_raw(256),
        last_words: last_words.to_owned(),
    };
    let error = InitialiseError::RunInitialiser { log, source };
    (dir, Error::Prepare(PrepareError::Initialise(error)))
}

#[test]
fn initialiser_failure_shows_its_first_errors_and_knows_a_full_disk() {
    let text = "the server could not initialise its data directory\n  cause: mysqld ended with \
                status 1\n";
    let (_dir, error) = initialiser_says("[Note] a\n[ERROR] b\n", "words");
    assert_rendered(
        error,
        &format!(
            "{text}  | [ERROR] b\n  next: correct what it says, start again: nothing was left \
             behind that counts"
        ),
    );
    let (_dir, error) = initialiser_says("", "write: No space left on device");
    assert_rendered(
        error,
        &format!(
            "{text}  | write: No space left on device\n  next: make room on the disk, start again: \
             nothing was left behind that takes any"
        ),
    );
}

#[test]
fn room_error_has_its_text() {
    let error = mycnf::RoomError {
        path: "/h/data".into(),
        free: 24 << 10,
    };
    assert_rendered(
        Error::Prepare(PrepareError::Initialise(error.into())),
        "/h/data has 24K of room, and a fresh database needs at least 32M\n  next: make room on the \
         disk, start again: nothing was left behind that takes any",
    );
}
