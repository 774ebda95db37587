//! Containers of an ordinary user: from inside the same as root's, by two user namespaces. In the
//! outer the engine is root, in the inner the service is 1000:33 without any right. Both know the
//! user's own ids only: no helper with rights, no subordinate ids, and every file stays the user's.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::{
    Capability, LinuxCapabilities, LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace,
    LinuxNamespaceType, PosixRlimitBuilder, PosixRlimitType, Process, Spec, User,
};
use rustix::process::Resource;

use super::bundle::{self, GID, PIDS, UID};
use super::mounts;
use crate::host::account::Account;
use crate::runtime::RuntimeError;
use crate::runtime::stray_processes;
use crate::state::container::Paths;

/// For the first process to enter its namespace.
const ENTRY: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(2);
/// The kernel that began to count processes by user namespace, before which `RLIMIT_NPROC` would
/// count everything the user runs.
const COUNTS_BY_NAMESPACE: (u32, u32) = (5, 14);
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";
/// Without which there are no user namespaces for ordinary users, and a value that allows them.
const SETTINGS: [(&str, &str); 2] = [
    ("user.max_user_namespaces", "15000"),
    ("kernel.unprivileged_userns_clone", "1"),
];

/// What there is to make a container with, which decides how an engine is called and what it is
/// told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// All of root's: the engine limits the container itself.
    Root,
    /// User namespaces, and the user's systemd, which limits the container.
    Session,
    /// User namespaces alone: nothing limits memory.
    Namespaces,
}

impl Rights {
    /// What the container of `spec` was made with.
    pub(super) fn of(spec: &Spec) -> Self {
        let linux = spec.linux().as_ref();
        let mapped = linux.is_some_and(|linux| linux.uid_mappings().is_some());
        let grouped = linux.is_some_and(|linux| linux.cgroups_path().is_some());
        match (mapped, grouped) {
            (false, _) => Self::Root,
            (true, true) => Self::Session,
            (true, false) => Self::Namespaces,
        }
    }

    pub(super) fn limit_memory(self) -> bool {
        self != Self::Namespaces
    }

    /// The words of the first process of a container in which `words` are to run.
    pub(super) fn first(self, words: Vec<String>) -> Vec<String> {
        if self == Self::Root {
            return words;
        }
        let (user, group) = (format!("--map-user={UID}"), format!("--map-group={GID}"));
        let enter = [
            // Stays behind: engines join the namespaces of the first process, and can be root in
            // the outer one only.
            "/bin/sh",
            "-c",
            "\"$@\"; exit",
            "sh",
            "/usr/bin/unshare",
            "--user",
            &user,
            &group,
            // Until the next program has given them up, one by one.
            "--keep-caps",
            "/usr/bin/setpriv",
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
        ];
        enter.map(str::to_owned).into_iter().chain(words).collect()
    }

    /// The words that become `words` beside `first`, by this machine's number the first process: in
    /// the same user namespace, so that the one can look at the other. Entering it gives the
    /// bounding set back, which without new privileges is good for nothing. None if there is no such
    /// namespace any more.
    pub(super) fn beside(self, first: Option<i32>, words: Vec<String>) -> Option<Vec<String>> {
        if self == Self::Root {
            return Some(words);
        }
        let target = format!("--target={}", entered(first?)?);
        let join = [
            "/usr/bin/nsenter",
            "--user",
            &target,
            "--preserve-credentials",
        ];
        Some(join.map(str::to_owned).into_iter().chain(words).collect())
    }

    /// The control group of `container`, as engines want it told.
    pub(super) fn group(self, container: &Paths) -> PathBuf {
        let id = bundle::id(container);
        match self {
            // SLICE:PREFIX:NAME, for `PREFIX-NAME.scope`; the container's id all in all.
            Self::Session => format!("user.slice:{}", id.replacen('-', ":", 1)).into(),
            Self::Root | Self::Namespaces => format!("/{id}").into(),
        }
    }

