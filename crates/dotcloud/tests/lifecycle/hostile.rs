//! A service that puts something else in the place of its supervisord's socket: nobody outside of its
//! container is asked, told or stopped, and every verb still does its work.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::RUNTIME;
use crate::world::{Running, World, processes_below, wait_for};

/// A supervisord of whoever runs `dotcloud`, which has nothing to do with any container.
struct Victim {
    socket: PathBuf,
    daemon: u32,
    _supervisord: Running,
}

impl Victim {
    fn start(world: &World) -> Self {
        let directory = world.home().with_file_name("victim");
        let (socket, pid) = (directory.join("s"), directory.join("pid"));
        let made = world.program("mkdir").arg(&directory).status().unwrap();
        assert!(made.success());
        let config = directory.join("c");
        let text = format!(
            "[supervisord]\nnodaemon=true\nsilent=true\nlogfile=/dev/null\npidfile={0}/p\n\
             [unix_http_server]\nfile={1}\nchmod=0700\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:rootdaemon]\ncommand=sh -c 'echo $$ >{2}; exec sleep 1000'\n",
            directory.display(),
            socket.display(),
            pid.display()
        );
        fs::write(&config, text).unwrap();
        let supervisord = world
            .program("supervisord")
            .env_remove("DOTCLOUD_HOME")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = wait_for("the victim", || {
            let text = fs::read_to_string(&pid).ok()?;
            socket.exists().then(|| text.trim().parse().ok())?
        });
        Self {
            socket,
            daemon,
            _supervisord: Running(supervisord),
        }
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let directory = self.socket.parent().unwrap();
        let pid = fs::read_to_string(directory.join("pid")).unwrap();
        assert_eq!(pid.trim(), self.daemon.to_string());
        let state = fs::read_to_string(format!("/proc/{}/stat", self.daemon)).unwrap();
        assert!(state.contains("(sleep) S"), "{state}");
        UnixStream::connect(&self.socket).unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // What it runs would outlive it.
        let _ = std::process::Command::new("kill")
            .arg(self.daemon.to_string())
            .status();
    }
}

/// The directory of the socket in the container that serves.
fn run_directory(world: &World) -> PathBuf {
    let newest = fs::read_dir(world.state("db.0"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .max()
        .unwrap();
    world.state(&format!("db.0/{newest}/run"))
}

/// Puts something in the place of the socket, so that supervisord cannot take it away when it ends.
fn replace_socket(world: &World, with: impl FnOnce(&Path)) {
    let run = run_directory(world);
    let socket = run.join("supervisor.sock");
    fs::remove_file(&socket).unwrap();
    with(&socket);
    fs::set_permissions(&run, Permissions::from_mode(0o500)).unwrap();
}

/// Puts something where the socket was.
type Put<'a> = &'a dyn Fn(&Path);

const TOLD: &str = "is not the container's supervisord: it is reached through a symbolic link";

#[test]
fn socket_that_leads_to_another_supervisord_is_not_followed() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let victim = Victim::start(&world);
    let link = |socket: &Path| symlink(&victim.socket, socket).unwrap();

    replace_socket(&world, link);
    let status = world.dotcloud(["status", "db"]).with_status(0).stdout;
    assert!(status.starts_with("db.0:  down\n"), "{status}");
    assert!(status.contains(TOLD), "{status}");
    assert!(!status.contains("rootdaemon"), "{status}");
    victim.assert_untouched();

    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the second start", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(())
    });
    victim.assert_untouched();

    replace_socket(&world, link);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 3);
    victim.assert_untouched();

    replace_socket(&world, link);
    world.dotcloud(["down"]).with_status(0);
    assert_eq!(processes_below(&world.home()), Vec::new());
    victim.assert_untouched();

    world.dotcloud(["up", "-A", "app"]).with_status(0);
    wait_for("the fourth start", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 4).then_some(())
    });
    replace_socket(&world, link);
    world.dotcloud(["destroy", "-y"]).with_status(0);
    victim.assert_untouched();
    assert_eq!(processes_below(&world.home()), Vec::new());
}

#[test]
fn whatever_has_the_sockets_place_every_verb_does_its_work() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let outside = world.home().with_file_name("outside");
    let listener = UnixListener::bind(&outside).unwrap();
    let user = fs::metadata(world.home()).unwrap().uid();
    std::os::unix::fs::chown(&outside, Some(user), None).unwrap();
    let puts: [(&str, Put<'_>); 4] = [
        ("no socket", &|path| fs::create_dir(path).unwrap()),
        ("no socket", &|path| fs::write(path, "").unwrap()),
        ("no socket", &|path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }),
        ("which is not in the container", &|path| {
            fs::hard_link(&outside, path).unwrap();
        }),
    ];
    for (number, (told, put)) in puts.into_iter().enumerate() {
        replace_socket(&world, put);
        let status = world.dotcloud(["status", "db"]).with_status(0).stdout;
        assert!(status.contains(told), "{status}");
        if number % 2 == 0 {
            world.dotcloud(["restart", "db.0"]).with_status(0);
        } else {
            world.dotcloud(["down"]).with_status(0);
            assert_eq!(processes_below(&world.home()), Vec::new());
            world.dotcloud(["up", "-A", "app"]).with_status(0);
        }
        wait_for(&format!("start {number} of {told:?}"), || {
            let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
            (history.matches("started").count() == number + 2).then_some(())
        });
    }
    drop(listener);
}

#[test]
fn socket_of_the_public_ports_is_no_way_out_either() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let victim = Victim::start(&world);
    let run = world.state("public/run");
    if !run.join("supervisor.sock").exists() {
        return;
    }
    for verb in [&["down"][..], &["push"], &["destroy", "-y"]] {
        fs::remove_file(run.join("supervisor.sock")).unwrap();
        symlink(&victim.socket, run.join("supervisor.sock")).unwrap();
        fs::set_permissions(&run, Permissions::from_mode(0o500)).unwrap();
        world.dotcloud(verb).with_status(0);
        victim.assert_untouched();
        if verb == ["down"] {
            assert_eq!(processes_below(&world.home()), Vec::new());
            world.dotcloud(["up", "-A", "app"]).with_status(0);
        }
    }
    assert_eq!(processes_below(&world.home()), Vec::new());
}
