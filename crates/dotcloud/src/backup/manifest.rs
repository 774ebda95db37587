//! What every copy has, whatever made it: `manifest.json`, with each file's length and digest. Written
//! by a service, so nothing in it is believed but where the files say the same.

use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::BackupError;
use crate::host::beneath::Directory;

/// In a copy.
pub(super) const NAME: &str = "manifest.json";

/// A million files fit.
const LONGEST: u64 = 256 << 20;

/// The part that the platform knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// What made it, for people.
    #[serde(default)]
    pub(crate) server: String,
    /// How, for people.
    #[serde(default)]
    pub(crate) method: String,
    /// What went wrong although there is a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    pub(crate) files: Vec<FileEntry>,
}

/// One file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    /// Reads the one of a copy that a service made.
    pub(super) fn read(copy: &Directory) -> Result<(Self, Vec<u8>), BackupError> {
        let mut text = Vec::new();
        copy.read(NAME)
            .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
            .map_err(BackupError::read_back)?;
        Ok((Self::parse(&text)?, text))
    }

    /// Refuses one that names what cannot be a file of a copy.
    pub(super) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|source| BackupError::Manifest { source })?;
        let wrong = manifest.files.iter().find(|file| !is_plain(&file.path));
        match wrong {
            None => Ok(manifest),
            Some(file) => Err(BackupError::Copy {
                path: file.path.clone(),
                problem: "has a name that leads elsewhere",
            }),
        }
    }

    /// Of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| file.bytes.saturating_add(sum))
    }
}

/// Below the copy, whatever it is joined to.
pub(super) fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_paths_that_lead_elsewhere_are_refused() {
        for path in ["/etc/passwd", "../x", "a/../../b", "", "./a"] {
            let text = format!(
                r#"{{"server": "s", "method": "m", "more": 1,
                    "files": [{{"path": "{path}", "bytes": 1, "sha256": ""}}]}}"#
            );
            let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{path} of the copy has a name that leads elsewhere")
            );
        }
        let text = r#"{"files": [{"path": "data/a", "bytes": 3, "sha256": "x"}]}"#;
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap().bytes(), 3);
        assert_eq!(
            Manifest::parse(b"{").unwrap_err().to_string(),
            "the manifest of the copy cannot be understood"
        );
    }
}
