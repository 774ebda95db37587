//! Check files: SQL of the user's that a copy is tried out with, each by a client of its own, in the order of
//! the files' names. A statement that fails and a row that a query returns are findings; all are collected.

use hook::CommandError;
use mycnf::{FirstRunFile, Flavour, bare_command, client_errors, with_path};

use crate::check::CheckError;
use crate::service::Service;

/// As many rows of a query are returned, and of its findings shown.
const ROWS: usize = 10;

/// What a check file found.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub file: String,
    /// The rows of its queries, or what the client said.
    pub said: String,
}

/// The check files of this home directory.
pub(crate) fn find(service: &Service) -> Result<Vec<FirstRunFile>, CheckError> {
    Ok(FirstRunFile::all(&service.layout.check_files())?)
}

/// Runs `files` on the server that listens on the private socket and asks for no password.
pub(crate) fn run(service: &Service, files: &[FirstRunFile]) -> Result<(), CheckError> {
    let mut findings = Vec::new();
    for file in files {
        if let Some(said) = run_one(service, file)? {
            let file = file.name();
            findings.push(Finding { file, said });
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(CheckError::Files { findings })
}

/// What it found.
fn run_one(service: &Service, file: &FirstRunFile) -> Result<Option<String>, CheckError> {
    let path = &file.path;
    let read = |source| CheckError::ReadFile {
        path: path.clone(),
        source,
    };
    let client = service
        .server
        .client()
        .ok_or_else(|| CheckError::NoClient {
            path: service.server.basedir.clone(),
        })?;
    // To its end first: the client would only see less of a damaged one.
    file.open()
        .and_then(|mut sql| std::io::copy(&mut sql, &mut std::io::sink()))
        .map_err(read)?;
    let mut command = bare_command(&service.layout, &client);
    command
        // MySQL's clients read a login file there, whatever option file they are given.
        .env("HOME", service.layout.run_dir())
        .args(["--no-defaults", "--user=root"])
        .arg(with_path("--socket=", &service.layout.private_socket()))
        .args(["--protocol=SOCKET", "--host=localhost"])
        .args(["--default-character-set=utf8mb4", "--skip-force"])
        .args(["--comments", "--batch", "--skip-column-names"])
        // A query that finds something may find all rows of a large table.
        .arg(format!(
            "--init-command=SET SESSION sql_select_limit={ROWS}"
        ));
    if service.server.flavour != Flavour::MariaDb {
        // MySQL's client has to be told of `source` and the like from 9.x on.
        command.arg("--loose-commands");
    }
    match hook::feed(&mut command, file.open().map_err(read)?) {
        Ok(finished) if finished.stdout.is_empty() => Ok(None),
        Ok(finished) => Ok(Some(rows(&finished.stdout))),
        Err(error @ CommandError::Fail { .. }) => Ok(Some(client_errors(&error))),
        Err(source) => Err(CheckError::Client { source }),
    }
}

fn rows(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let lines: Vec<&str> = text.lines().take(ROWS).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_first_ones() {
        let many = "a\tb\n".repeat(ROWS + 1);
        assert_eq!(rows(many.as_bytes()).lines().count(), ROWS);
        assert_eq!(rows(b"1\t2\n"), "1\t2");
    }
}
