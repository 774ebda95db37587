//! A release: the unpacked server under `~/mysql/releases/ID`, complete or not there at all.

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use hook::Report;
use mycnf::{Layout, ProbeError, Server};
use thiserror::Error;

use crate::libraries::{self, LibrariesError};
use crate::protection;
use crate::tarball::{Tarball, TarballError};
use crate::unpack::{Limits, UnpackError, unpack};

/// Directories with this prefix are ours and unfinished.
const UNFINISHED: &str = ".unpacking-";

/// Makes sure that the release of `tarball`, which may inflate to `max_size` bytes, is unpacked, checked and identified. Gives its name too.
///
/// Killed at any point, it leaves at most an unfinished directory, which the next run removes.
pub(crate) fn install(
    tarball: &Tarball,
    max_size: u64,
    layout: &Layout,
    report: &mut Report,
) -> Result<(String, Server), ReleaseError> {
    let releases = layout.releases();
    // Else it must be unpacked anyway, and is read once for both.
    if is_maybe_there(tarball, &releases) {
        let id = tarball.release_id()?;
        let release = releases.join(&id);
        if release.is_dir() {
            report.bullet(format!("kept release {id}, the same tarball as before"));
            return Ok((id, Server::stamped(&release)?));
        }
    }
    let prepare = |source| ReleaseError::Prepare {
        path: releases.clone(),
        source,
    };
    let missing: Vec<&Path> = releases.ancestors().take_while(|p| !p.exists()).collect();
    fs::create_dir_all(&releases).map_err(prepare)?;
    remove_unfinished(&releases).map_err(prepare)?;
    let result = install_new(tarball, max_size, &releases, report);
    if result.is_err() {
        for made in missing {
            // Empty again, or not ours alone.
            let _ = fs::remove_dir(made);
        }
    }
    result
}

/// Makes sure that the release of the tarball `path` is unpacked, checked and identified below `layout`, for
/// whoever builds no service. Gives its name too. The caller holds a lock.
pub fn unpack_release(
    path: &Path,
    layout: &Layout,
    report: &mut Report,
) -> Result<(String, Server), ReleaseError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let tarball = Tarball::find(directory, path.file_name())?;
    install(&tarball, judge::MAX_SIZE, layout, report)
}

/// Whether there is a release of that name: of this content, or of another.
fn is_maybe_there(tarball: &Tarball, releases: &Path) -> bool {
    let prefix = tarball.release_prefix();
    fs::read_dir(releases).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
    })
}

fn install_new(
    tarball: &Tarball,
    max_size: u64,
    releases: &Path,
    report: &mut Report,
) -> Result<(String, Server), ReleaseError> {
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(releases)
        .map_err(|source| ReleaseError::Prepare {
            path: releases.to_owned(),
            source,
        })?;
    let threads = threads();
    let limits = Limits { threads, max_size };
    let unpacked = unpack(&tarball.path, unfinished.path(), limits)?;
    let id = tarball.release_id_of(&unpacked.digest);
    let release = releases.join(&id);
    report.bullet(format!(
        "unpacked {} files, {} MB",
        unpacked.files,
        unpacked.bytes / 1_000_000
    ));
    if let Some(first) = unpacked.left_out.first() {
        report.bullet(format!(
            "left out {} symbolic links of the test suite that lead out of the tarball, '{}' first",
            unpacked.left_out.len(),
            first.display()
        ));
    }
    libraries::check(&unpacked.top, &tarball.path)?;
    let mut server = Server::probe(&unpacked.top)?;
    report.bullet(format!("found {server}, as the server itself says"));
    put_in_place(&server, &release).map_err(|source| ReleaseError::PutInPlace {
        path: release.clone(),
        source,
    })?;
    server.executable = release.join(
        server
            .executable
            .strip_prefix(&server.basedir)
            .unwrap_or(&server.executable),
    );
    server.basedir = release;
    Ok((id, server))
}

/// As many as can be kept busy: one thread writes what all the others inflate.
fn threads() -> NonZero<usize> {
    const MOST: NonZero<usize> = NonZero::new(4).unwrap();
    thread::available_parallelism().map_or(NonZero::<usize>::MIN, |cores| cores.min(MOST))
}

/// Points `~/mysql/install` at the release, which nobody writes any more, and drops the others.
pub(crate) fn activate(id: &str, layout: &Layout, report: &mut Report) -> Result<(), ReleaseError> {
    let (releases, install) = (layout.releases(), layout.install());
    // Not before it is in its place: a directory that cannot be written cannot be moved. Every time: the
    // last build may have been killed.
    protection::protect(&releases.join(id)).map_err(|source| ReleaseError::Prepare {
        path: releases.join(id),
        source,
    })?;
    durable::replace_link(&install, &Path::new("releases").join(id)).map_err(|source| {
        ReleaseError::PutInPlace {
            path: install,
            source,
        }
    })?;
    drop_others(&releases, id, report).map_err(|source| ReleaseError::Prepare {
        path: releases,
        source,
    })
}

fn drop_others(releases: &Path, id: &str, report: &mut Report) -> io::Result<()> {
    for entry in fs::read_dir(releases)? {
        let entry = entry?;
        if entry.file_name() != id {
            protection::remove(&entry.path())?;
            report.bullet(format!("dropped release {}", entry.file_name().display()));
        }
    }
    Ok(())
}

fn remove_unfinished(releases: &Path) -> io::Result<()> {
    durable::remove_all_but(releases, |name| {
        !name.to_string_lossy().starts_with(UNFINISHED)
    })
}

fn put_in_place(server: &Server, release: &Path) -> io::Result<()> {
    let (stamp, text) = server.stamp();
    fs::write(stamp, text)?;
    durable::place_directory(&server.basedir, release)
}

/// The release is not installed; the previous one, if any, is untouched.
#[derive(Debug, Error)]
pub enum ReleaseError {
    /// The directory of releases.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// It, or what is in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading the tarball.
    #[error(transparent)]
    Tarball(#[from] TarballError),
    /// Unpacking it.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// What the server needs of this machine.
    #[error(transparent)]
    Libraries(#[from] LibrariesError),
    /// What the server is.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Sync, rename or link.
    #[error("cannot put {path} in place", path = path.display())]
    PutInPlace {
        /// The final name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activate_repoints_and_drops_older_releases() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        for id in ["old-1", "new-2"] {
            fs::create_dir_all(layout.releases().join(id).join("bin")).unwrap();
        }
        let mut report = Report::to_writer(io::sink());
        activate("old-1", &layout, &mut report).unwrap();
        fs::create_dir_all(layout.releases().join("new-2")).unwrap();
        activate("new-2", &layout, &mut report).unwrap();
        assert_eq!(
            fs::read_link(layout.install()).unwrap(),
            Path::new("releases/new-2")
        );
        assert!(!layout.releases().join("old-1").exists());
        let new = fs::metadata(layout.releases().join("new-2")).unwrap();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&new.permissions()) & 0o777,
            0o555
        );
    }

    #[test]
    fn errors_have_exact_texts() {
        let source = || io::Error::other("x");
        let path = PathBuf::from("/h/mysql/releases");
        let prepare = ReleaseError::Prepare {
            path: path.clone(),
            source: source(),
        };
        assert_eq!(prepare.to_string(), "cannot prepare /h/mysql/releases");
        let put = ReleaseError::PutInPlace {
            path,
            source: source(),
        };
        assert_eq!(put.to_string(), "cannot put /h/mysql/releases in place");
    }
}
