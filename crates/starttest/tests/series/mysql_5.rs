//! MySQL before 8.0, whose data another series gets by `mysql_upgrade` alone: from 5.5 to 5.6 with the tool of
//! 5.6.14, and from 5.6 to 5.7 as far as one comes without a tool of 5.7, which is nowhere to be had.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::real::{Instance, Running, Server, assembled, release};
use crate::sandbox::{Sandbox, hand_over, listing, wait_for};
use crate::{MADE, PASSWORD, assert_refused, check, killed_anywhere_on, said, stop, with_password};

/// No hook starts it: it is here for the data that it leaves.
struct MySql55 {
    release: PathBuf,
}

impl MySql55 {
    fn unpacked() -> Option<Self> {
        static RELEASE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let unpack = || {
            let Some(tarball) = assembled("mysql-5.5") else {
                let _ = writeln!(io::stderr(), "\n*** NOT TESTED: mysql-5.5\n");
                return None;
            };
            let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mysql-5.5");
            fs::create_dir_all(&place).unwrap();
            let mut tar = Command::new("tar");
            tar.args(["--strip-components=1", "-xzf"]).arg(tarball);
            assert!(tar.arg("-C").arg(&place).status().unwrap().success());
            hand_over(&place);
            Some(place.canonicalize().unwrap())
        };
        let release = RELEASE.get_or_init(unpack).clone()?;
        Some(Self { release })
    }

    fn mysqld(&self, sandbox: &Sandbox) -> Command {
        let mut command = sandbox.command(&self.release.join("bin/mysqld"));
        command
            .args(["--no-defaults", "--skip-networking"])
            // It ends where other servers have all of the kernel's requests (fs.aio-max-nr); later ones do without.
            .arg("--innodb-use-native-aio=0")
            .arg(format!("--basedir={}", self.release.display()))
            .arg(format!(
                "--lc-messages-dir={}/share",
                self.release.display()
            ))
            .arg(format!("--datadir={}", data_dir(sandbox).display()))
            .arg(format!("--socket={}", socket(sandbox).display()))
            .stderr(fs::File::create(log(sandbox)).unwrap());
        command
    }

    /// What its `mysql_install_db` does.
    fn initialise(&self, sandbox: &Sandbox) {
        fs::create_dir_all(data_dir(sandbox)).unwrap();
        sandbox.hand_over();
        let mut sql = b"CREATE DATABASE mysql;\nUSE mysql;\n".to_vec();
        for name in ["mysql_system_tables.sql", "mysql_system_tables_data.sql"] {
            sql.extend(fs::read(self.release.join("share").join(name)).unwrap());
        }
        let script = sandbox.write("bootstrap.sql", sql);
        let mut bootstrap = self.mysqld(sandbox);
        bootstrap.arg("--bootstrap");
        bootstrap.stdin(fs::File::open(script).unwrap());
        let ended = bootstrap.status().unwrap();
        let said = fs::read_to_string(log(sandbox)).unwrap_or_default();
        assert!(ended.success(), "{ended}: {said}");
    }

    fn start(&self, sandbox: &Sandbox) -> (Running, Conn) {
        let running = Running(self.mysqld(sandbox).spawn().unwrap());
        let root = wait_for("MySQL 5.5", || connect(sandbox));
        (running, root)
    }
}

fn connect(sandbox: &Sandbox) -> Option<Conn> {
    let options = OptsBuilder::new().user(Some("root"));
    Conn::new(options.socket(socket(sandbox).to_str())).ok()
}

fn data_dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join("data/mysqldb")
}

fn log(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("5.5.log")
}

fn socket(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("5.5.sock")
}

/// A container of 5.6.14 with a database of 5.5 that is not ours, its server running.
fn filled() -> Option<(MySql55, Instance, Running)> {
    let old = MySql55::unpacked()?;
    let instance = Instance::in_memory(Server::MySql5614);
    old.initialise(&instance.sandbox);
    let (running, mut root) = old.start(&instance.sandbox);
    for sql in MADE {
        root.query_drop(sql).unwrap();
    }
    check(&mut root, 1, "5.5");
    Some((old, instance, running))
}

