//! Logs made by hand, and what becomes of a flipped bit in them.

use std::fs;

use super::*;

/// An event as MySQL writes it.
pub(crate) fn event(kind: u8, time: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len() + CHECKSUM).unwrap();
    let mut event = Vec::new();
    event.extend(time.to_le_bytes());
    event.push(kind);
    event.extend(1_u32.to_le_bytes());
    event.extend(length.to_le_bytes());
    event.extend([0; 6]);
    event.extend(body);
    let sum = crc32fast::hash(&event);
    event.extend(sum.to_le_bytes());
    event
}

/// A log with transactions of MariaDB, committed at `times`.
pub(crate) fn log(first: u64, times: &[u32]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut format = vec![0; 90];
    format.push(CRC32);
    bytes.extend(event(FORMAT_DESCRIPTION, 1, &format));
    for (number, time) in (first..).zip(times) {
        let mut body = number.to_le_bytes().to_vec();
        body.extend([0; 11]);
        bytes.extend(event(MARIADB_GTID, *time, &body));
        // Its rows.
        bytes.extend(event(30, *time, &vec![7; 100_000]));
    }
    bytes
}

fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Option<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, bytes).unwrap();
    let mut found = Vec::new();
    let told = |error: BinaryLogError| {
        let path = path.to_str().unwrap();
        (found.clone(), Some(error.to_string().replace(path, "LOG")))
    };
    let mut log = match BinaryLog::open(&path) {
        Ok(log) => log,
        Err(error) => return told(error),
    };
    loop {
        match log.next() {
            Ok(None) => return (found, None),
            Ok(Some(next)) => found.push((next.time, next.gtid.unwrap().to_string())),
            Err(error) => {
                let path = path.to_str().unwrap();
                return (found, Some(error.to_string().replace(path, "LOG")));
            }
        }
    }
}

#[test]
fn log_is_read_to_its_end() {
    let (found, error) = read(&log(7, &[10, 11]));
    let expected = [(10_000_000, "0-1-7"), (11_000_000, "0-1-8")];
    let expected = expected.map(|(time, gtid)| (time, gtid.to_owned()));
    assert_eq!((&found[..], error), (&expected[..], None));
    // A server that was killed leaves the flag.
    let mut used = log(7, &[10]);
    used[4 + 17] |= IN_USE;
    assert_eq!(read(&used).1, None);
}

#[test]
fn damaged_log_has_exact_text() {
    let whole = log(1, &[10, 11]);
    let mut flipped = whole.clone();
    flipped[50_000] ^= 1;
    let (found, error) = read(&flipped);
    assert_eq!(found.len(), 1);
    assert_eq!(
        error.unwrap(),
        "LOG is damaged at 160: the checksum of an event is another"
    );
    let (_, error) = read(&whole[..whole.len() - 10]);
    assert_eq!(
        error.unwrap(),
        "LOG is damaged at 100225: an event has no end"
    );
    let (_, error) = read(b"\xfdbin....");
    assert_eq!(error.unwrap(), "LOG is no binary log, or is encrypted");
    let (_, error) = read(&[&MAGIC[..], &event(GTID, 1, &[0; 30])].concat());
    assert_eq!(
        error.unwrap(),
        "LOG is damaged at 4: it does not begin as a log begins"
    );
    // No byte of it may change unnoticed, but for the flag and what is no part of an event's meaning.
    for at in 4..300 {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        assert!(read(&flipped).1.is_some(), "{at}");
    }
}

#[test]
fn transaction_of_mysql_has_the_time_of_its_commit() {
    let mut body = vec![1];
    body.extend([
        0xe1, 0x18, 0x28, 0xc2, 0xed, 0x7c, 0x11, 0xf1, 0xab, 0xde, 2, 0xfc, 0, 0, 0, 1,
    ]);
    body.extend(4_u64.to_le_bytes());
    body.push(2);
    body.extend([0; 16]);
    let commit: u64 = 1_796_125_614_607_715;
    let old = transaction(&Event {
        kind: GTID,
        position: 198,
        time: 5,
        server: 1,
        body: body.clone(),
    });
    assert_eq!(old.unwrap().time, 5, "before 8.0.1");
    body.extend(&commit.to_le_bytes()[..7]);
    body.push(0xfc);
    let found = transaction(&Event {
        kind: GTID,
        position: 198,
        time: 5,
        server: 1,
        body,
    })
    .unwrap();
    assert_eq!(found.time, commit);
    assert_eq!(
        found.gtid.unwrap().to_string(),
        "e11828c2-ed7c-11f1-abde-02fc00000001:4"
    );
}
