//! Case L1: the values for every limit and every kind of server, and what becomes of the user's own.

use std::path::Path;

use super::*;
use crate::option_file::OptionFile;
use crate::rendering::server_groups;

const MYSQL_9: (Flavour, Version) = (Flavour::MySql, Version::new(9, 7, 4));
const MYSQL_5_6: (Flavour, Version) = (Flavour::MySql, Version::new(5, 6, 24));
const MYSQL_5_7: (Flavour, Version) = (Flavour::Percona, Version::new(5, 7, 44));
const MARIADB_11_4_5: (Flavour, Version) = (Flavour::MariaDb, Version::new(11, 4, 5));
const MARIADB: (Flavour, Version) = (Flavour::MariaDb, Version::new(10, 11, 19));

fn within(bytes: u64) -> Memory {
    Memory {
        budget: bytes,
        bound: bytes,
    }
}

fn plan((flavour, version): (Flavour, Version), memory: Memory, my_cnf: &str) -> MemoryPlan {
    let text = format!("[mysqld]\n{my_cnf}\n");
    let file = OptionFile::parse(Path::new("my.cnf"), text.as_bytes()).unwrap();
    let groups = server_groups(flavour, version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    MemoryPlan::new(flavour, version, memory, |option| file.get(&groups, option))
}

fn options(plan: &MemoryPlan) -> Vec<String> {
    let line = |sized: &Sized| format!("{} = {}", sized.option, sized.value);
    plan.options.iter().map(line).collect()
}

fn value(plan: &MemoryPlan, option: &str) -> Option<u64> {
    let found = plan.options.iter().find(|sized| sized.option == option)?;
    parse_size(&found.value)
}

#[test]
fn l1_plan_fits_every_limit_from_the_floor_on_and_grows_with_it() {
    for (server, floor) in [
        (MYSQL_5_6, 128),
        (MYSQL_5_7, 128),
        (MYSQL_9, 256),
        (MARIADB, 128),
        (MARIADB_11_4_5, 224),
    ] {
        let mut last = (0, 0);
        // Every block of the platform up to 2 GiB, then up to its most.
        let limits = (floor..2048).step_by(32).chain([2048, 4096, 8192, 65536]);
        for limit in limits {
            let plan = plan(server, within(limit * MIB), "");
            plan.check().unwrap();
            assert!(plan.total() <= limit * MIB, "{limit}M: {}", plan.sum());
            assert_eq!(plan.shortage(), None, "{limit}M");
            let pool = value(&plan, POOL).unwrap();
            let connections = value(&plan, "max-connections").unwrap_or(CONNECTIONS);
            assert!(connections >= FEWEST_CONNECTIONS, "{limit}M");
            if limit.is_power_of_two() {
                assert!((pool, connections) > last, "{limit}M after {last:?}");
                last = (pool, connections);
            }
        }
    }
}

#[test]
fn l1_options_at_the_floors() {
    let at_128 = |server| options(&plan(server, within(128 * MIB), ""));
    let caches = ["table-open-cache = 400", "table-definition-cache = 400"];
    let clients = [
        "sort-buffer-size = 128K",
        "join-buffer-size = 128K",
        "read-rnd-buffer-size = 128K",
        "read-buffer-size = 64K",
        "tmp-table-size = 256K",
    ];
    assert_eq!(
        at_128(MYSQL_5_6),
        [
            &caches[..],
            &[
                "performance-schema = OFF",
                "innodb-log-buffer-size = 2M",
                "key-buffer-size = 1M"
            ],
            &clients,
            &["max-connections = 39", "innodb-buffer-pool-size = 32M"],
        ]
        .concat()
    );
    assert_eq!(
        at_128(MARIADB),
        [
            &caches[..],
            &[
                "innodb-log-buffer-size = 2M",
                "key-buffer-size = 1M",
                "aria-pagecache-buffer-size = 4M"
            ],
            &clients,
            &["max-connections = 36", "innodb-buffer-pool-size = 16M"],
        ]
        .concat()
    );
    assert_eq!(
        options(&plan(MYSQL_9, within(256 * MIB), "")),
        [
            &caches[..],
            &[
                "performance-schema = OFF",
                "innodb-log-buffer-size = 4M",
                "key-buffer-size = 2M",
                "temptable-max-ram = 8M",
                "max-connections = 36",
                "innodb-buffer-pool-size = 32M"
            ],
        ]
        .concat()
    );
}

#[test]
fn l1_large_limit_leaves_the_servers_defaults() {
    let plan = plan(MYSQL_9, within(8 << 30), "");
    assert_eq!(
        options(&plan),
        [
            "innodb-log-buffer-size = 16M",
            "temptable-max-ram = 256M",
            "innodb-buffer-pool-size = 6G"
        ]
    );
}

#[test]
fn pool_is_what_the_server_does_not_round_up() {
    let pool = |server, limit: u64| {
        let plan = plan(server, within(limit * MIB), "");
        let chunk = value(&plan, "innodb-buffer-pool-chunk-size");
        (value(&plan, POOL).unwrap() / MIB, chunk)
    };
    for (server, limit, expected, reason) in [
        (MYSQL_9, 256, (32, None), "below one chunk"),
        (MYSQL_9, 1024, (288, Some(8 * MIB)), "smaller chunks"),
        (MYSQL_9, 4096, (2048, None), "eight chunks to a gibibyte"),
        (MYSQL_5_6, 1024, (392, None), "no chunks before 5.7.5"),
        (MARIADB, 1024, (384, None), "chunks of its own from 10.8"),
    ] {
        assert_eq!(pool(server, limit), expected, "{reason}");
    }
}

#[test]
fn limit_below_the_floor_is_refused_whatever_the_options() {
    let small = "innodb_buffer_pool_size=5M\nmax_connections=5\n";
    for (server, floor) in [
        (MYSQL_5_6, 128),
        (MYSQL_5_7, 128),
        (MYSQL_9, 256),
        (MARIADB, 128),
        (MARIADB_11_4_5, 224),
    ] {
        for my_cnf in ["", small] {
            let refusal = plan(server, within(floor * MIB - 1), my_cnf).check();
            let limit = floor * MIB - 1;
            let needed = floor * MIB;
            assert_eq!(
                refusal,
                Err(MemoryError::LimitTooSmall { needed, limit }),
                "{server:?}"
            );
        }
    }
}

#[test]
fn options_of_the_users_are_counted() {
    let limit = within(512 * MIB);
    let free = plan(MYSQL_9, limit, "");
    for my_cnf in [
        "innodb_log_buffer_size=32M",
        "max_connections=140",
        "performance_schema",
        "loose-temptable-max-ram=64M",
    ] {
        let own = plan(MYSQL_9, limit, my_cnf);
        assert!(
            value(&own, POOL) < value(&free, POOL),
            "{my_cnf} leaves the pool less"
        );
        own.check().unwrap();
    }
    let sorting = plan(MYSQL_9, limit, "sort_buffer_size=1M");
    assert!(value(&sorting, "max-connections") < value(&free, "max-connections"));
    let off = plan(MYSQL_9, within(GIB), "skip-performance-schema");
    assert!(value(&off, POOL) > value(&plan(MYSQL_9, within(GIB), ""), POOL));
}

#[test]
fn pool_of_the_users_that_cannot_fit_is_refused_with_the_sum() {
    let sum = "supervisord 24M + the server itself 120M + innodb-log-buffer-size 4M + key-buffer-size 2M + \
               temptable-max-ram 8M + the page cache 32M + innodb-buffer-pool-size 1G with its \
               overhead 1127M + 36 connections of 1.3M 46.2M = 1363M";
    let own = "innodb_buffer_pool_size=1G";
    let error = plan(MYSQL_9, within(512 * MIB), own).check().unwrap_err();
    assert_eq!(
        error,
        MemoryError::OptionsTooLarge {
            needed: 1440 * MIB,
            limit: 512 * MIB,
            sum: sum.to_owned()
        }
    );
    let plan = plan(MYSQL_9, within(1440 * MIB), own);
    plan.check().unwrap();
    assert_eq!(plan.shortage(), None, "what is told is enough");
}

#[test]
fn connections_that_may_not_fit_are_a_shortage_and_no_refusal() {
    let plan = plan(MARIADB, within(128 * MIB), "max_connections=500");
    plan.check().unwrap();
    assert_eq!(plan.shortage(), Some(608 * MIB));
}

#[test]
fn absurd_values_do_not_overflow() {
    let most = u64::MAX;
    for option in [
        POOL,
        "max_connections",
        "sort_buffer_size",
        "key_buffer_size",
    ] {
        let plan = plan(MYSQL_9, within(512 * MIB), &format!("{option}={most}"));
        assert!(plan.shortage() > Some(512 * MIB), "{option}");
    }
}

#[test]
fn machine_without_a_limit_is_what_bounds_and_not_what_is_planned_for() {
    let machine = Memory {
        budget: GIB,
        bound: 24 * GIB,
    };
    let own = "innodb_buffer_pool_size=8G";
    let large = plan(MYSQL_9, machine, own);
    large.check().unwrap();
    assert_eq!(large.shortage(), None);
    let small = Memory {
        budget: 150 * MIB,
        bound: 300 * MIB,
    };
    let plan = plan(MYSQL_9, small, "");
    plan.check().unwrap();
    assert!(plan.total() <= 300 * MIB, "{}", plan.sum());
}

#[test]
fn least_is_the_plan_for_the_floor() {
    let options_of = |memory| options(&plan(MYSQL_9, memory, ""));
    assert_eq!(options_of(Memory::LEAST), options_of(within(256 * MIB)));
}

#[test]
fn errors_have_exact_texts() {
    let (needed, limit) = (256 * MIB, 192 * MIB);
    let small = MemoryError::LimitTooSmall { needed, limit };
    assert_eq!(
        small.to_string(),
        "the server needs 256M of memory, and the limit is 192M"
    );
    let sum = "1M = 1M".to_owned();
    let large = MemoryError::OptionsTooLarge { needed, limit, sum };
    assert_eq!(
        large.to_string(),
        "with the options of my.cnf the server needs 256M of memory, and the limit is 192M"
    );
}
