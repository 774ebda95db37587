//! Whether the database came by `CLONE` from another server since root's password was written down: it
//! has that server's accounts.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use hook::Report;
use mycnf::{Layout, Password};

use crate::accounts::AccountInputs;

/// What the clone plugin leaves in the data directory.
const TRACES: [&str; 2] = ["#clone/#view_status", "#clone/#status_recovery"];

/// The password `written` in the credentials file, if it counts: not where another one's accounts are to
/// be given a password, which is then written anew. Where they are not, that is told.
pub(crate) fn known(
    data_dir: &Path,
    layout: &Layout,
    inputs: &AccountInputs,
    written: Option<Password>,
    report: &mut Report,
) -> Option<Password> {
    let Some(warning) = warning(data_dir, &layout.credentials()) else {
        return written;
    };
    if inputs.root_password.is_some() {
        return None;
    }
    report.warning(warning);
    written
}

/// The warning, if so.
fn warning(data_dir: &Path, credentials: &Path) -> Option<String> {
    let cloned = TRACES
        .iter()
        .filter_map(|name| changed(&data_dir.join(name)))
        .max()?;
    (cloned > changed(credentials)?).then(|| {
        format!(
            "the database was cloned from another server, whose accounts it has: set \
             MYSQL_ROOT_PASSWORD, or write that server's into {}",
            credentials.display()
        )
    })
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn warning_only_until_the_credentials_are_newer() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("credentials");
        let write = |path: &Path, at: u64| {
            let file = fs::File::create(path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            file.set_modified(time).unwrap();
        };
        write(&credentials, 1);
        assert_eq!(warning(dir.path(), &credentials), None);
        fs::create_dir(dir.path().join("#clone")).unwrap();
        write(&dir.path().join("#clone/#view_status"), 2);
        assert!(warning(dir.path(), &credentials).is_some());
        write(&credentials, 3);
        assert_eq!(warning(dir.path(), &credentials), None);
    }
}
