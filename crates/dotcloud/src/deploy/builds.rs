//! The builds of a deployment and their results, which are kept as long as the code is they were
//! built of: deploying a revision again takes no build if nothing else that goes into one differs.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{DeployError, Request, check_stop, packages};
use crate::build_file::Service;
use crate::deploy::build::{self, variables};
use crate::host::files::{self, FileError};
use crate::model::application::{Application, Built, Service as ServiceRecord};
use crate::output::deployment_log::DeploymentLog;
use crate::service::platform::Platform;
use crate::state::snapshot::short_id;

/// Builds every service of the build file; one failure ends the deployment.
pub(super) fn make(
    platform: &Platform,
    application: &mut Application,
    request: Request<'_>,
    log: &mut DeploymentLog,
) -> Result<(), DeployError> {
    packages::provide(platform, request.build_file, log)?;
    for service in request.build_file.services.values() {
        check_stop(platform)?;
        let built = match kept(platform, application, request, service) {
            Some(built) => {
                log.platform(format!(
                    "{} was built of this revision before",
                    service.name
                ));
                built
            }
            None => make_one(platform, application, request, service, log)?,
        };
        let record = application
            .services
            .entry(service.name.clone())
            .or_insert_with(|| ServiceRecord {
                kind: service.kind.clone(),
                snapshot: None,
                instances: BTreeMap::new(),
                scale: None,
                memory: None,
            });
        record.snapshot = Some(built.snapshot.clone());
        application
            .builds
            .entry(request.revision.to_owned())
            .or_default()
            .insert(service.name.clone(), built);
        platform.store.save(application)?;
    }
    log.platform("Build done");
    Ok(())
}

fn make_one(
    platform: &Platform,
    application: &Application,
    request: Request<'_>,
    service: &Service,
    log: &mut DeploymentLog,
) -> Result<Built, DeployError> {
    log.platform(format!("Build of {} started", service.name));
    let previous = application
        .services
        .get(&service.name)
        .and_then(|record| record.snapshot.as_deref())
        .filter(|_| !request.options.clean);
    let order = build::Order {
        platform,
        application,
        service,
        code: request.code,
        previous,
        runtime: request.runtime,
    };
    let taken = build::build(order, log).map_err(|source| DeployError::Build {
        service: service.name.clone(),
        source,
    })?;
    log.platform(format!(
        "Build of {} completed, image {} KB",
        service.name,
        taken.bytes.div_ceil(1024)
    ));
    Ok(Built {
        snapshot: taken.name,
        variables: digest(&variables(application, service)),
    })
}

/// What was built of this revision, if it may be taken and would be the same.
fn kept(
    platform: &Platform,
    application: &Application,
    request: Request<'_>,
    service: &Service,
) -> Option<Built> {
    let built = application
        .builds
        .get(request.revision)?
        .get(&service.name)?;
    let snapshots = platform.store.snapshots(&application.name);
    let good = request.options.reuse
        && built.variables == digest(&variables(application, service))
        && snapshots.join(&built.snapshot).is_file();
    good.then(|| built.clone())
}

/// Says whether two builds saw the same variables, without telling what they were.
fn digest(variables: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in variables {
        for text in [name, value] {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
    }
    short_id(digest)
}

/// Removes results that neither a service nor a revision that is kept refers to.
pub(super) fn remove_old(
    platform: &Platform,
    application: &mut Application,
) -> Result<(), DeployError> {
    let Application {
        builds, revisions, ..
    } = application;
    builds.retain(|revision, _| revisions.contains(revision));
    platform.store.save(application)?;
    Ok(remove_unused(platform, application)?)
}

fn remove_unused(platform: &Platform, application: &Application) -> Result<(), FileError> {
    let directory = platform.store.snapshots(&application.name);
    let read = |source| files::failed("read", &directory)(source);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let current = application.services.values().flat_map(|s| &s.snapshot);
        let built = application.builds.values().flat_map(BTreeMap::values);
        let mut used = current.chain(built.map(|built| &built.snapshot));
        if !used.any(|snapshot| *name == **snapshot) {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_tells_variables_apart() {
        let of = |pairs: &[(&str, &str)]| {
            let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            digest(&pairs.iter().map(owned).collect())
        };
        assert_eq!(of(&[("A", "b"), ("C", "d")]), of(&[("C", "d"), ("A", "b")]));
        assert_ne!(of(&[("A", "bC"), ("D", "")]), of(&[("A", "b"), ("CD", "")]));
    }
}
