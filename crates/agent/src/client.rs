//! The little of the servers' protocol that a watcher needs: to be greeted, to log in through the socket,
//! to ask. (The usual client's crate alone fills the three megabytes that this executable may have.)

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mycnf::Credentials;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use thiserror::Error;

/// What we can do: long passwords, four bytes of them, the protocol of 4.1, plugins.
const CAPABILITIES: u32 = 0x1 | 0x200 | 0x2000 | 0x8000 | 0x0008_0000;

/// `utf8`, which every server has.
const CHARACTER_SET: u8 = 33;

/// No answer to a statement of ours is as long; who says so is no server.
const LONGEST: usize = 1 << 20;

const OK: u8 = 0;
const MORE: u8 = 1;
const EOF: u8 = 0xfe;
const ERROR: u8 = 0xff;

const QUIT: u8 = 1;
const QUERY: u8 = 3;

/// Rows of text.
pub(crate) type Rows = Vec<Vec<String>>;

/// A connection through the server's socket.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    sequence: u8,
    patience: Duration,
}

impl Connection {
    /// Connects, waits for the greeting and logs in. No step waits longer than `patience`.
    pub(crate) fn open(
        socket: &Path,
        credentials: Option<&Credentials>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotListening,
            // A full queue of a server that accepts nobody.
            io::ErrorKind::WouldBlock => ClientError::Silent,
            _ => ClientError::Socket { source },
        })?;
        stream.set_write_timeout(Some(patience)).map_err(lost)?;
        let mut connection = Self {
            stream,
            sequence: 0,
            patience,
        };
        let greeting = connection.receive()?;
        let credentials = credentials.ok_or(ClientError::NoCredentials)?;
        connection.log_in(&greeting, credentials)?;
        Ok(connection)
    }

    /// The rows that a statement gives.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Rows, ClientError> {
        self.sequence = 0;
        self.send(&[&[QUERY], sql.as_bytes()].concat())?;
        let first = self.receive()?;
        if first.first() == Some(&OK) {
            return Ok(Vec::new());
        }
        // Of the columns we know all there is to know.
        while !is_end(&self.receive()?) {}
        let mut rows = Vec::new();
        loop {
            let packet = self.receive()?;
            if is_end(&packet) {
                return Ok(rows);
            }
            rows.push(row(&packet).ok_or(ClientError::Nonsense)?);
        }
    }

    /// Says goodbye, without which the server counts an aborted client.
    pub(crate) fn close(mut self) {
        self.sequence = 0;
        let _ = self.send(&[QUIT]);
    }

    fn log_in(&mut self, greeting: &[u8], who: &Credentials) -> Result<(), ClientError> {
        let (nonce, plugin) = parse_greeting(greeting).ok_or(ClientError::Nonsense)?;
        let password = who.password.expose();
        let answer = scramble(&plugin, password, &nonce);
        let mut hello = Vec::new();
        hello.extend(CAPABILITIES.to_le_bytes());
        hello.extend((1_u32 << 24).to_le_bytes());
        hello.push(CHARACTER_SET);
        hello.extend([0; 23]);
        hello.extend(who.user.as_bytes());
        hello.push(0);
        hello.push(u8::try_from(answer.len()).unwrap_or_default());
        hello.extend(&answer);
        hello.extend(plugin.as_bytes());
        hello.push(0);
        self.send(&hello)?;
        loop {
            let packet = self.receive()?;
            match (packet.first(), packet.get(1)) {
                (Some(&OK), _) => return Ok(()),
                // The server knows the account, and wants to be answered by another plugin.
                (Some(&EOF), _) => {
                    let (plugin, nonce) = parse_switch(&packet).ok_or(ClientError::Nonsense)?;
                    self.send(&scramble(&plugin, password, &nonce))?;
                }
                // The whole password, which no one reads between us and the socket.
                (Some(&MORE), Some(4)) => self.send(&[password.as_bytes(), &[0]].concat())?,
                (Some(&MORE), _) => {}
                _ => return Err(ClientError::Nonsense),
            }
        }
    }

    fn send(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let length = u32::try_from(payload.len()).unwrap_or_default();
        let mut packet = length.to_le_bytes()[..3].to_vec();
        packet.push(self.sequence);
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).map_err(lost)
    }

    /// The next packet; the server's own error is one of ours.
    fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        let deadline = Instant::now() + self.patience;
        let mut head = [0; 4];
        self.fill(&mut head, deadline)?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(ClientError::Nonsense);
        }
        self.sequence = head[3].wrapping_add(1);
        let mut payload = vec![0; length];
        self.fill(&mut payload, deadline)?;
        if payload.first() == Some(&ERROR) {
            return Err(refusal(&payload));
        }
        Ok(payload)
    }

    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<(), ClientError> {
        while !buffer.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::Silent);
            }
            self.stream.set_read_timeout(Some(left)).map_err(lost)?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(ClientError::NotListening),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        Ok(())
    }
}

fn lost(source: io::Error) -> ClientError {
    match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ClientError::NotListening,
        _ => ClientError::Socket { source },
    }
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&EOF) && packet.len() < 9
}

