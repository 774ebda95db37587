//! What this machine, and whoever we are, can run containers with: tried out once for each runtime.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

use crate::world::{Runtime, is_root};

/// Whether a container of it has a limit of memory; says so, past the harness, if not.
pub(crate) fn limits_memory(runtime: Runtime) -> bool {
    tried(runtime).limits_memory
}

/// What is known of a runtime after having tried it.
#[derive(Clone, Copy)]
pub(crate) struct Tried {
    pub(crate) works: bool,
    limits_memory: bool,
}

/// Whether this machine, and whoever we are, can run containers so; says so, past the harness, if
/// not.
pub(crate) fn tried(runtime: Runtime) -> Tried {
    static OCI: OnceLock<Tried> = OnceLock::new();
    static ROOTLESS: OnceLock<Tried> = OnceLock::new();
    let of_root = runtime == Runtime::Oci;
    *if of_root { &OCI } else { &ROOTLESS }.get_or_init(|| {
        if of_root && !is_root() {
            not_tested("the oci runtime of root", "we are not root");
            return Tried {
                works: false,
                limits_memory: false,
            };
        }
        try_out(runtime)
    })
}

fn try_out(runtime: Runtime) -> Tried {
    let place = tempfile::tempdir_in("/tmp").unwrap();
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.path(), mode).unwrap();
    let code = place.path().join("code");
    fs::create_dir(&code).unwrap();
    for directory in [place.path(), &code] {
        chown(directory, runtime.user(), runtime.user()).unwrap();
    }
    fs::write(
        code.join("dotcloud.yml"),
        "a:\n  type: custom\n  process: sleep 600\n",
    )
    .unwrap();
    let dotcloud = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcloud"));
        command
            .args(words)
            .env_remove("DOTCLOUD_RUNTIME")
            .env("DOTCLOUD_HOME", place.path().join("h"))
            .current_dir(&code);
        if let Some(user) = runtime.user() {
            command.gid(user).uid(user);
        }
        command.output().unwrap()
    };
    dotcloud(&["create", "-y", "probe", "--runtime", "oci"]);
    let push = dotcloud(&["push"]);
    dotcloud(&["destroy", "-y"]);
    let said = String::from_utf8_lossy(&push.stdout);
    let works = said.contains("--> Runtime: oci, by ");
    let limits_memory = works && !said.contains("no limit of memory");
    if !works {
        not_tested(&format!("the oci runtime ({runtime:?})"), &said);
    } else if !limits_memory {
        not_tested(&format!("limits of memory ({runtime:?})"), &said);
    }
    Tried {
        works,
        limits_memory,
    }
}

pub(crate) fn not_tested(what: &str, why: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "\n*** NOT TESTED: {what}. This machine has no such thing:\n{why}"
    );
}