#[test]
fn mysql_is_upgraded_from_5_5_to_5_6_by_its_tool_and_refused_by_5_7_without_one() {
    let Some((_, instance, running)) = filled() else {
        return;
    };
    stop(running);
    let new = Server::MySql5614.title();
    for sold in 2..4 {
        let running = instance.start(&mut with_password(&instance));
        let mut root = instance.connect(PASSWORD);
        check(&mut root, sold, &new);
        // What 5.5 has not, and 5.6 wants of its system tables.
        let query = "SELECT COUNT(password_expired) FROM mysql.user WHERE User = 'app'";
        assert_eq!(root.query_first(query).unwrap(), Some(1));
        let steps = "- upgrading it from 5.5.34 to MySQL 5.6.14\n  \
                     - saved the system tables as {dir}/home/data/mysqldb-before-5.5.34.sql\n  \
                     - mysql_upgrade is done\n\
                     - upgraded it to MySQL 5.6.14\n";
        let dir = instance.sandbox.path().to_str().unwrap();
        let told = said(&instance).replace(dir, "{dir}");
        assert_eq!(told.contains(steps), sold == 2, "{told}");
        stop(running);
    }
    // Of the same series, without any tool.
    instance.install(Server::MySql56);
    let running = instance.start(&mut with_password(&instance));
    check(&mut instance.connect(PASSWORD), 4, "5.6.24");
    stop(running);
    instance.install(Server::MySql57);
    assert_refused(
        &instance,
        "starttest: error: no mysql_upgrade in {dir}/home/mysql/install\n  next: push the vendor's \
         tarball, or repack it again: it was cut too short\n",
    );
    instance.install(Server::MySql56);
    let running = instance.start(&mut with_password(&instance));
    check(
        &mut instance.connect(PASSWORD),
        5,
        "5.6.24 after the refusal",
    );
    stop(running);
}

#[test]
fn mysql_5_5_that_was_killed_is_refused_by_5_6_until_it_was_started_once_more() {
    let Some((old, instance, running)) = filled() else {
        return;
    };
    running.signal("KILL");
    running.end();
    assert_refused(
        &instance,
        "starttest: error: MySQL 5.5.34 was not shut down cleanly in {dir}/home/data/mysqldb, so \
         MySQL 5.6.14 cannot upgrade it\n  next: the data is untouched: push MySQL 5.5.34 again, \
         wait until it answers, then push the newer one\n",
    );
    let (running, root) = old.start(&instance.sandbox);
    drop(root);
    stop(running);
    let running = instance.start(&mut with_password(&instance));
    check(&mut instance.connect(PASSWORD), 2, "5.6.14");
    stop(running);
}

#[test]
fn upgrade_from_mysql_5_5_killed_anywhere_is_completed_by_the_next_start() {
    let Some((_, instance, running)) = filled() else {
        return;
    };
    stop(running);
    killed_anywhere_on(&instance, "MySQL 5.5.34", Server::MySql5614);
}

/// MySQL 5.6 makes a table's .frm before its engine has the table. Killed between the two, the tool leaves a
/// table that is there and cannot be opened.
#[test]
fn system_table_of_which_a_kill_left_the_frm_only_is_made_again() {
    let Some((_, instance, running)) = filled() else {
        return;
    };
    stop(running);
    let starttest = instance.start(&mut with_password(&instance));
    wait_for("the saved system tables", || {
        let journal = instance.home().join("data/mysqldb.upgrading");
        let text = fs::read_to_string(journal).unwrap_or_default();
        text.contains("saved yes").then_some(())
    });
    starttest.signal("KILL");
    starttest.end();
    let complete = Instance::in_memory(Server::MySql5614);
    let running = complete.start(&mut with_password(&complete));
    complete.connect(PASSWORD);
    stop(running);
    let tables = ["innodb_table_stats", "slave_worker_info", "proxies_priv"];
    for name in tables {
        let [from, to] = [&complete, &instance]
            .map(|instance| data_dir(&instance.sandbox).join("mysql").join(name));
        for gone in ["ibd", "MYD", "MYI"] {
            let _ = fs::remove_file(to.with_extension(gone));
        }
        fs::copy(from.with_extension("frm"), to.with_extension("frm")).unwrap();
    }
    instance.sandbox.hand_over();
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    check(&mut root, 2, "5.6.14");
    for name in tables {
        let query = format!("SELECT COUNT(*) FROM mysql.{name}");
        let rows: Option<u64> = root.query_first(query).unwrap();
        assert!(rows.is_some(), "{name}");
    }
    stop(running);
}

