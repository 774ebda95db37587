//! `blink list` and `blink remove`: what the cache has.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;
use thiserror::Error;

use crate::cache::{Cache, CacheError};
use crate::release::Release;
use crate::seed::{SeedError, load, names, saved};

/// Releases and saved seeds, as a table or as JSON.
pub(crate) fn list(cache: &Cache, json: bool) -> String {
    let releases = Release::all(cache);
    let seeds: Vec<(String, String)> = names(cache)
        .into_iter()
        .map(|name| {
            let server =
                load(cache, &name).map_or_else(|_| "damaged".to_owned(), |(_, note)| note.server);
            (name, server)
        })
        .collect();
    if json {
        let releases: Vec<_> = releases
            .iter()
            .map(|release| json!({"name": release.id, "server": release.server.to_string()}))
            .collect();
        let seeds: Vec<_> = seeds
            .iter()
            .map(|(name, server)| json!({"name": name, "server": server}))
            .collect();
        let all =
            json!({"cache": cache.root().to_string_lossy(), "releases": releases, "seeds": seeds});
        return format!("{all}\n");
    }
    let mut text = String::new();
    for release in releases {
        let _ = writeln!(
            text,
            "release  {:<20} {}",
            release.server.to_string(),
            release.id
        );
    }
    for (name, server) in seeds {
        let _ = writeln!(text, "seed     {server:<20} {name}");
    }
    text
}

/// Removes the release or the seed called `name`, while nobody uses the cache.
pub(crate) fn remove(cache: &Cache, name: &str) -> Result<(), RemoveError> {
    let release = cache.layout().releases().join(name);
    let seed = saved(cache, name)?;
    let is_release = Release::all(cache).iter().any(|release| release.id == name);
    if !is_release && !names(cache).iter().any(|seed| seed == name) {
        let name = name.to_owned();
        return Err(RemoveError::Unknown { name });
    }
    let _maker = cache.make()?;
    cache.alone()?;
    if is_release {
        // Its seeds first: without it they are of no use.
        let seeds = cache.directory("seeds")?;
        for entry in fs::read_dir(&seeds).into_iter().flatten().flatten() {
            let of_release = entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{name}-"));
            if of_release {
                gone(&entry.path())?;
            }
        }
        gone(&release)?;
    } else {
        gone(&seed)?;
    }
    Ok(())
}

fn gone(path: &Path) -> Result<(), CacheError> {
    // A name that tells that it is unfinished, whatever ends us.
    let remove = || -> io::Result<()> {
        let parent = path.parent().unwrap_or(path);
        let going = tempfile::Builder::new()
            .prefix(crate::cache::MAKING)
            .tempdir_in(parent)?;
        durable::rename_unsynced(path, going.path().join("old"))?;
        going.close()
    };
    remove().map_err(|source| CacheError::Write {
        path: path.to_owned(),
        source,
    })
}

/// It was not removed.
#[derive(Debug, Error)]
pub(crate) enum RemoveError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Its name.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Nothing is called so.
    #[error("the cache has neither a release nor a seed '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
    },
}
