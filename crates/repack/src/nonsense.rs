//! Nonsense as input, for the fuzz target and a test of mutated tarballs: nothing makes the reader
//! fall, and what comes out of it can be unpacked anywhere.

use std::env::temp_dir;
use std::io::Cursor;
use std::path::{Component, Path};

use crate::content::Executables;
use crate::error::Error;
use crate::input::unwrap;
use crate::prune::Pruner;
use crate::rules::STANDARD;
use crate::stream::prune_stream;

/// Enough for a seed, too little for a bomb.
const MAX_SIZE: u64 = 1 << 20;

/// Reads `bytes` as a tarball to be pruned; whether they were accepted.
///
/// # Panics
/// If an archive is accepted that makes another one than it should, or an error is shown badly.
#[doc(hidden)]
#[must_use]
pub fn accepts(bytes: &[u8]) -> bool {
    match prune(bytes) {
        Ok(archive) => {
            assert_sound(&archive);
            true
        }
        Err(error) => {
            let mut text = Vec::new();
            hook::render("repack", &error, &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            let shown = text.lines().all(|line| !line.contains(char::is_control));
            assert!(shown, "{text:?}");
            false
        }
    }
}

fn prune(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let path = Path::new("nonsense");
    let (input, _) = unwrap(path, Cursor::new(bytes.to_vec()), MAX_SIZE)?;
    let mut pruner = Pruner::new(&STANDARD, &[], &[]);
    let executables = Executables {
        wait_in: &temp_dir(),
        strip: true,
    };
    let output = (path, Vec::new());
    let (_, archive) = prune_stream((path, input), output, &mut pruner, executables)?;
    Ok(archive)
}

/// As another reader sees it: no name leads out, and nothing but files, directories and links.
fn assert_sound(archive: &[u8]) {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().into_iter().flatten() {
        let entry = entry.map(|entry| (entry.path_bytes().into_owned(), entry.header().clone()));
        let Ok((name, header)) = entry else {
            assert!(entry.is_ok(), "{:?}", entry.err());
            return;
        };
        let name = String::from_utf8_lossy(&name).into_owned();
        let inside = Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let kind = header.entry_type();
        let known = kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link();
        assert!(inside && known, "{name:?} {kind:?}");
    }
}