/// Number, state where there is one, text.
fn refusal(packet: &[u8]) -> ClientError {
    let code = match packet.get(1..3) {
        Some([low, high]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let text = packet.get(3..).unwrap_or_default();
    let text = match text.first() {
        Some(b'#') => text.get(6..).unwrap_or_default(),
        _ => text,
    };
    let text = String::from_utf8_lossy(text).into_owned();
    ClientError::Refused { code, text }
}

/// The nonce and the plugin's name.
fn parse_greeting(packet: &[u8]) -> Option<(Vec<u8>, String)> {
    if packet.first() != Some(&10) {
        return None;
    }
    let version_end = 1 + packet.iter().skip(1).position(|byte| *byte == 0)?;
    // The connection's number comes first.
    let rest = packet.get(version_end + 5..)?;
    let mut nonce = rest.get(..8)?.to_vec();
    // Capabilities, character set, state, length of the nonce, ten bytes that say nothing.
    let length = usize::from(*rest.get(16)?);
    let second = length.saturating_sub(8).max(13);
    let rest = rest.get(27..)?;
    nonce.extend(rest.get(..second.min(rest.len()))?);
    nonce.truncate(20);
    let plugin = until_nul(rest.get(second..).unwrap_or_default());
    Some((nonce, plugin))
}

fn parse_switch(packet: &[u8]) -> Option<(String, Vec<u8>)> {
    let plugin = until_nul(packet.get(1..)?);
    let mut nonce = packet.get(plugin.len() + 2..)?.to_vec();
    nonce.truncate(20);
    Some((plugin, nonce))
}

fn until_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// What proves the password to `plugin`; nothing, to one that we do not know.
fn scramble(plugin: &str, password: &str, nonce: &[u8]) -> Vec<u8> {
    match plugin {
        "caching_sha2_password" => {
            let once = Sha256::digest(password);
            let twice = Sha256::digest(once);
            let salted = Sha256::new()
                .chain_update(twice)
                .chain_update(nonce)
                .finalize();
            xor(&once, &salted)
        }
        "mysql_native_password" => {
            let once = Sha1::digest(password);
            let twice = Sha1::digest(once);
            let salted = Sha1::new()
                .chain_update(nonce)
                .chain_update(twice)
                .finalize();
            xor(&once, &salted)
        }
        _ => Vec::new(),
    }
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

/// A row of text; what is NULL is empty.
fn row(packet: &[u8]) -> Option<Vec<String>> {
    let mut rest = packet;
    let mut values = Vec::new();
    while let [first, after @ ..] = rest {
        let (length, after) = match first {
            0xfb => (0, after),
            0xfc => number(after, 2)?,
            0xfd => number(after, 3)?,
            0xfe => number(after, 8)?,
            short => (usize::from(*short), after),
        };
        values.push(String::from_utf8_lossy(after.get(..length)?).into_owned());
        rest = after.get(length..)?;
    }
    Some(values)
}

fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(width)?;
    let number = number
        .iter()
        .rev()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Some((usize::try_from(number).ok()?, rest))
}

/// The server cannot be asked.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Nobody listens there, or not any more.
    #[error("no server listens on its socket")]
    NotListening,
    /// Nobody answers.
    #[error("the server does not answer")]
    Silent,
    /// It answers, and we have nothing to log in with.
    #[error("there is no password of the agent's account")]
    NoCredentials,
    /// It says no.
    #[error("{text}")]
    Refused { code: u16, text: String },
    /// What answers is no server.
    #[error("what answers is no MySQL server")]
    Nonsense,
    /// The socket is the problem.
    #[error("cannot use the server's socket: {source}")]
    Socket { source: io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_every_length_is_read() {
        let long = [&[0xfc, 0x2c, 0x01][..], &[b'x'; 300]].concat();
        let packet = [&[1, b'a', 0xfb, 0][..], &long].concat();
        let expected = vec![
            "a".to_owned(),
            String::new(),
            String::new(),
            "x".repeat(300),
        ];
        assert_eq!(row(&packet), Some(expected));
        for cut in [
            &[5, b'a'][..],
            &[0xfc, 1],
            &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(row(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn greeting_cut_anywhere_is_none_or_a_greeting() {
        let mut packet = vec![10];
        packet.extend(b"9.7.4\0");
        packet.extend([1, 0, 0, 0]);
        packet.extend(b"12345678\0");
        packet.extend([0; 2 + 1 + 2 + 2]);
        packet.push(21);
        packet.extend([0; 10]);
        packet.extend(b"abcdefghijkl\0caching_sha2_password\0");
        let (nonce, plugin) = parse_greeting(&packet).unwrap();
        assert_eq!(nonce, b"12345678abcdefghijkl");
        assert_eq!(plugin, "caching_sha2_password");
        for end in 0..packet.len() {
            let _ = parse_greeting(&packet[..end]);
            let _ = parse_switch(&packet[..end]);
        }
    }

    #[test]
    fn refusal_is_the_servers_text() {
        for (packet, code, text) in [
            (
                &b"\xff\x15\x04#28000Access denied"[..],
                1045,
                "Access denied",
            ),
            (
                b"\xff\x10\x04Too many connections",
                1040,
                "Too many connections",
            ),
            (b"\xff", 0, ""),
        ] {
            let ClientError::Refused {
                code: found,
                text: said,
            } = refusal(packet)
            else {
                panic!("{packet:?}");
            };
            assert_eq!((found, &said[..]), (code, text));
        }
    }
}
