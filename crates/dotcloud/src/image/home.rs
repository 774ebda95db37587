//! The snapshot's layers: what `image: layers:` names, each in one, and the rest with the directories that
//! a container writes.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use super::layer::{Layer, LayerWriter, Rights};
use super::plan::{HOME, Settings, USER};

/// Whoever the container's user is has to be able to read everything; a snapshot holds no secret.
const READABLE: u32 = 0o644;
const SEARCHABLE: u32 = 0o755;
/// Whoever it is may write there, and nobody may remove what is another's.
const ANYBODYS: u32 = 0o1777;

/// The layers of `snapshot`, in the order of `settings`, the rest last.
pub(crate) fn layers(snapshot: &Path, settings: &Settings) -> io::Result<Vec<Layer>> {
    let mut homes = Vec::new();
    for _ in 0..=settings.layers.len() {
        homes.push(HomeLayer::new()?);
    }
    let decoder = zstd::Decoder::with_buffer(BufReader::new(File::open(snapshot)?))?;
    let mut archive = Archive::new(decoder);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if settings.leaves_out(&path) {
            continue;
        }
        let layer = settings.layer_of(&path);
        let home = &mut homes[layer];
        let mode = if entry.header().mode()? & 0o100 == 0 {
            READABLE
        } else {
            SEARCHABLE
        };
        let link = entry.link_name()?.map(std::borrow::Cow::into_owned);
        match (entry.header().entry_type(), link) {
            (EntryType::Directory, _) => home.directory(&path, SEARCHABLE)?,
            (EntryType::Symlink, Some(to)) => {
                home.parents(&path)?;
                home.layer
                    .symlink(&home_path(&path), ours(SEARCHABLE), &to)?;
            }
            (EntryType::Link, Some(first)) if settings.layer_of(&first) == layer => {
                home.parents(&path)?;
                home.layer
                    .hard_link(&home_path(&path), ours(mode), &home_path(&first))?;
            }
            (EntryType::Regular | EntryType::GNUSparse, _) => {
                home.parents(&path)?;
                let size = entry.size();
                home.layer
                    .file(&home_path(&path), ours(mode), size, &mut entry)?;
            }
            (kind, _) => {
                let what = format!("{}: an entry of kind {kind:?}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
    if let Some(rest) = homes.last_mut() {
        let writable = ["data"]
            .into_iter()
            .chain(settings.writable.iter().map(String::as_str));
        for path in writable {
            rest.directory(Path::new(path), ANYBODYS)?;
        }
    }
    let names = settings
        .layers
        .iter()
        .map(String::as_str)
        .chain(["the rest"]);
    let layers = homes.into_iter().zip(names);
    layers.map(|(home, what)| home.layer.finish(what)).collect()
}

struct HomeLayer {
    layer: LayerWriter,
}

impl HomeLayer {
    fn new() -> io::Result<Self> {
        Ok(Self {
            layer: LayerWriter::new()?,
        })
    }

    /// `path` below the home, and what is above it.
    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        self.parents(path)?;
        self.layer.directory(&home_path(path), ours(mode))
    }

    fn parents(&mut self, path: &Path) -> io::Result<()> {
        let root = Rights {
            uid: 0,
            gid: 0,
            mode: SEARCHABLE,
        };
        self.layer.directory(Path::new("home"), root)?;
        self.layer
            .directory(&home_path(Path::new("")), ours(SEARCHABLE))?;
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for path in above {
            if !path.as_os_str().is_empty() {
                self.layer.directory(&home_path(path), ours(SEARCHABLE))?;
            }
        }
        Ok(())
    }
}

fn ours(mode: u32) -> Rights {
    Rights {
        uid: USER,
        gid: USER,
        mode,
    }
}

fn home_path(path: &Path) -> PathBuf {
    let home = Path::new(HOME.trim_start_matches('/'));
    if path.as_os_str().is_empty() {
        home.to_owned()
    } else {
        home.join(path)
    }
}
