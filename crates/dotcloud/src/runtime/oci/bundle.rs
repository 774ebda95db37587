//! What an OCI runtime is told of one container: its config.json, and the root file system that what
//! it sees is mounted in.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxMemory, LinuxNamespace, LinuxNamespaceType,
    LinuxPids, LinuxResources, Mount, PosixRlimitBuilder, PosixRlimitType, Process, Root, Spec,
    User,
};
use sha2::{Digest, Sha256};

use super::mounts;
use super::rootless::Rights;
use super::seccomp;
use crate::host::account::Account;
use crate::host::files::{self, FileError};
use crate::model::memory::Memory;
use crate::state::container::Paths;

/// The platform's own user, in an ordinary user's containers, and group, in all.
pub(super) const UID: u32 = 1000;
pub(super) const GID: u32 = 33;
/// Threads count. A server with a thread for each connection needs many, a fork bomb more.
pub(super) const PIDS: i64 = 4096;
/// Which runtime the container was made with.
const ENGINE: &str = "dotcloud.engine";

/// Of the names that engines know containers by.
pub(super) const ID_PREFIX: &str = "dotcloud-";

/// Where a container's own directories are in it.
pub(super) const HOME: &str = "/home/dotcloud";
pub(super) const LOG: &str = "/var/log/supervisor";
pub(super) const RUN: &str = "/var/dotcloud";
pub(super) const TMP: &str = "/tmp";
pub(super) const CODE: &str = "/tmp/code";
pub(super) const CONFIG: &str = "/etc/supervisor/supervisord.conf";

/// What differs from container to container.
pub(super) struct Contents<'a> {
    pub(super) engine: &'a Path,
    pub(super) supervisord: Option<&'a Path>,
    pub(super) host: &'a str,
    pub(super) memory: Option<Memory>,
    pub(super) account: &'a Account,
    pub(super) rights: Rights,
    pub(super) filters: bool,
}

impl Contents<'_> {
    /// What the service's user is in the container.
    fn uid(&self) -> u32 {
        match self.rights {
            Rights::Root => self.account.uid,
            Rights::Session | Rights::Namespaces => UID,
        }
    }
}

/// Makes the root file system of `container` and returns its configuration.
pub(super) fn make(container: &Paths, contents: &Contents<'_>) -> Result<Spec, FileError> {
    let root = container.bundle().join("rootfs");
    files::create_directory(&root, 0o755)?;
    let mut mounts = mounts::system(&root)?;
    mounts.extend(contents.supervisord.and_then(mounts::prefix));
    mounts.extend(mounts::own(container));
    for mount in &mounts {
        make_mount_point(&root, mount)?;
    }
    write_etc(&root, contents)?;
    // The kernel's own file systems first: nothing of theirs may cover ours.
    let mut all = mounts::kernel(contents.rights);
    all.extend(mounts);
    for mount in mounts::kernel(contents.rights) {
        files::create_directory(&below(&root, mount.destination()), 0o755)?;
    }
    for (link, target) in [
        ("run", "var/dotcloud"),
        ("var/run", "dotcloud"),
        ("var/tmp", "/tmp"),
    ] {
        let link = root.join(link);
        symlink(target, &link).map_err(files::failed("create", &link))?;
    }
    let mut spec = spec(container, contents, all);
    contents
        .rights
        .adapt(&mut spec, contents.account, container);
    Ok(spec)
}

fn spec(container: &Paths, contents: &Contents<'_>, mounts: Vec<Mount>) -> Spec {
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(true));
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces()))
        .set_cgroups_path(Some(Rights::Root.group(container)))
        .set_resources(Some(resources(contents.memory)))
        .set_seccomp(contents.filters.then(|| seccomp::profile(contents.rights)));
    let mut spec = Spec::default();
    spec.set_root(Some(root))
        .set_hostname(Some(contents.host.to_owned()))
        .set_mounts(Some(mounts))
        .set_process(Some(process(contents.uid())))
        .set_linux(Some(linux))
        .set_annotations(Some(HashMap::from([(
            ENGINE.to_owned(),
            contents.engine.to_string_lossy().into_owned(),
        )])));
    spec
}