    /// Makes of root's `spec` one of these rights.
    pub(super) fn adapt(self, spec: &mut Spec, account: &Account, container: &Paths) {
        if self == Self::Root {
            return;
        }
        if let Some(linux) = spec.linux_mut() {
            let mut namespaces = linux.namespaces().clone().unwrap_or_default();
            let mut user = LinuxNamespace::default();
            user.set_typ(LinuxNamespaceType::User);
            namespaces.push(user);
            linux
                .set_namespaces(Some(namespaces))
                .set_uid_mappings(root_is(account.uid))
                .set_gid_mappings(root_is(account.gid))
                .set_cgroups_path(None);
            if self == Self::Session {
                linux.set_cgroups_path(Some(self.group(container)));
                if let Some(resources) = linux.resources_mut() {
                    // There are no device files to be had in a user namespace.
                    resources.set_devices(None);
                }
            } else {
                // Those of this machine, which say nothing of the container.
                let mut hidden = linux.masked_paths().clone().unwrap_or_default();
                hidden.push(mounts::GROUPS.to_owned());
                linux.set_resources(None).set_masked_paths(Some(hidden));
            }
        }
        if let Some(process) = spec.process_mut() {
            become_first(process);
            if self == Self::Namespaces {
                limit_processes(process);
            }
        }
    }
}

fn root_is(id: u32) -> Option<Vec<LinuxIdMapping>> {
    let mapping = LinuxIdMappingBuilder::default()
        .container_id(0_u32)
        .host_id(id)
        .size(1_u32)
        .build();
    Some(vec![mapping.ok()?])
}

/// The outer namespace's root, who leaves it at once.
fn become_first(process: &mut Process) {
    let mut user = User::default();
    user.set_uid(0).set_gid(0);
    // Without it nobody may map this root into another namespace (user_namespaces(7)).
    let map_root = || Some(HashSet::from([Capability::Setfcap]));
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(map_root())
        .set_effective(map_root())
        .set_permitted(map_root())
        .set_inheritable(Some(HashSet::new()))
        .set_ambient(Some(HashSet::new()));
    process.set_user(user).set_capabilities(Some(capabilities));
}

/// As a control group would, where the kernel can.
fn limit_processes(process: &mut Process) {
    if !counts_processes() {
        return;
    }
    let allowed = rustix::process::getrlimit(Resource::Nproc).maximum;
    let most = u64::try_from(PIDS).unwrap_or(u64::MAX);
    let most = allowed.map_or(most, |allowed| most.min(allowed));
    let limit = PosixRlimitBuilder::default()
        .typ(PosixRlimitType::RlimitNproc)
        .soft(most)
        .hard(most)
        .build();
    let mut limits = process.rlimits().clone().unwrap_or_default();
    limits.extend(limit);
    process.set_rlimits(Some(limits));
}

/// What nobody limits without control groups.
pub(super) fn unlimited() -> &'static str {
    if counts_processes() {
        "no limit of memory"
    } else {
        "no limit of memory or processes"
    }
}

