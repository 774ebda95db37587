//! The limit of connections is the server's own, whichever way its clients come.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use crate::world::{World, column, eventually};

/// What the server says first: its greeting, or why it has none.
fn first_words(port: u16) -> (TcpStream, Vec<u8>) {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut head = [0; 4];
    client.read_exact(&mut head).unwrap();
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let mut words = vec![0; usize::try_from(length).unwrap()];
    client.read_exact(&mut words).unwrap();
    (client, words)
}

#[test]
fn client_beyond_the_servers_limit_reads_its_own_words() {
    let world = World::new("mariadb");
    world.push(0);
    let port = world.public_port(0);
    // As root the second way is not the relay's.
    for shortcuts in ["off", "on"] {
        let up = world
            .command(["up", "-A", "app"])
            .env("DOTCLOUD_SHORTCUTS", shortcuts)
            .status()
            .unwrap();
        assert!(up.success());
        let limit: usize = column(&mut world.connect(0), "SELECT @@max_connections")
            .remove(0)
            .parse()
            .unwrap();
        // Silent: they do not even log in.
        let mut silent = Vec::new();
        let refused = loop {
            let (client, words) = first_words(port);
            if words[0] == 0xff {
                break words;
            }
            silent.push(client);
            assert!(silent.len() <= limit + 1);
        };
        assert!(silent.len() >= limit, "{} of {limit}", silent.len());
        let refused = String::from_utf8_lossy(&refused).into_owned();
        assert!(refused.contains("Too many connections"), "{refused}");
        // Their slots come free with them.
        drop(silent);
        eventually("a slot", || (first_words(port).1[0] != 0xff).then_some(()));
    }
}
