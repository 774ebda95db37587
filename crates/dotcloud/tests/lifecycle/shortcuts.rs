//! What the kernel does for public ports of root: it leads clients past the relay, to nobody but the
//! service, counts what passes, and forgets all of it with the process that told it to.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::RUNTIME;
use crate::machine;
use crate::world::{World, is_root, processes_below, read, wait_for};

/// None, after saying so, where the kernel leads nobody.
fn world() -> Option<World> {
    let list = Command::new("nft")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .args(["list", "tables"])
        .output();
    let works = is_root() && RUNTIME.user().is_none() && list.is_ok_and(|it| it.status.success());
    if !works {
        machine::not_tested("nft: shortcuts past the relays, which take root", "");
        return None;
    }
    World::new(RUNTIME)
}

/// The process that keeps the shortcuts.
fn keeper(world: &World) -> Option<i32> {
    let lock = fs::read_to_string(world.state("public/shortcuts/lock")).ok()?;
    let pid = lock.trim().parse().ok()?;
    let processes = processes_below(&world.home());
    processes
        .iter()
        .any(|(found, command)| *found == pid && command.contains(" shortcuts "))
        .then_some(pid)
}

fn table(pid: i32) -> Option<String> {
    let output = Command::new("/usr/sbin/nft")
        .args(["list", "table", "ip", &format!("dotcloud_{pid}")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then_some(text)
}

/// Waits until the kernel leads clients past the relay; who keeps it so.
#[track_caller]
fn wait_until_led(world: &World) -> i32 {
    let internal = internal(world);
    wait_for("a shortcut", || {
        let pid = keeper(world)?;
        table(pid)?
            .contains(&format!("redirect to :{internal}"))
            .then_some(pid)
    })
}

fn internal(world: &World) -> u16 {
    world.run("db.0", "echo $PORT_DB").trim().parse().unwrap()
}

/// Whether the peer of the connection of `client` is the instance at `port`.
fn is_of_instance(client: &TcpStream, port: u16) -> bool {
    let own = client.local_addr().unwrap().port();
    let pair = format!("0100007F:{port:04X} 0100007F:{own:04X} ");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.contains(&pair)
}

/// Says what it is told, until the client closes.
const ECHO: &str = r#"#!/usr/bin/env python3
import os, socket, threading
def serve(client):
    while data := client.recv(65536):
        client.sendall(data)
    client.close()
server = socket.create_server(("127.0.0.1", int(os.environ["PORT_DB"])))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

#[test]
fn clients_of_root_go_past_the_relay_and_fall_back_to_it() {
    let Some(world) = world() else { return };
    world.write("app/server", ECHO);
    world.push(0);
    let address = world.address("db.0");
    let pid = wait_until_led(&world);
    let port = internal(&world);
    let connect = || {
        let mut client = TcpStream::connect(&address).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        client
    };
    let mut past = connect();
    assert!(is_of_instance(&past, port));
    // Whoever told the kernel is killed: it forgets at once, and the relay, which has the port, serves.
    kill(pid);
    wait_for("the kernel to forget", || {
        table(pid).is_none().then_some(())
    });
    assert!(!is_of_instance(&connect(), port));
    // Also who came before is served on.
    past.write_all(b"again").unwrap();
    past.read_exact(&mut [0; 5]).unwrap();
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    let next = wait_until_led(&world);
    assert_ne!(next, pid);
    assert!(is_of_instance(&connect(), port));
    // A connection to an instance that is stopped ends with it.
    let mut past = connect();
    world.dotcloud(["down"]).with_status(0);
    assert!(!matches!(past.read(&mut [0]), Ok(1..)));
    assert!(TcpStream::connect(&address).is_err());
    assert_eq!((keeper(&world), table(next)), (None, None));
}

fn kill(pid: i32) {
    let words = ["-9", &pid.to_string()];
    assert!(Command::new("kill").args(words).status().unwrap().success());
}

#[test]
fn clients_past_the_relay_are_counted() {
    let Some(world) = world() else { return };
    world.write("app/server", ECHO);
    world.push(0);
    let address = world.address("db.0");
    wait_until_led(&world);
    let told = || -> serde_json::Value {
        let traffic = world.dotcloud(["traffic", "db.0", "--json"]).with_status(0);
        serde_json::from_str(&traffic.stdout).unwrap()
    };
    let before = told()["db"]["total"].clone();
    let mut client = TcpStream::connect(&address).unwrap();
    let (sent, mut received) = (vec![7; 300_000], vec![0; 300_000]);
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    client.read_exact(&mut received).unwrap();
    writing.join().unwrap();
    wait_for("the open connection", || {
        (told()["db"]["open"] == 1).then_some(())
    });
    drop(client);
    world.dotcloud(["down"]).with_status(0);
    let after = told()["db"].clone();
    assert_eq!(after["open"], 0, "{after}");
    let grown =
        |field: &str| after["total"][field].as_u64().unwrap() - before[field].as_u64().unwrap_or(0);
    // What a deployment asks is not from clients.
    assert_eq!(grown("connections"), 1, "{before} {after}");
    for field in ["bytes_in", "bytes_out"] {
        // Options of single packets are not told apart.
        assert!(
            (300_000..301_000).contains(&grown(field)),
            "{before} {after}"
        );
    }
}

#[test]
fn stranger_at_the_port_of_a_dead_instance_hears_nobody() {
    let Some(world) = world() else { return };
    world.push(0);
    let address: SocketAddr = world.address("db.0").parse().unwrap();
    wait_until_led(&world);
    let port = internal(&world);
    // All of it, so that nothing starts it again.
    wait_for("the end of the instance", || {
        let left = processes_below(&world.state("db.0"));
        for (pid, _) in &left {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        left.is_empty().then_some(())
    });
    let stranger = wait_for("the port", || TcpListener::bind(("127.0.0.1", port)).ok());
    stranger.set_nonblocking(true).unwrap();
    let refused = TcpStream::connect_timeout(&address, Duration::from_secs(2)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TimedOut);
    assert_eq!(stranger.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // Nobody else is kept from anything.
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(stranger);
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    assert!(world.ask("db.0").contains("started"));
}

#[test]
fn shortcuts_can_be_switched_off() {
    let Some(world) = world() else { return };
    world.push(0);
    let pid = wait_until_led(&world);
    let restarted = world
        .command(["restart", "db.0"])
        .env("DOTCLOUD_SHORTCUTS", "off")
        .status()
        .unwrap();
    assert!(restarted.success());
    assert_eq!((keeper(&world), table(pid)), (None, None));
    let address = world.address("db.0");
    wait_for("the relay", || {
        read(&address).ok().filter(|text| text.contains("started"))
    });
}

#[test]
fn relay_serves_where_the_kernel_or_nft_is_too_old() {
    use std::os::unix::fs::PermissionsExt;

    let Some(world) = world() else { return };
    world.write("app/server", ECHO);
    let old = world.code("../old");
    fs::create_dir(&old).unwrap();
    let nft = old.join("nft");
    fs::write(
        &nft,
        "#!/bin/sh\necho 'Error: syntax error, unexpected owner' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", old.display());
    let pushed = world.command(["push"]).env("PATH", path).status().unwrap();
    assert!(pushed.success());
    let reason = wait_for("the reason", || {
        let log = fs::read_to_string(world.state("public/shortcuts/log")).ok()?;
        log.contains("kernel").then_some(log)
    });
    assert!(reason.contains("unexpected owner"), "{reason}");
    assert_eq!(keeper(&world), None);
    let mut client = TcpStream::connect(world.address("db.0")).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    assert!(!is_of_instance(&client, internal(&world)));
}
