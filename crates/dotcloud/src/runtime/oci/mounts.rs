//! What a container sees: the kernel's own file systems, the parts of this machine that programs
//! need, read-only, and what is its own. No secret of the machine, no other container.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use oci_spec::runtime::{Mount, get_default_mounts, get_rootless_mounts};

use super::bundle::{CODE, CONFIG, HOME, LOG, RUN, TMP};
use super::rootless::Rights;
use crate::host::files::{self, FileError};
use crate::state::container::Paths;

/// Links into /usr on most machines.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What programs of /usr need of /etc. Neither what configures this machine's own services, nor
/// the login shells' profiles.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "debian_version",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// The control groups.
pub(super) const GROUPS: &str = "/sys/fs/cgroup";

/// /proc, /dev, /sys and the control groups, if it has its own, the last two read-only; not the
/// network's.
pub(super) fn kernel(rights: Rights) -> Vec<Mount> {
    let mut mounts = if rights == Rights::Root {
        get_default_mounts()
    } else {
        // Without the terminals' group, which nobody can give anything to, and this machine's /sys.
        get_rootless_mounts()
    };
    if !rights.limit_memory() {
        mounts.retain(|mount| mount.destination() != Path::new(GROUPS));
    }
    for mount in &mut mounts {
        let destination = mount.destination();
        if destination.starts_with("/sys")
            && let Some(options) = mount.options_mut()
            && !options.iter().any(|option| option == "ro")
        {
            options.push("ro".to_owned());
        }
    }
    mounts
}

/// What programs of this machine need of it, read-only.
pub(super) fn system(root: &Path) -> Result<Vec<Mount>, FileError> {
    let mut mounts = vec![bind(Path::new("/usr"), Path::new("/usr"), "ro")];
    for name in MERGED {
        let path = Path::new("/").join(name);
        match files::look(&path)? {
            Some(found) if found.is_symlink() => {
                let link = root.join(name);
                let target = fs::read_link(&path).map_err(files::failed("read", &path))?;
                symlink(target, &link).map_err(files::failed("create", &link))?;
            }
            Some(_) => mounts.push(bind(&path, &path, "ro")),
            None => {}
        }
    }
    let etc = Path::new("/etc");
    let pythons = fs::read_dir(etc)
        .map_err(files::failed("read", etc))?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.as_bytes().starts_with(b"python"));
    let names: Vec<OsString> = ETC.iter().map(OsString::from).chain(pythons).collect();
    for name in names {
        let path = etc.join(name);
        // Some are links to where a service cannot look.
        if let Ok(source) = path.canonicalize() {
            mounts.push(bind(&source, &path, "ro"));
        }
    }
    Ok(mounts)
}

/// A supervisor that was not installed into /usr, with its own Python packages.
pub(super) fn prefix(supervisord: &Path) -> Option<Mount> {
    let path = supervisord.parent()?.parent()?;
    let seen = path.starts_with("/usr") || path == Path::new("/");
    (!seen).then(|| bind(path, path, "ro"))
}

/// What belongs to the container.
pub(super) fn own(container: &Paths) -> Vec<Mount> {
    let mut mounts = vec![
        bind(&container.home(), Path::new(HOME), "rw"),
        bind(&container.log(), Path::new(LOG), "rw"),
        bind(&container.run(), Path::new(RUN), "rw"),
        bind(&container.temporary(), Path::new(TMP), "rw"),
    ];
    // Of a build container only.
    if container.code().exists() {
        mounts.push(bind(&container.code(), Path::new(CODE), "rw"));
    }
    if container.config().exists() {
        mounts.push(bind(&container.config(), Path::new(CONFIG), "ro"));
    }
    mounts
}

fn bind(source: &Path, destination: &Path, access: &str) -> Mount {
    let options = ["rbind", "nosuid", "nodev", access].map(str::to_owned);
    let mut mount = Mount::default();
    mount
        .set_destination(destination.to_owned())
        .set_typ(Some("bind".to_owned()))
        .set_source(Some(source.to_owned()))
        .set_options(Some(options.into()));
    mount
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_of_a_supervisor_outside_of_usr_is_shown() {
        let mount = prefix(Path::new("/opt/venv/bin/supervisord")).unwrap();
        assert_eq!(mount.destination(), Path::new("/opt/venv"));
        assert_eq!(mount.source().as_deref(), Some(Path::new("/opt/venv")));
        for seen in [
            "/usr/bin/supervisord",
            "/usr/local/bin/supervisord",
            "/bin/supervisord",
        ] {
            assert_eq!(prefix(Path::new(seen)), None, "{seen}");
        }
    }
}
