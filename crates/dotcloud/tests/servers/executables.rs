//! What `make hooks` built is small, static, and answers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::world::root;

/// A hook is uploaded and copied at every push. The decoders of gzip, xz and zstd are 0.3 MB of builder;
/// what postinstall and starttest know of the files of every series is as much of theirs.
const LARGEST_HOOK: usize = 2_450_000;
/// backup has a client of its own: not every release brings one.
const LARGEST_BACKUP: usize = 4_300_000;
/// repack stays where it is built, and carries compressors and TLS.
const LARGEST_REPACK: usize = 5_000_000;

#[test]
fn hooks_and_repack_are_static_small_and_tell_their_version() {
    let hook = |name: &str| root().join("hooks").join(name);
    let hooks = ["builder", "postinstall", "starttest"].map(hook);
    let repack = root().join("target/bin/repack");
    let limits = hooks.map(|hook| (hook, LARGEST_HOOK));
    let others = [(hook("backup"), LARGEST_BACKUP), (repack, LARGEST_REPACK)];
    for (path, limit) in limits.into_iter().chain(others) {
        let bytes =
            fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run `make test`", path.display()));
        assert!(
            bytes.len() <= limit,
            "{}: {} bytes",
            path.display(),
            bytes.len()
        );
        assert!(
            !has_interpreter(&bytes),
            "{} is linked dynamically",
            path.display()
        );
        assert_tells_its_version(&path);
    }
    assert_tells_its_version(&root().join("target/bin/dotcloud"));
}

fn assert_tells_its_version(path: &PathBuf) {
    let output = Command::new(path).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", path.display());
    assert!(
        text.trim_end().ends_with(env!("CARGO_PKG_VERSION")) || text.starts_with("dotcloud/"),
        "{text}"
    );
}

/// Only a dynamically linked executable names a loader.
fn has_interpreter(elf: &[u8]) -> bool {
    let header = FileHeader64::<Endianness>::parse(elf).unwrap();
    let endian = header.endian().unwrap();
    header
        .program_headers(endian, elf)
        .unwrap()
        .iter()
        .any(|segment| segment.p_type(endian) == PT_INTERP)
}