#[test]
fn times_of_mysql_5_5_are_told_before_8_0_touches_them() {
    let Some((_, instance_of_5_5, running)) = filled().filter(|_| Server::MySql57.is_there())
    else {
        return;
    };
    let mut root = connect(&instance_of_5_5.sandbox).unwrap();
    root.query_drop("CREATE TABLE shop.times (d DATETIME, t TIME) ENGINE=MyISAM")
        .unwrap();
    root.query_drop("INSERT INTO shop.times VALUES ('2012-03-04 05:06:07', '08:09')")
        .unwrap();
    stop(running);
    let (instance, running) = crate::filled(Server::MySql57);
    stop(running);
    for name in ["times.frm", "times.MYD", "times.MYI"] {
        let from = data_dir(&instance_of_5_5.sandbox).join("shop").join(name);
        fs::copy(from, data_dir(&instance.sandbox).join("shop").join(name)).unwrap();
    }
    instance.sandbox.hand_over();
    instance.install(Server::MySql80);
    let refused = instance.sandbox.outcome(&mut with_password(&instance));
    let told = "/mysqldb: shop.times has times as before 5.6 (ALTER TABLE … FORCE)\n";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    for (server, sql) in [
        (Server::MySql57, "ALTER TABLE shop.times FORCE"),
        (Server::MySql80, "SELECT CAST(d AS CHAR) FROM shop.times"),
    ] {
        instance.install(server);
        let running = instance.start(&mut with_password(&instance));
        let time: Option<String> = instance.connect(PASSWORD).query_first(sql).unwrap();
        let expected = (server == Server::MySql80).then(|| "2012-03-04 05:06:07".to_owned());
        assert_eq!(time, expected);
        stop(running);
    }
}

/// MySQL 5.7 with the clients of 5.6.14, and in place of the tool a script that writes how it is called and
/// fails.
fn with_stand_in(instance: &Instance) {
    let (server, clients) = (release(Server::MySql57), release(Server::MySql5614));
    let own = instance.sandbox.path().join("lent");
    fs::create_dir_all(own.join("bin")).unwrap();
    for entry in fs::read_dir(&server).unwrap() {
        let name = entry.unwrap().file_name();
        if name != "bin" && name != "lib" {
            symlink(server.join(&name), own.join(&name)).unwrap();
        }
    }
    symlink(server.join("bin/mysqld"), own.join("bin/mysqld")).unwrap();
    symlink(clients.join("lib"), own.join("lib")).unwrap();
    for name in ["mysql", "mysqldump", "mysqlcheck"] {
        symlink(clients.join("bin").join(name), own.join("bin").join(name)).unwrap();
    }
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" >~/arguments\necho 'Upgrade process encountered error' >&2\nexit 5\n";
    instance
        .sandbox
        .write_executable("lent/bin/mysql_upgrade", script);
    let link = instance.home().join("mysql/install");
    fs::remove_file(&link).unwrap();
    symlink(own, link).unwrap();
    instance.sandbox.hand_over();
}

/// What comes before the tool and after a failure of it, with the real server of 5.7 on data of 5.6.
#[test]
fn upgrade_of_mysql_5_6_calls_the_tool_of_5_7_and_begins_anew_where_it_failed() {
    if !Server::MySql57.is_there() || !Server::MySql5614.is_there() {
        return;
    }
    let (instance, running) = crate::filled(Server::MySql5614);
    stop(running);
    with_stand_in(&instance);
    let mut said_of_dump = "saved the system tables as";
    for _ in 0..2 {
        let outcome = instance.sandbox.outcome(&mut with_password(&instance));
        let error = "starttest: error: the upgrade tool failed\n  \
                     cause: {dir}/home/mysql/install/bin/mysql_upgrade ended with status 5\n  \
                     | Upgrade process encountered error\n  \
                     next: correct what it says, start again: it goes on with the upgrade; until \
                     that is complete nobody can connect\n";
        assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said_of_dump), "{}", outcome.stderr);
        said_of_dump = "restored the system tables from";
        let arguments = fs::read_to_string(instance.home().join("arguments")).unwrap();
        let socket = instance.home().join("mysql/run/init.sock");
        let expected = [
            "--no-defaults",
            &format!("--socket={}", socket.display()),
            "--protocol=SOCKET",
            "--user=root",
        ];
        assert_eq!(arguments.lines().collect::<Vec<_>>(), expected);
    }
    // The older one has to wait until somebody decides.
    instance.install(Server::MySql5614);
    let before = listing(&instance.home());
    let outcome = instance.sandbox.outcome(&mut with_password(&instance));
    let refused = "from 5.6.14 to 5.7.22 is not complete, and the server is MySQL 5.6.14\n";
    assert!(outcome.stderr.contains(refused), "{}", outcome.stderr);
    assert_eq!(listing(&instance.home()), before);
}
