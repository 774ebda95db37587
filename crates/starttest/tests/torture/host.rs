//! What the machine around a container may be like.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::check::{PASSWORD, assert_closed, hook, on_each, start_and_check};
use crate::real::{Instance, Running, Server, release};
use crate::sandbox::{in_mount_namespace, is_root, unprivileged};

/// `command` with what the hooks get to see.
fn with_inputs(mut command: Command, instance: &Instance) -> Command {
    let inputs = hook(instance, "starttest");
    command
        .envs(inputs.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(instance.home())
        .stdin(Stdio::null());
    command
}

#[test]
fn i1_i2_i3_what_is_around_is_not_seen() {
    on_each(|server| {
        let instance = Instance::new(server);
        // Of the same kind, on this machine, all the while.
        let foreign = Instance::new(server);
        let (_foreign, _) = start_and_check(server, &foreign);
        let theirs = "[client]\npassword = x\n[mysqld]\nport = 3399\nskip-grant-tables\n";
        instance.sandbox.write("home/.my.cnf", theirs);
        let mut starttest = hook(&instance, "starttest");
        for (name, value) in [
            ("MYSQL_HOST", "192.0.2.1"),
            ("MYSQL_PWD", "x"),
            ("MYSQL_UNIX_PORT", "/nowhere/mysqld.sock"),
            ("MYSQL_TCP_PORT", "3399"),
            ("MYSQL_HOME", "/nowhere"),
            ("MYSQL_GROUP_SUFFIX", "_x"),
        ] {
            starttest.env(name, value);
        }
        let _running = instance.start(&mut starttest);
        instance.connect(PASSWORD);
        assert_closed(&instance);
    });
}

#[test]
fn e1_any_user_will_do() {
    if !is_root() {
        let _ = writeln!(
            io::stderr(),
            "NOT TESTED: only root can become another user"
        );
        return;
    }
    let somebody = 54_321;
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    assert!(!passwd.contains(":54321:"), "nobody has that number");
    on_each(|server| {
        let instance = Instance::new(server);
        for path in crate::sandbox::walk(instance.sandbox.path()) {
            std::os::unix::fs::lchown(path, Some(somebody), Some(somebody)).unwrap();
        }
        let mut command = Command::new(instance.home().join("starttest"));
        command.env_clear().uid(somebody).gid(somebody);
        let _running = instance.start(&mut with_inputs(command, &instance));
        instance.connect(PASSWORD);
        assert_closed(&instance);
    });
}

/// A user namespace with one user, in which nothing can be given to another.
#[test]
fn i4_a_namespace_of_one_user() {
    on_each(|server| {
        let instance = Instance::new(server);
        let mut command = unprivileged(Path::new("/usr/bin/unshare"));
        command
            .args(["-U", "--map-current-user"])
            .arg(instance.home().join("starttest"));
        let _running = instance.start(&mut with_inputs(command, &instance));
        instance.connect(PASSWORD);
        assert_closed(&instance);
    });
}

#[test]
fn i5_nothing_but_home_is_writable() {
    on_each(|server| {
        let instance = Instance::new(server);
        let command = in_mount_namespace(
            "mount --bind \"$HOME\" \"$HOME\"\n\
             mount -o remount,ro,bind /\n\
             ! touch /tmp/mysql-on-dotcloud 2>/dev/null\n\
             cd \"$HOME\"\n\
             exec $AS_USER \"$HOME/starttest\"\n",
        );
        let _running = instance.start(&mut with_inputs(command, &instance));
        instance.connect(PASSWORD);
        assert_closed(&instance);
    });
}

#[test]
fn e6_a_preloaded_library_reaches_the_server() {
    on_each(|server| {
        let instance = Instance::new(server);
        let mut starttest = hook(&instance, "starttest");
        starttest.env("LD_PRELOAD", "libnss_wrapper.so");
        let running: Running = instance.start(&mut starttest);
        instance.connect(PASSWORD);
        let maps = fs::read_to_string(format!("/proc/{}/maps", running.0.id())).unwrap();
        assert!(maps.contains("libnss_wrapper.so"), "{server:?}");
    });
}

/// MySQL 9 makes its own keys; the others have none unless my.cnf names some.
#[test]
fn e7_mysql_9_speaks_tls() {
    let instance = Instance::new(Server::MySql9);
    let (_running, _) = start_and_check(Server::MySql9, &instance);
    let mut client = instance
        .sandbox
        .command(&release(Server::MySql9).join("bin/mysql"));
    let option_file = format!("--defaults-file={}/.my.cnf", instance.home().display());
    client.args([
        &option_file,
        "--host=127.0.0.1",
        "--protocol=tcp",
        "--ssl-mode=REQUIRED",
        "-N",
        "-e",
        "SHOW STATUS LIKE 'Ssl_cipher'",
    ]);
    let outcome = instance.sandbox.outcome(&mut client);
    let cipher = outcome.stdout.trim().strip_prefix("Ssl_cipher\t");
    assert!(cipher.is_some_and(|name| !name.is_empty()), "{outcome:?}");
}

/// Makes its keys, is killed between two files of a set, and would serve without TLS ever after.
#[test]
fn e7_mysql_9_speaks_tls_although_it_was_killed_while_it_made_its_keys() {
    let instance = Instance::new(Server::MySql9);
    let (running, _) = start_and_check(Server::MySql9, &instance);
    running.signal("TERM");
    running.end();
    let data_dir = instance.home().join("data/mysqldb");
    for name in ["server-key.pem", "client-cert.pem", "public_key.pem"] {
        fs::remove_file(data_dir.join(name)).unwrap();
    }
    let ca = fs::read(data_dir.join("ca.pem")).unwrap();
    let (_running, _) = start_and_check(Server::MySql9, &instance);
    assert!(data_dir.join("public_key.pem").exists());
    let kept = fs::read(data_dir.join("ca.pem.incomplete")).unwrap();
    assert!(kept == ca, "renamed, not removed");
}
