//! systempackages by a real apt-get, from the mirror that this machine is configured with, in a
//! private copy of it.

use std::io::{self, Write};

use super::RUNTIME;
use crate::machine::{can_install, in_private};
use crate::world::{BUILD_FILE, World};

#[test]
fn package_of_the_mirror_can_be_run_by_the_build_and_the_service() {
    if !can_install() {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let yml = format!("{BUILD_FILE}  systempackages: [hello]\n");
    world.write("dotcloud.yml", &yml);
    world.script("app/builder", "cp app/server ~; hello -g built > ~/built");
    let script = r"
        if dpkg --status hello >/dev/null 2>&1; then dpkg --remove hello >&2; fi
        if ! dotcloud push >&2; then
            (cd /tmp && apt-get download hello >&2) || echo unreachable
            exit 1
        fi
        dotcloud run db 'cat ~/built; hello -g running'
    ";
    let output = in_private(&world, script);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if stdout == "unreachable\n" {
        let _ = writeln!(
            io::stderr(),
            "\n*** NOT TESTED: systempackages from this machine's mirror. It cannot be reached:\n\
             {stderr}"
        );
        return;
    }
    assert_eq!(stdout, "built\nrunning\n", "{stderr}");
    for line in ["--> Installing hello\n", "--> Installed hello\n"] {
        assert!(stderr.contains(line), "{line}: {stderr}");
    }
}
