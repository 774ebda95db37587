//! What is measured of each kind of server, and the buffers that count.

use super::{Buffer, round};
use crate::server::{Flavour, Version};
use crate::size::{GIB, KIB, MIB};

/// Servers that take the same amounts. Bytes throughout.
pub(super) struct Class {
    kind: Kind,
    /// The smallest limit it lives in with 30 busy clients.
    pub(super) floor: u64,
    /// Anonymous memory after the start, with the caches trimmed, but for what is told below.
    pub(super) baseline: u64,
    /// A connection's, but for its buffers.
    pub(super) connection: u64,
    pub(super) schema_by_default: bool,
    /// What `performance_schema` adds with the caches trimmed, and with their defaults.
    pub(super) schema: (u64, u64),
    /// The limit from which on `performance_schema` stays as it is.
    pub(super) schema_from: u64,
    /// The limit from which on the table caches stay as they are.
    pub(super) caches_from: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    MySql5,
    MySql8,
    MariaDb,
}

const MYSQL_5_6: Class = Class {
    kind: Kind::MySql5,
    floor: 128 * MIB,
    baseline: 16 * MIB,
    connection: 256 * KIB,
    schema_by_default: true,
    schema: (32 * MIB, 410 * MIB),
    schema_from: 256 * MIB,
    caches_from: 4 * GIB,
};

/// Measured with 5.7.22.
const MYSQL_5_7: Class = Class {
    baseline: 24 * MIB,
    schema: (80 * MIB, 152 * MIB),
    schema_from: 512 * MIB,
    caches_from: GIB,
    ..MYSQL_5_6
};

/// Measured with 9.7; 8.0.33 takes less.
const MYSQL_8: Class = Class {
    kind: Kind::MySql8,
    floor: 256 * MIB,
    baseline: 120 * MIB,
    connection: 384 * KIB,
    schema_by_default: true,
    schema: (146 * MIB, 244 * MIB),
    schema_from: GIB,
    caches_from: GIB,
};

/// Measured with 10.11.
const MARIADB: Class = Class {
    kind: Kind::MariaDb,
    floor: 128 * MIB,
    baseline: 32 * MIB,
    connection: 256 * KIB,
    schema_by_default: false,
    schema: (96 * MIB, 96 * MIB),
    schema_from: 0,
    caches_from: GIB,
};

/// This release keeps the weights of every Unicode collation in memory, 77 MiB, from its start on. Neither 10.11.19
/// nor 11.8.9 does.
const MARIADB_11_4_5: Class = Class {
    floor: 224 * MIB,
    baseline: 112 * MIB,
    ..MARIADB
};

impl Class {
    pub(super) fn of(flavour: Flavour, version: Version) -> &'static Self {
        match flavour {
            Flavour::MariaDb if version == Version::new(11, 4, 5) => &MARIADB_11_4_5,
            Flavour::MariaDb => &MARIADB,
            _ if version < Version::new(5, 7, 0) => &MYSQL_5_6,
            _ if version < Version::new(8, 0, 0) => &MYSQL_5_7,
            _ => &MYSQL_8,
        }
    }

    /// The buffers that a client's work can fill, for a limit of `budget`.
    pub(super) fn buffers(&self, budget: u64) -> Vec<Buffer> {
        let maria = self.kind == Kind::MariaDb;
        let share =
            |part: u64, least: u64, most: u64| Some(round((budget / part).clamp(least, most)));
        let once = |option, chosen, default| Buffer {
            option,
            per_connection: false,
            chosen,
            default,
        };
        let each = |option, chosen, default| Buffer {
            option,
            per_connection: true,
            chosen,
            default,
        };
        let log = share(64, MIB, 16 * MIB);
        let mut buffers = vec![once("innodb-log-buffer-size", log, 64 * MIB)];
        if maria {
            let (key, aria) = (share(128, MIB, 128 * MIB), share(32, 4 * MIB, 128 * MIB));
            buffers.push(once("key-buffer-size", key, 128 * MIB));
            buffers.push(once("aria-pagecache-buffer-size", aria, 128 * MIB));
        } else {
            let key = share(128, MIB, 8 * MIB);
            buffers.push(once("key-buffer-size", key, 8 * MIB));
        }
        let sort = if maria { 2 * MIB } else { 256 * KIB };
        let chosen = |most| share(1024, 128 * KIB, most);
        buffers.extend([
            each("sort-buffer-size", chosen(sort), sort),
            each("join-buffer-size", chosen(256 * KIB), 256 * KIB),
            each("read-rnd-buffer-size", chosen(256 * KIB), 256 * KIB),
            each(
                "read-buffer-size",
                share(2048, 64 * KIB, 128 * KIB),
                128 * KIB,
            ),
            each("binlog-cache-size", None, 32 * KIB),
        ]);
        if self.kind == Kind::MySql8 {
            // One for all connections; 1 GiB would be filled by a few that sort.
            let temporary = share(32, 4 * MIB, GIB);
            buffers.push(once("temptable-max-ram", temporary, GIB));
        } else {
            let temporary = share(512, 256 * KIB, 16 * MIB);
            buffers.push(each("tmp-table-size", temporary, 16 * MIB));
            buffers.push(once("query-cache-size", None, MIB));
        }
        buffers
    }
}
