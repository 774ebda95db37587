//! What happens to machines: other mounts, or a private copy on which packages may be installed, for
//! the time of one script, which takes root; the loss of power.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio};

use crate::world::{World, is_root, processes_below, wait_for};

/// Everything but the kernel's file systems and /tmp is copied on write, to memory. The script's
/// processes have ids of their own and end with it.
const PRIVATE: &str = r#"
    private=$(mktemp -d -p "${DOTCLOUD_HOME%/*}")
    mount -t tmpfs -o size=2g,mode=0755 none "$private"
    cd "$private"
    mkdir upper work root
    mount -t overlay -o "lowerdir=/,upperdir=upper,workdir=work" overlay root
    cd root
    for directory in dev sys tmp; do mount --rbind "/$directory" "$directory"; done
    mount -t proc proc proc
    mount -t tmpfs -o mode=0755 none run
    cat /etc/resolv.conf > resolv.conf
    mv resolv.conf etc
    cp "$DOTCLOUD" usr/local/bin/dotcloud
    pivot_root . mnt
    umount --lazy /mnt
    cd "${DOTCLOUD_HOME%/*}/code"
    trap 'dotcloud destroy -y >&2' EXIT
"#;

/// Runs `script` with mounts of its own, and ends with it.
pub(crate) fn with_mounts(world: &World, script: &str) -> Output {
    unshare(world, &[], script)
}

/// Runs `script` in a copy of this machine, where `dotcloud` is on the path.
pub(crate) fn in_private(world: &World, script: &str) -> Output {
    let words = ["--pid", "--fork", "--kill-child"];
    unshare(world, &words, &format!("{PRIVATE}\n{script}"))
}

fn unshare(world: &World, words: &[&str], script: &str) -> Output {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .args(words)
        .args(["sh", "-euc", script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DOTCLOUD_HOME", world.home())
        .env("DOTCLOUD", env!("CARGO_BIN_EXE_dotcloud"))
        .current_dir(world.code(""))
        .stdin(Stdio::null());
    command.output().unwrap()
}

/// Whether a copy of this machine can be made; says, past the harness, that it is not checked how
/// systempackages are installed if not.
pub(crate) fn can_install() -> bool {
    let device = |path: &str| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let whole = ["/etc", "/usr", "/var/lib/dpkg"]
        .iter()
        .all(|path| device(path) == device("/"));
    if !whole {
        let _ = writeln!(
            io::stderr(),
            "NOT CHECKED, for it takes a Debian on one file system: how systempackages are installed"
        );
    }
    whole && can_mount("how systempackages are installed")
}

/// Whether we may mount; says, past the harness, that `what` is not checked if not.
pub(crate) fn can_mount(what: &str) -> bool {
    let root = is_root();
    if !root {
        let _ = writeln!(io::stderr(), "NOT CHECKED, for it takes root: {what}");
    }
    root
}

/// Every process ends at once, as when the machine loses its power.
pub(crate) fn lose_power(world: &World) {
    wait_for("the end of every process", || {
        let left = processes_below(&world.home());
        for (pid, _) in &left {
            let _ = Command::new("kill")
                .args(["-9", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        left.is_empty().then_some(())
    });
}
