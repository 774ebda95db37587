//! `image`: a built service as a file for container engines.

use super::{Call, check_service};
use crate::build_file::BuildFile;
use crate::cli;
use crate::error::Error;
use crate::image::{self, ImageError, Source, Tag};
use crate::model::application::Selection;
use crate::output::console;

/// Makes it of the last good build.
pub(super) fn image(call: &Call, arguments: &cli::Image) -> Result<(), Error> {
    let name = call.application_name()?;
    // Nobody removes the snapshot meanwhile.
    let application = call.locked(&name)?;
    let service = &arguments.service;
    let selection = Selection {
        service: service.clone(),
        number: None,
    };
    check_service(&application, &selection)?;
    let not_built = || ImageError::NotBuilt {
        service: service.clone(),
    };
    let snapshot = application.services.get(service);
    let snapshot = snapshot
        .and_then(|found| found.snapshot.as_ref())
        .ok_or_else(not_built)?;
    let revision = application.revision.as_ref().ok_or_else(not_built)?;
    let store = &call.platform.store;
    let snapshot = store.snapshots(&name).join(snapshot);
    if !snapshot.is_file() {
        return Err(ImageError::Gone { path: snapshot }.into());
    }
    let file = BuildFile::read(&store.revision(&name, revision).join("dotcloud.yml"))?;
    let declared = file
        .services
        .get(service)
        .ok_or_else(|| Error::NotInBuildFile {
            service: service.clone(),
        })?;
    let tags = if arguments.tag.is_empty() {
        vec![
            format!("localhost/{name}-{service}")
                .parse::<Tag>()
                .map_err(ImageError::from)?,
        ]
    } else {
        arguments.tag.clone()
    };
    let source = Source {
        service: declared,
        snapshot: &snapshot,
        base: arguments.base.as_deref(),
        cache: &store.packages(),
    };
    let made = image::make(&source, &tags, &arguments.output)?;
    for (what, size) in &made.layers {
        console::info(format!("{size:>12} bytes  {what}"));
    }
    let names: Vec<&str> = tags.iter().map(Tag::given).collect();
    console::success(format!(
        "{}: {} {}",
        arguments.output.display(),
        names.join(", "),
        made.digest
    ));
    Ok(())
}
