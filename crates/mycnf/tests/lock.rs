//! One test alone in its process: a lock is inherited by whatever any thread starts meanwhile.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mycnf::{DataLock, LockError};

fn acquire(path: &Path) -> Result<DataLock, LockError> {
    DataLock::acquire(path, Duration::ZERO)
}

#[test]
fn lock_is_exclusive_names_its_holder_and_passes_to_children() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mysqldb.lock");
    let first = acquire(&path).unwrap();
    assert_eq!(
        acquire(&path).unwrap_err().to_string(),
        format!(
            "process {} is using the data directory (it holds {})",
            std::process::id(),
            path.display()
        )
    );
    drop(first);

    let lock = acquire(&path).unwrap();
    let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    drop(lock);
    assert!(matches!(acquire(&path), Err(LockError::Held { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
    acquire(&path).unwrap();

    assert_eq!(
        acquire(Path::new("/proc/nowhere/mysqldb.lock"))
            .unwrap_err()
            .to_string(),
        "cannot lock /proc/nowhere/mysqldb.lock"
    );
}