/// Makes `spec` that of the container where it is now.
pub(super) fn relocate(spec: &mut Spec, container: &Paths, rights: Rights) {
    let own = mounts::own(container);
    for mount in spec.mounts_mut().iter_mut().flatten() {
        let now = own
            .iter()
            .find(|own| own.destination() == mount.destination());
        if let Some(now) = now {
            mount.set_source(now.source().clone());
        }
    }
    if let Some(linux) = spec.linux_mut()
        && linux.cgroups_path().is_some()
    {
        linux.set_cgroups_path(Some(rights.group(container)));
    }
}

/// The runtime that `spec` was made for.
pub(super) fn engine(spec: &Spec) -> Option<PathBuf> {
    spec.annotations().as_ref()?.get(ENGINE).map(PathBuf::from)
}

/// Whether its system calls are limited.
pub(super) fn filters(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    linux.is_some_and(|linux| linux.seccomp().is_some())
}

/// A name that no other container of this machine has.
pub(super) fn id(container: &Paths) -> String {
    let digest = Sha256::digest(container.root().as_os_str().as_bytes());
    format!("{ID_PREFIX}{}", hook::hexadecimal(&digest[..8]))
}

/// The name that processes of the container know `path` by, which lies in it.
pub(super) fn inside(container: &Paths, path: &Path) -> PathBuf {
    [
        (container.home(), HOME),
        (container.log(), LOG),
        (container.run(), RUN),
        (container.code(), CODE),
        (container.config(), CONFIG),
    ]
    .iter()
    .find_map(|(outside, inside)| {
        let rest = path.strip_prefix(outside).ok()?;
        // Joining nothing would add a slash.
        let rest = Some(rest).filter(|rest| *rest != Path::new(""));
        Some(rest.map_or_else(|| inside.into(), |rest| Path::new(inside).join(rest)))
    })
    .unwrap_or_else(|| path.to_owned())
}

/// No network namespace: services bind ports of this machine, as the gateways expect.
fn namespaces() -> Vec<LinuxNamespace> {
    [
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Cgroup,
    ]
    .map(|kind| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    })
    .into()
}

fn resources(memory: Option<Memory>) -> LinuxResources {
    let mut devices = LinuxDeviceCgroup::default();
    devices.set_allow(false).set_access(Some("rwm".to_owned()));
    let mut pids = LinuxPids::default();
    pids.set_limit(PIDS);
    let mut resources = LinuxResources::default();
    resources
        .set_devices(Some(vec![devices]))
        .set_pids(Some(pids))
        .set_memory(memory.map(limit));
    resources
}

/// Swap included: who needs more is to be killed, not to be slow.
pub(super) fn limit(memory: Memory) -> LinuxMemory {
    let bytes = i64::try_from(memory.bytes()).unwrap_or(i64::MAX);
    let mut limit = LinuxMemory::default();
    limit.set_limit(Some(bytes)).set_swap(Some(bytes));
    limit
}

/// The service's user, without any right beyond its own.
fn process(uid: u32) -> Process {
    let mut user = User::default();
    user.set_uid(uid).set_gid(GID);
    let mut capabilities = LinuxCapabilities::default();
    let none = || Some(HashSet::new());
    capabilities
        .set_bounding(none())
        .set_effective(none())
        .set_inheritable(none())
        .set_permitted(none())
        .set_ambient(none());
    // A core file would hold every secret of the service.
    let no_core = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitCore)
        .soft(0_u64)
        .hard(0_u64)
        .build();
    let mut process = Process::default();
    process
        .set_terminal(Some(false))
        .set_user(user)
        .set_capabilities(Some(capabilities))
        .set_rlimits(no_core.ok().map(|limit| vec![limit]))
        .set_no_new_privileges(Some(true));
    process
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// By us and not by the runtime, whose user could be one that we have no right over.
fn make_mount_point(root: &Path, mount: &Mount) -> Result<(), FileError> {
    let point = below(root, mount.destination());
    let is_directory = mount.source().as_deref().is_some_and(Path::is_dir);
    if is_directory {
        return files::create_directory(&point, 0o755);
    }
    if let Some(parent) = point.parent() {
        files::create_directory(parent, 0o755)?;
    }
    write_file(&point, "")
}

/// Without the care of [`files::replace`]: whether the bundle is whole is told by its config.json,
/// which comes last.
fn write_file(path: &Path, content: &str) -> Result<(), FileError> {
    fs::write(path, content).map_err(files::failed("write", path))
}

