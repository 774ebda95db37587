//! What an OCI runtime is told of one container: its config.json, and the root file system that
//! the parts of this machine which a service may see are mounted in. No secret of the machine is one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxMemory, LinuxNamespace, LinuxNamespaceType,
    LinuxPids, LinuxResources, Mount, PosixRlimitBuilder, PosixRlimitType, Process, Root, Spec,
    User, get_default_mounts,
};
use sha2::{Digest, Sha256};

use crate::container::Paths;
use crate::files::{self, FileError};
use crate::scaling::Memory;

/// The platform's own user and group, in every container.
const UID: u32 = 1000;
const GID: u32 = 33;
/// Threads count. A server with a thread for each connection needs many, a fork bomb more.
const PIDS: i64 = 4096;
/// Which runtime the container was made with.
const ENGINE: &str = "dotcloud.engine";

/// Where a container's own directories are in it.
pub(super) const HOME: &str = "/home/dotcloud";
const LOG: &str = "/var/log/supervisor";
const RUN: &str = "/var/dotcloud";
const TMP: &str = "/tmp";
const CODE: &str = "/tmp/code";
const CONFIG: &str = "/etc/supervisor/supervisord.conf";

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

/// What differs from container to container.
pub(super) struct Contents<'a> {
    pub(super) engine: &'a Path,
    pub(super) supervisord: Option<&'a Path>,
    pub(super) host: &'a str,
    pub(super) memory: Option<Memory>,
}

/// Makes the root file system of `container` and returns its configuration.
pub(super) fn make(container: &Paths, contents: &Contents<'_>) -> Result<Spec, FileError> {
    let root = container.bundle().join("rootfs");
    files::create_directory(&root, 0o755)?;
    let mut mounts = system(&root)?;
    mounts.extend(contents.supervisord.and_then(prefix));
    mounts.extend(own(container));
    for mount in &mounts {
        make_mount_point(&root, mount)?;
    }
    write_etc(&root, contents.host)?;
    // The kernel's own file systems first: nothing of theirs may cover ours.
    let mut all = kernel();
    all.extend(mounts);
    for mount in kernel() {
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
    Ok(spec(container, contents, all))
}

fn spec(container: &Paths, contents: &Contents<'_>, mounts: Vec<Mount>) -> Spec {
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(true));
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces()))
        .set_cgroups_path(Some(format!("/{}", id(container)).into()))
        .set_resources(Some(resources(contents.memory)));
    let mut spec = Spec::default();
    spec.set_root(Some(root))
        .set_hostname(Some(contents.host.to_owned()))
        .set_mounts(Some(mounts))
        .set_process(Some(process()))
        .set_linux(Some(linux))
        .set_annotations(Some(HashMap::from([(
            ENGINE.to_owned(),
            contents.engine.to_string_lossy().into_owned(),
        )])));
    spec
}

/// The runtime that `spec` was made for.
pub(super) fn engine(spec: &Spec) -> Option<PathBuf> {
    spec.annotations().as_ref()?.get(ENGINE).map(PathBuf::from)
}

/// A name that no other container of this machine has.
pub(super) fn id(container: &Paths) -> String {
    let digest = Sha256::digest(container.root().as_os_str().as_bytes());
    let mut id = "dotcloud-".to_owned();
    for byte in &digest[..8] {
        let _ = write!(id, "{byte:02x}");
    }
    id
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
fn process() -> Process {
    let mut user = User::default();
    user.set_uid(UID).set_gid(GID);
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

/// /proc, /dev, /sys and the control groups, the last two read-only; not the network's.
fn kernel() -> Vec<Mount> {
    let mut mounts = get_default_mounts();
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
fn system(root: &Path) -> Result<Vec<Mount>, FileError> {
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
fn prefix(supervisord: &Path) -> Option<Mount> {
    let path = supervisord.parent()?.parent()?;
    let seen = path.starts_with("/usr") || path == Path::new("/");
    (!seen).then(|| bind(path, path, "ro"))
}

/// What belongs to the container.
fn own(container: &Paths) -> Vec<Mount> {
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

fn write_etc(root: &Path, host: &str) -> Result<(), FileError> {
    let etc = root.join("etc");
    let mut hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let _ = writeln!(hosts, "\n127.0.0.1 {host}");
    for (name, content) in [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\ndotcloud:x:{UID}:{GID}::{HOME}:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
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
        };
        let spec = make(&container, &contents).unwrap();
        assert_eq!(engine(&spec), Some("/usr/bin/runc".into()));
        (directory, serde_json::to_value(spec).unwrap())
    }

    #[test]
    fn make_gives_the_service_no_right_and_a_read_only_system() {
        let (directory, spec) = made(None);
        let process = &spec["process"];
        assert_eq!(process["user"]["uid"], 1000);
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
                .contains("dotcloud:x:1000:33:")
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
    fn make_shows_a_supervisor_of_its_own_directory() {
        let (_directory, spec) = made(None);
        let mounts = spec["mounts"].as_array().unwrap();
        let found = mounts.iter().find(|mount| mount["source"] == "/opt/venv");
        assert_eq!(found.unwrap()["destination"], "/opt/venv");
        assert_eq!(prefix(Path::new("/usr/local/bin/supervisord")), None);
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
