//! A service's snapshot as an image that container engines load: what is in it, how it is started, one
//! file. Knows nothing of what the service is.

mod base;
mod home;
mod layer;
mod layout;
mod plan;
mod tag;

use std::io;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use thiserror::Error;

pub(crate) use base::BaseError;
pub(crate) use tag::Tag;

use crate::build_file::Service;
use crate::host::files::{self, FileError};
use layout::Image;
use plan::Plan;
use tag::TagError;

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) service: &'a Service,
    pub(crate) snapshot: &'a Path,
    /// A root file system instead of ours.
    pub(crate) base: Option<&'a Path>,
    /// Where apt's lists and packages are kept.
    pub(crate) cache: &'a Path,
}

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) digest: String,
    /// Each layer and its compressed size in bytes.
    pub(crate) layers: Vec<(String, u64)>,
}

/// Writes the image of `source`, called `tags`, to `out`: whole, or nothing.
pub(crate) fn make(source: &Source<'_>, tags: &[Tag], out: &Path) -> Result<Made, ImageError> {
    let plan = Plan::of(source.service)?;
    let mut layers = vec![match source.base {
        Some(file) => base::of_file(file)?,
        None => base::layer(source.cache, &plan)?,
    }];
    let home = home::layers(source.snapshot, &plan.settings);
    layers.extend(home.map_err(files::failed("read", source.snapshot))?);
    let image = Image::new(&plan, layers)?;
    write(&image, tags, out)?;
    Ok(Made {
        digest: image.digest(),
        layers: image
            .layers()
            .iter()
            .map(|layer| (layer.what.clone(), layer.size))
            .collect(),
    })
}

fn write(image: &Image, tags: &[Tag], out: &Path) -> Result<(), ImageError> {
    let failed = |source: io::Error| files::failed("write", out)(source);
    let mut pending = durable::Pending::begin(out, 0o644, ".new-").map_err(failed)?;
    image.write(tags, io::BufWriter::new(pending.file()))?;
    pending.place().map_err(failed)?;
    Ok(())
}

/// There is no image.
#[derive(Debug, Error)]
pub(crate) enum ImageError {
    #[error("cannot use what dotcloud.yml says below 'image' of the service '{service}'")]
    Settings {
        service: String,
        source: serde_json::Error,
    },
    #[error("dotcloud.yml gives port '{port}' of the service '{service}' no number in an image")]
    Port { service: String, port: String },
    #[error("'{line}' needs a shell, which an image may not have")]
    Command { line: String },
    #[error("the service '{service}' was not built yet")]
    NotBuilt { service: String },
    #[error("the snapshot {path} is not there any more", path = path.display())]
    Gone { path: PathBuf },
    #[error(transparent)]
    Tag(#[from] TagError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error("cannot write the image")]
    Layout(#[from] OciSpecError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests;