fn write_etc(root: &Path, contents: &Contents<'_>) -> Result<(), FileError> {
    let (etc, host, uid) = (root.join("etc"), contents.host, contents.uid());
    let mut hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let _ = writeln!(hosts, "\n127.0.0.1 {host}");
    for (name, content) in [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\ndotcloud:x:{uid}:{GID}::{HOME}:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        (
            "group",
            format!("root:x:0:\nwww-data:x:{GID}:\nnogroup:x:65534:\n"),
        ),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .to_owned(),
        ),
        ("hostname", format!("{host}\n")),
        ("hosts", hosts),
    ] {
        write_file(&etc.join(name), &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(memory: Option<Memory>) -> (tempfile::TempDir, serde_json::Value) {
        let directory = tempfile::tempdir().unwrap();
        let container = Paths::new(directory.path().join("db.0"));
        files::create_directory(&container.home(), 0o755).unwrap();
        let contents = Contents {
            engine: Path::new("/usr/bin/runc"),
            supervisord: Some(Path::new("/opt/venv/bin/supervisord")),
            host: "app-default-db-0",
            memory,
            account: &Account::of_services(Some(60_700)),
            rights: Rights::Root,
            filters: true,
        };
        let spec = make(&container, &contents).unwrap();
        assert_eq!(engine(&spec), Some("/usr/bin/runc".into()));
        (directory, serde_json::to_value(spec).unwrap())
    }

    #[test]
    fn make_gives_the_service_no_right_and_a_read_only_system() {
        let (directory, spec) = made(None);
        let process = &spec["process"];
        let uid = Account::of_services(Some(60_700)).uid;
        assert_eq!(process["user"]["uid"], uid);
        assert_eq!(process["user"]["gid"], 33);
        assert_eq!(process["noNewPrivileges"], true);
        for set in [
            "bounding",
            "effective",
            "inheritable",
            "permitted",
            "ambient",
        ] {
            assert_eq!(process["capabilities"][set], serde_json::json!([]), "{set}");
        }
        let no_core = serde_json::json!([{ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }]);
        assert_eq!(process["rlimits"], no_core);
        assert_eq!(spec["root"]["readonly"], true);
        assert_eq!(spec["linux"]["resources"]["pids"]["limit"], PIDS);
        let writable: Vec<&str> = spec["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|mount| mount["type"] == "bind")
            .filter(|mount| !mount["options"].as_array().unwrap().contains(&"ro".into()))
            .map(|mount| mount["destination"].as_str().unwrap())
            .collect();
        assert_eq!(writable, [HOME, LOG, RUN, TMP]);
        let passwd = directory.path().join("db.0/bundle/rootfs/etc/passwd");
        assert!(
            fs::read_to_string(passwd)
                .unwrap()
                .contains(&format!("dotcloud:x:{uid}:33:"))
        );
    }

    #[test]
    fn make_limits_memory_only_if_told() {
        let (_directory, spec) = made(None);
        assert_eq!(spec["linux"]["resources"].get("memory"), None);
        let (_directory, spec) = made("64M".parse().ok());
        let limit = &spec["linux"]["resources"]["memory"];
        assert_eq!(
            (&limit["limit"], &limit["swap"]),
            (&(64 << 20).into(), &(64 << 20).into())
        );
    }

    #[test]
    fn inside_paths_are_the_platforms() {
        let container = Paths::new("/d/apps/app/db.0/1".into());
        for (outside, expected) in [
            ("/d/apps/app/db.0/1/home", "/home/dotcloud"),
            (
                "/d/apps/app/db.0/1/home/rsync-1/app",
                "/home/dotcloud/rsync-1/app",
            ),
            ("/d/apps/app/db.0/1/log", "/var/log/supervisor"),
            (
                "/d/apps/app/db.0/1/code/app/builder",
                "/tmp/code/app/builder",
            ),
            (
                "/d/apps/app/db.0/1/supervisord.conf",
                "/etc/supervisor/supervisord.conf",
            ),
            ("/usr/bin/supervisord", "/usr/bin/supervisord"),
        ] {
            assert_eq!(
                inside(&container, Path::new(outside)).to_str(),
                Some(expected)
            );
        }
    }

    #[test]
    fn id_differs_from_container_to_container() {
        let one = id(&Paths::new("/d/apps/app/db.0/1".into()));
        assert_eq!(one.len(), "dotcloud-0123456789abcdef".len());
        assert_ne!(one, id(&Paths::new("/e/apps/app/db.0/1".into())));
    }
}
