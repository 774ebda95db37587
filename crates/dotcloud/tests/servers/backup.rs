//! Real servers backed up while they serve, and brought back: every row of the copy, and none after it.

use mysql::prelude::Queryable;

use crate::world::{World, column, tarball};

fn rows(world: &World) -> Vec<String> {
    column(&mut world.connect(0), "SELECT i FROM shop.t ORDER BY i")
}

fn fill(world: &World) {
    let mut root = world.connect(0);
    root.query_drop("CREATE DATABASE shop").unwrap();
    root.query_drop("CREATE TABLE shop.t (i INT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    root.query_drop("INSERT INTO shop.t VALUES (1), (2)")
        .unwrap();
}

fn method(world: &World) -> String {
    let json = world.dotcloud(["backups", "--json"]).with_status(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let last = json.as_array().unwrap().last().unwrap();
    last["method"].as_str().unwrap().to_owned()
}

/// While it serves; tried out; brought back, with root's password of then.
fn backed_up_and_brought_back(world: &World, expected: &str) {
    world.push(0);
    fill(world);
    let password = world.password(0);
    world.dotcloud(["backup"]).with_status(0);
    assert_eq!(method(world), expected);
    let good = world
        .dotcloud(["backup", "--verify", "latest"])
        .with_status(0);
    assert!(
        good.stdout.contains("is good: 1 tables with 2 rows"),
        "{}",
        good.all()
    );
    let mut root = world.connect(0);
    root.query_drop("INSERT INTO shop.t VALUES (3)").unwrap();
    drop(root);
    let restored = world
        .dotcloud(["restore", "-y", "testbed", "latest"])
        .with_status(0);
    assert_eq!(rows(world), ["1", "2"], "{}", restored.all());
    assert_eq!(world.password(0), password);
    // As ever, and it is the next push's.
    world.push(0);
    assert_eq!(rows(world), ["1", "2"]);
}

#[test]
fn mysql_9_is_backed_up_and_brought_back() {
    backed_up_and_brought_back(&World::new("mysql-9"), "clone");
}

#[test]
fn mariadb_is_backed_up_and_brought_back() {
    backed_up_and_brought_back(&World::new("mariadb"), "mariadb-backup");
}

#[test]
fn mariadb_in_containers_is_backed_up_and_brought_back() {
    if let Some(world) = World::in_containers("mariadb") {
        backed_up_and_brought_back(&world, "mariadb-backup");
    }
}

#[test]
fn mysql_5_6_is_backed_up_while_it_is_down() {
    let world = World::new("mysql-5.6");
    world.push(0);
    fill(&world);
    // Its fixture brings no dumper.
    let refused = world.dotcloud(["backup"]).with_status(1);
    assert!(
        refused.all().contains("no bin/mysqldump"),
        "{}",
        refused.all()
    );
    world.dotcloud(["down"]).with_status(0);
    world.dotcloud(["backup"]).with_status(0);
    assert_eq!(method(&world), "cold");
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    let mut root = world.connect(0);
    root.query_drop("DROP TABLE shop.t").unwrap();
    drop(root);
    world
        .dotcloud(["restore", "-y", "testbed", "latest"])
        .with_status(0);
    assert_eq!(rows(&world), ["1", "2"]);
}

#[test]
fn older_release_does_not_get_a_newer_ones_backup() {
    let world = World::new("mariadb-11");
    world.push(0);
    fill(&world);
    world.dotcloud(["down"]).with_status(0);
    world.dotcloud(["backup"]).with_status(0);
    assert_eq!(method(&world), "cold");
    world.dotcloud(["destroy", "-y"]).with_status(0);
    // As on a new machine: the application is gone, its backups are not.
    let hooks = world.code("hooks");
    let (newer, older) = (tarball("mariadb-11"), tarball("mariadb"));
    std::fs::remove_file(hooks.join(newer.file_name().unwrap())).unwrap();
    std::fs::copy(&older, hooks.join(older.file_name().unwrap())).unwrap();
    world.dotcloud(["create", "app", "-y"]).with_status(0);
    world.push(0);
    let mut root = world.connect(0);
    root.query_drop("CREATE DATABASE mine").unwrap();
    drop(root);
    let refused = world
        .dotcloud(["restore", "-y", "testbed", "latest"])
        .with_status(1);
    let said = "is of MariaDB 11.8.9, which is newer than the server, MariaDB 10.11.19";
    assert!(refused.all().contains(said), "{}", refused.all());
    let mine = column(&mut world.connect(0), "SHOW DATABASES LIKE 'mine'");
    assert_eq!(mine, ["mine"]);
}

/// By the hooks as they are deployed: every row of before the time, and none after.
#[test]
fn mariadb_is_brought_back_to_a_point_in_time() {
    let world = World::new("mariadb");
    world.push(0);
    world
        .dotcloud(["env", "set", "MYSQL_PITR=1"])
        .with_status(0);
    fill(&world);
    world.dotcloud(["backup"]).with_status(0);
    let insert = |id: u32| {
        let mut root = world.connect(0);
        root.query_drop(format!("INSERT INTO shop.t VALUES ({id})"))
            .unwrap();
    };
    insert(3);
    world.dotcloud(["backup", "--ship"]).with_status(0);
    insert(4);
    let pause = || std::thread::park_timeout(std::time::Duration::from_millis(2100));
    pause();
    let now = column(
        &mut world.connect(0),
        "SELECT CAST(UNIX_TIMESTAMP() AS CHAR)",
    );
    let now: i64 = now[0].parse().unwrap();
    let time = std::process::Command::new("date")
        .args(["-d", &format!("@{now}"), "+%F %T"])
        .output()
        .unwrap();
    let time = String::from_utf8(time.stdout).unwrap();
    pause();
    insert(5);
    // The name of the home is another one after a push; the logs go on.
    world.push(0);
    insert(6);
    let restored = world
        .dotcloud(["restore", "-y", "testbed", "latest", "--at", time.trim()])
        .with_status(0);
    assert_eq!(rows(&world), ["1", "2", "3", "4"], "{}", restored.all());
    // And to the end, from the next backup on.
    world.dotcloud(["backup"]).with_status(0);
    insert(7);
    world
        .dotcloud([
            "restore",
            "-y",
            "testbed",
            "latest",
            "--at",
            "2100-01-01 00:00:00",
        ])
        .with_status(0);
    assert_eq!(rows(&world), ["1", "2", "3", "4", "7"]);
}

#[test]
fn rehearsal_has_the_newer_release_upgrade_a_backup() {
    let world = World::new("mariadb");
    world.push(0);
    fill(&world);
    let hooks = world.code("hooks");
    let (older, newer) = (tarball("mariadb"), tarball("mariadb-11"));
    std::fs::remove_file(hooks.join(older.file_name().unwrap())).unwrap();
    std::fs::copy(&newer, hooks.join(newer.file_name().unwrap())).unwrap();
    let said = world.dotcloud(["push", "--rehearse"]).with_status(0);
    let told =
        "testbed.0: MariaDB 11.8.9 has it, with 1 tables in order and 2 rows; for as long as ";
    assert!(said.stdout.contains(told), "{}", said.all());
    let version = column(&mut world.connect(0), "SELECT VERSION()");
    assert!(version[0].starts_with("10.11.19"), "{version:?}");
    assert_eq!(rows(&world), ["1", "2"]);
}