/// Whether the number of processes can be limited without control groups.
fn counts_processes() -> bool {
    let release = rustix::system::uname();
    version(&release.release().to_string_lossy()) >= Some(COUNTS_BY_NAMESPACE)
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Waits until `first`, the first process of a container, has started what others join.
pub(super) fn wait_for_entry(first: i32) {
    let process = PathBuf::from(format!("/proc/{first}"));
    let begin = Instant::now();
    while begin.elapsed() < ENTRY
        && entered(first).is_none()
        && process.exists()
        && !stray_processes::is_zombie(&process)
    {
        std::thread::sleep(TICK);
    }
}

/// What `first` has started in the inner namespace, by its number in the container.
fn entered(first: i32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    // The others are orphans that it got.
    let process = Path::new("/proc").join(children.split_whitespace().next()?);
    let map = fs::read_to_string(process.join("uid_map")).ok()?;
    let inside = map.split_whitespace().next() == Some(&*UID.to_string());
    let status = fs::read_to_string(process.join("status")).ok()?;
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers
        .split_whitespace()
        .last()
        .filter(|_| inside)?
        .parse()
        .ok()
}

/// Refuses where the kernel's settings leave no user namespace to an ordinary user.
pub(super) fn check_allowed() -> Result<(), RuntimeError> {
    for (setting, allowing) in SETTINGS {
        if read(setting).is_some_and(|value| value == "0") {
            return Err(RuntimeError::Forbidden { setting, allowing });
        }
    }
    Ok(())
}

/// What may keep an engine from them all the same.
pub(super) fn suspicion() -> Option<String> {
    read(APPARMOR).filter(|value| value != "0").map(|value| {
        format!(
            "{APPARMOR} is {value}: only programs with a profile that says so may make user \
                 namespaces"
        )
    })
}

/// A setting's value. Not every kernel has every setting.
fn read(setting: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(setting.replace('.', "/"));
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::files;

    #[test]
    fn version_is_that_of_the_kernel() {
        for (release, expected) in [
            ("6.1.0-18-amd64", Some((6, 1))),
            ("5.14-rc1", Some((5, 14))),
            ("5.4.0", Some((5, 4))),
            ("x", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn first_and_beside_of_root_are_the_words_themselves() {
        let words = || vec!["/bin/true".to_owned()];
        assert_eq!(Rights::Root.first(words()), words());
        assert_eq!(Rights::Root.beside(None, words()), Some(words()));
        assert_eq!(Rights::Session.beside(None, words()), None);
        assert_eq!(Rights::Session.first(words()).last(), words().last());
    }

    fn made(rights: Rights) -> serde_json::Value {
        let directory = tempfile::tempdir().unwrap();
        let container = Paths::new(directory.path().join("db.0"));
        files::create_directory(&container.home(), 0o755).unwrap();
        let contents = bundle::Contents {
            engine: Path::new("/usr/bin/runc"),
            supervisord: None,
            host: "app-default-db-0",
            memory: "64M".parse().ok(),
            account: &Account::current(),
            rights,
            filters: true,
        };
        let spec = bundle::make(&container, &contents).unwrap();
        assert_eq!(Rights::of(&spec), rights);
        serde_json::to_value(spec).unwrap()
    }

    #[test]
    fn adapt_maps_the_users_own_ids_only_and_keeps_the_rest() {
        let (roots, account) = (made(Rights::Root), Account::current());
        for rights in [Rights::Session, Rights::Namespaces] {
            let spec = made(rights);
            let linux = &spec["linux"];
            for (ids, own) in [("uidMappings", account.uid), ("gidMappings", account.gid)] {
                let expected = json!([{ "containerID": 0, "hostID": own, "size": 1 }]);
                assert_eq!(linux[ids], expected);
            }
            let mut namespaces = linux["namespaces"].as_array().unwrap().clone();
            assert_eq!(namespaces.pop(), Some(json!({ "type": "user" })));
            assert_eq!(roots["linux"]["namespaces"], json!(namespaces));
            assert_eq!(spec["process"]["user"]["uid"], 0);
            let capabilities = &spec["process"]["capabilities"];
            assert_eq!(capabilities["effective"], json!(["CAP_SETFCAP"]));
            assert_eq!(spec["process"]["noNewPrivileges"], true);
            for same in ["root", "hostname", "annotations"] {
                assert_eq!(spec[same], roots[same]);
            }
        }
    }

    #[test]
    fn adapt_limits_through_the_session_or_not_at_all() {
        let session = &made(Rights::Session)["linux"];
        assert_eq!(session["resources"]["memory"]["limit"], 64 << 20);
        assert_eq!(session["resources"]["pids"]["limit"], PIDS);
        let path = session["cgroupsPath"].as_str().unwrap();
        assert!(path.starts_with("user.slice:dotcloud:"), "{path}");
        let alone = made(Rights::Namespaces);
        for absent in ["resources", "cgroupsPath"] {
            assert_eq!(alone["linux"].get(absent), None);
        }
        let of_groups = |mount: &serde_json::Value| mount["destination"] == mounts::GROUPS;
        assert!(!alone["mounts"].as_array().unwrap().iter().any(of_groups));
        let masked = alone["linux"]["maskedPaths"].as_array().unwrap();
        assert!(masked.contains(&json!(mounts::GROUPS)));
    }
}
