//! The systempackages of all services, at once and before anything is built: whoever may not install
//! them learns of all of them, and nothing is built in vain.

use std::collections::BTreeSet;

use crate::build_file::BuildFile;
use crate::host::system_packages::{self, PackageError, Waiting};
use crate::output::narrator::Narrator;
use crate::service::platform::Platform;

/// Sees to it that they are installed.
pub(super) fn provide(
    platform: &Platform,
    build_file: &BuildFile,
    log: &mut Narrator,
) -> Result<(), PackageError> {
    let services = build_file.services.values();
    let packages: BTreeSet<&str> = services
        .flat_map(|service| service.systempackages.iter().map(String::as_str))
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let Some(missing) = system_packages::missing(&packages)? else {
        let list: Vec<&str> = packages.into_iter().collect();
        log.warning(
            "platform",
            format!(
                "this machine has no dpkg: see to it that the equivalent of {} is installed",
                list.join(" ")
            ),
        );
        return Ok(());
    };
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(PackageError::Missing { packages: missing });
    }
    log.platform(format!("Installing {}", missing.join(" ")));
    let mut waiting = Waiting {
        stop: &platform.stop,
        tell: &mut |text| log.platform(text),
    };
    let installed = system_packages::install(&packages, &mut waiting)?;
    log.platform(format!("Installed {}", installed.join(" ")));
    Ok(())
}
