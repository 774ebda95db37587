//! systempackages, by the real apt-get, as far as they are none of a runtime's business: in a private
//! copy of this machine, with packages made for the purpose.

use super::RUNTIME;
use crate::machine::{can_install, in_private};
use crate::world::{BUILD_FILE, World};

/// A mirror of our own: `package NAME CONTROL POSTINST` adds a package, whose program tells its name.
const MIRROR: &str = r#"
    mkdir /repo
    # Images of Debian for containers deny all daemons.
    rm -f /usr/sbin/policy-rc.d
    rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*
    echo 'deb [trusted=yes] file:/repo ./' > /etc/apt/sources.list
    package() {
        mkdir -p "/repo/$1/DEBIAN" "/repo/$1/usr/bin"
        printf '#!/bin/sh\necho "I am %s"\n' "$1" > "/repo/$1/usr/bin/$1"
        printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\n%s\n' \
            "$1" "${2}Description: x" > "/repo/$1/DEBIAN/control"
        printf '#!/bin/sh\n%s\n' "${3-}" > "/repo/$1/DEBIAN/postinst"
        chmod 755 "/repo/$1/usr/bin/$1" "/repo/$1/DEBIAN/postinst"
        dpkg-deb --build "/repo/$1" "/repo/$1.deb" >&2
        cat "/repo/$1/DEBIAN/control" >> /repo/Packages
        printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" \
            "$(stat -c %s "/repo/$1.deb")" "$(sha256sum "/repo/$1.deb" | cut -c 1-64)" >> /repo/Packages
    }
    # Replaces what the services ask for, and pushes.
    push() {
        sed -i "s/systempackages:.*/systempackages: [$1]/" dotcloud.yml
        status=0
        dotcloud push > /pushed || status=$?
        echo "push $1: $status"
    }
    # Polls for a minute.
    until_true() {
        for _ in $(seq 600); do
            if eval "$1"; then return; fi
            sleep 0.1
        done
        echo "waited in vain: $1"
        return 1
    }
"#;

/// What `script` prints where `package`s can be installed; `None` without root or the runtime.
fn installing(script: &str) -> Option<String> {
    if !can_install() {
        return None;
    }
    let world = World::new(RUNTIME)?;
    world.write(
        "dotcloud.yml",
        &format!("{BUILD_FILE}  systempackages: []\n"),
    );
    let output = in_private(&world, &format!("{MIRROR}\n{script}"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    Some(stdout)
}

#[test]
fn packages_are_installed_once_without_starting_their_daemons() {
    let script = r"
        printf '#!/bin/sh\ntouch /run/started\n' > /etc/init.d/tool
        chmod 755 /etc/init.d/tool
        package tool '' 'invoke-rc.d tool start'
        package rival 'Conflicts: tool
'
        # Two services, and no lists of packages.
        { cat dotcloud.yml; sed 's/^db:/web:/' dotcloud.yml; } > two
        mv two dotcloud.yml
        push tool
        grep -o -e '--> .*nstall.*' -e '--> Updating.*' /pushed
        dotcloud run db tool
        ls /run/started /usr/sbin/policy-rc.d 2>&1 | grep -c 'No such file'
        # What is there takes no apt-get.
        printf '#!/bin/sh\ntouch /run/apt\nexit 1\n' > /usr/local/bin/apt-get
        chmod 755 /usr/local/bin/apt-get
        push 'tool, tool=1'
        ls /run/apt 2>&1 | grep -c 'No such file'
        rm /usr/local/bin/apt-get
        push 'tool, none-1, none-2'
        sed -n '/^dotcloud: error/,$p' /pushed
        push rival
        sed -n '/^dotcloud: error/,/cause: apt/p; /next/p' /pushed
        mv /repo /gone
        push none-1
        sed -n '/^dotcloud: error/,/cause: apt/p; /next/p' /pushed
        dotcloud run db 'tool; grep -c started ~/data/history'
    ";
    let Some(said) = installing(script) else {
        return;
    };
    let expected = "\
push tool: 0
--> Installing tool
--> Updating the lists of packages
--> Installed tool
I am tool
2
push tool, tool=1: 0
1
push tool, none-1, none-2: 2
dotcloud: error: the services' systempackages are not there
  cause: this machine's lists of packages do not have none-1, none-2
  next: correct it in dotcloud.yml ('apt-cache search WORD' tells what there is), or add the repository that has it to this machine's
push rival: 2
dotcloud: error: the services' systempackages are not there
  cause: other packages of this machine are in the way of rival
  cause: apt-get ended with status 100
  next: look at what would be removed, and install them yourself if it may be: sudo apt-get install --no-install-recommends rival
push none-1: 2
dotcloud: error: the services' systempackages are not there
  cause: this machine's lists of packages cannot be updated, to install none-1
  cause: apt-get ended with status 100
  next: see to it that 'apt-get update' works, push again
I am tool
2
";
    assert_eq!(said, expected);
}

#[test]
fn locked_or_interrupted_dpkg_is_waited_for_or_told() {
    let script = r#"
        package tool ''
        package fatal '' 'if [ -e /run/fatal ]; then kill -9 $PPID; fi'
        cat > /hold <<'END'
import fcntl, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("/run/held", "w").close()
time.sleep(600)
END
        python3 /hold &
        holder=$!
        until_true '[ -e /run/held ]'
        push tool &
        pusher=$!
        until_true "grep -q 'Another program installs packages: waiting' /pushed"
        kill "$holder"
        wait "$pusher"

        touch /run/fatal
        push fatal
        push fatal
        sed -n '/^dotcloud: error/,/cause: apt/p; /next/p' /pushed
        rm /run/fatal
        dpkg --configure -a >&2
        push fatal
        dotcloud run db 'fatal; grep -c started ~/data/history'
    "#;
    let Some(said) = installing(script) else {
        return;
    };
    let expected = "\
push tool: 0
push fatal: 2
push fatal: 2
dotcloud: error: the services' systempackages are not there
  cause: dpkg was interrupted on this machine: cannot install fatal
  cause: apt-get ended with status 100
  next: sudo dpkg --configure -a, then push again
push fatal: 0
I am fatal
2
";
    assert_eq!(said, expected);
}

#[test]
fn killed_dotcloud_leaves_apt_to_its_end_and_no_daemon_denied() {
    let script = r#"
        package slow '' 'touch /run/begun; while [ ! -e /run/go ]; do echo .; sleep 0.1; done'
        package tool ''
        sed -i "s/systempackages:.*/systempackages: [slow]/" dotcloud.yml
        dotcloud push >&2 &
        pushing=$!
        until_true '[ -e /run/begun ]'
        kill -9 "$pushing"
        wait "$pushing" || echo killed
        # What is denied is so until the next one, not by one that is gone.
        /usr/sbin/policy-rc.d tool start && echo allowed
        touch /run/go
        push slow
        push 'slow, tool'
        ls /usr/sbin/policy-rc.d 2>&1 | grep -c 'No such file'
        dotcloud run db 'slow; tool'
    "#;
    let Some(said) = installing(script) else {
        return;
    };
    let expected = "\
killed
allowed
push slow: 0
push slow, tool: 0
1
I am slow
I am tool
";
    assert_eq!(said, expected);
}
