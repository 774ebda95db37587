//! The agent beside real servers: from before their first start to their end.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod openmetrics;
#[path = "../../starttest/tests/real/mod.rs"]
mod real;
mod world;

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use testbed::sandbox;

use mysql::prelude::Queryable;
use real::{Instance, Server, free_port};
use sandbox::{in_sealed_home, mode, wait_for};
use world::{Agent, check, home, ready, start};

/// Nobody else's account in any binary log.
fn assert_not_in_binary_logs(instance: &Instance) {
    let data = instance.home().join("data/mysqldb");
    let mut logs = 0;
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("seen.0") {
            logs += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("dotcloud-agent"), "{name}");
        }
    }
    assert!(logs > 0, "no binary log");
}

/// A service that takes seconds to start first.
fn with_first_run_file(server: Server) -> Instance {
    let instance = home(server);
    instance.lend_client(server);
    let file = instance.home().join("mysql/initdb.d/1.sql");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "SELECT SLEEP(3);\n").unwrap();
    instance.sandbox.hand_over();
    instance
}

/// It may do nothing.
fn assert_no_rights(root: &mut mysql::Conn) {
    let grants: Vec<String> = root
        .query("SHOW GRANTS FOR 'dotcloud-agent'@'localhost'")
        .unwrap();
    let [grant] = &grants[..] else {
        panic!("{grants:?}")
    };
    assert!(grant.starts_with("GRANT USAGE ON *.* TO "), "{grant}");
}

/// Every metric that there has to be, with a value that may be.
fn assert_metrics(agent: &Agent) {
    let metrics = agent.metrics();
    for (name, least) in [
        ("mysql_up", 1.0),
        ("mysql_agent_live", 1.0),
        ("mysql_agent_ready", 1.0),
        ("mysql_global_status_threads_connected", 2.0),
        ("mysql_global_status_threads_running", 1.0),
        ("mysql_global_status_questions", 1.0),
        ("mysql_global_status_slow_queries", 0.0),
        ("mysql_global_status_innodb_buffer_pool_reads", 1.0),
        ("mysql_global_status_innodb_buffer_pool_read_requests", 1.0),
        ("mysql_global_status_innodb_row_lock_time", 0.0),
        ("mysql_global_status_uptime", 0.0),
        ("mysql_global_variables_max_connections", 10.0),
        ("mysql_binlog_files", 1.0),
        ("mysql_binlog_size_bytes", 512.0),
        ("mysql_agent_data_size_bytes", 1e6),
        ("mysql_agent_log_size_bytes", 1.0),
        ("mysql_agent_data_free_bytes", 1.0),
        ("mysql_agent_memory_planned_bytes", 1e6),
        ("mysql_agent_memory_resident_bytes", 1e7),
        ("mysql_agent_memory_limit_bytes", 1e7),
    ] {
        let value = metrics.get(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(*value >= least, "{name} {value}");
    }
}

fn whole_life(server: Server) {
    let instance = with_first_run_file(server);
    let absent = "no server runs: nobody has the data directory\n";
    assert_eq!(check(&instance, "live"), (1, format!("not live: {absent}")));
    let agent = Agent::start(&instance);
    assert_eq!(agent.get("/ready"), (503, format!("not ready: {absent}")));
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // A starting server is never given up.
        let live = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let (code, text) = agent.get("/live");
                assert_eq!(code, 200, "{text}");
                thread::park_timeout(Duration::from_millis(100));
            }
        });
        let running = start(&instance, &["--log-bin=seen", "--server-id=1"]);
        wait_for("first-run files", || {
            (check(&instance, "live").1 == "live: first-run files are being loaded\n").then_some(())
        });
        wait_for("the agent to see them", || {
            (agent.state() == "first-run").then_some(())
        });
        ready(&agent);
        let expected = format!("ready: the server serves port {}\n", instance.port);
        assert_eq!(agent.get("/ready"), (200, expected.clone()));
        assert_eq!(check(&instance, "ready"), (0, expected));
        let mut root = instance.connect(world::PASSWORD);
        assert_no_rights(&mut root);
        root.query_drop("CREATE DATABASE shop").unwrap();
        assert_not_in_binary_logs(&instance);
        let password = instance.home().join("data/mysql-agent.cnf");
        assert_eq!(mode(&password), 0o600);
        assert_metrics(&agent);
        // A kill is seen at once, and the next server as well.
        running.signal("KILL");
        running.end();
        wait_for("the kill to be seen", || {
            (agent.get("/ready").0 == 503).then_some(())
        });
        assert_eq!(agent.metrics().get("mysql_up"), Some(&0.0));
        // The account is made anew where it is missing.
        fs::remove_file(&password).unwrap();
        let running = start(&instance, &["--log-bin=seen", "--server-id=1"]);
        ready(&agent);
        assert_not_in_binary_logs(&instance);
        running.signal("TERM");
        running.end();
        wait_for("the end to be seen", || {
            (agent.state() == "absent").then_some(())
        });
        ended.store(true, Ordering::SeqCst);
        live.join().unwrap();
    });
    agent.stop();
}

#[test]
fn whole_life_mariadb() {
    whole_life(Server::MariaDb);
}

#[test]
fn whole_life_mysql_5_6() {
    whole_life(Server::MySql56);
}

#[test]
fn whole_life_mysql_9() {
    whole_life(Server::MySql9);
}

/// Stopped in its tracks, a server is given up after 30 s, and not before; neither probes nor TERM wait
/// for it.
#[test]
fn hung_server_is_not_live_after_30_seconds() {
    let instance = home(Server::MySql9);
    let agent = Agent::start(&instance);
    let running = start(&instance, &[]);
    ready(&agent);
    running.signal("STOP");
    let stopped = Instant::now();
    let look = |path: &str| {
        let asked = Instant::now();
        let (status, text) = agent.get(path);
        assert!(asked.elapsed() < Duration::from_secs(1), "{path}: {text}");
        (status, text)
    };
    wait_for("not ready", || (look("/ready").0 == 503).then_some(()));
    assert!(stopped.elapsed() < Duration::from_secs(10));
    let asked = Instant::now();
    assert_eq!(
        check(&instance, "live"),
        (
            1,
            "not live: the server has not answered for 5 s\n".to_owned()
        )
    );
    assert!(asked.elapsed() < Duration::from_secs(9));
    assert_eq!(agent.metrics().get("mysql_up"), Some(&0.0));
    let (status, text) = loop {
        let (status, text) = look("/live");
        if status == 503 || stopped.elapsed() > Duration::from_secs(40) {
            break (status, text);
        }
        thread::park_timeout(Duration::from_millis(200));
    };
    assert_eq!(status, 503, "{text}");
    assert!(
        text.starts_with("not live: the server has not answered for "),
        "{text}"
    );
    let given_up = stopped.elapsed();
    assert!(
        given_up > Duration::from_secs(28) && given_up < Duration::from_secs(36),
        "{given_up:?}"
    );
    running.signal("CONT");
    ready(&agent);
    running.signal("STOP");
    thread::park_timeout(Duration::from_secs(2));
    let asked = Instant::now();
    agent.stop();
    assert!(asked.elapsed() < Duration::from_secs(1));
    running.signal("CONT");
}

/// While an upgrade runs the service is live, and not ready.
#[test]
fn upgrade_is_live_and_told() {
    let instance = home(Server::MariaDb);
    let running = start(&instance, &[]);
    drop(instance.connect(world::PASSWORD));
    running.signal("TERM");
    running.end();
    instance.install(Server::MariaDb11);
    let agent = Agent::start(&instance);
    let running = start(&instance, &[]);
    wait_for("the upgrade", || {
        assert_eq!(agent.get("/live").0, 200);
        let said = agent.get("/ready");
        (said
            == (
                503,
                "not ready: the database is being upgraded\n".to_owned(),
            ))
            .then_some(())
    });
    wait_for("ready", || {
        assert_eq!(agent.get("/live").0, 200);
        (agent.get("/ready").0 == 200).then_some(())
    });
    let (_, metrics) = agent.get("/metrics");
    assert!(
        metrics.contains("mysql_version_info{version=\"11."),
        "{metrics}"
    );
    running.signal("TERM");
    running.end();
    agent.stop();
}

/// A home that cannot be written, but for its volume and a directory in memory.
#[test]
fn read_only_home_is_watched() {
    let instance = home(Server::MySql9);
    let port = free_port();
    let mut command = in_sealed_home(
        &instance.home(),
        "$AS_USER \"$HOME/starttest\" 2>\"$HOME/data/said\" &\n\
         echo $! >\"$HOME/data/server.pid\"\n\
         exec $AS_USER \"$HOME/agent\" serve\n",
    );
    command
        .env("PORT_TESTBEDDB", instance.port.to_string())
        .env("MYSQL_BIND_ADDRESS", "127.0.0.1")
        .env("PORT_AGENT", port.to_string())
        .stderr(std::process::Stdio::null());
    let process = command.spawn().unwrap();
    let agent = Agent { process, port };
    let deadline = Instant::now() + Duration::from_mins(3);
    let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    while !is_up() || agent.get("/ready").0 != 200 {
        assert!(Instant::now() < deadline, "not ready");
        thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(agent.metrics().get("mysql_up"), Some(&1.0));
    let pid = fs::read_to_string(instance.home().join("data/server.pid")).unwrap();
    let mut kill = Command::new("kill");
    assert!(kill.arg(pid.trim()).status().unwrap().success());
    wait_for("its end", || (agent.state() == "absent").then_some(()));
    agent.stop();
}

/// A database of somebody else's, whose root has a password that we do not know.
#[test]
fn database_with_an_unknown_root_gets_the_account() {
    for server in [Server::MariaDb, Server::MySql9] {
        let instance = home(server);
        let running = start(&instance, &["--log-bin=seen", "--server-id=1"]);
        let mut root = instance.connect(world::PASSWORD);
        root.query_drop("SET sql_log_bin = 0").unwrap();
        root.query_drop("DROP USER 'dotcloud-agent'@'localhost'")
            .unwrap();
        drop(root);
        running.signal("TERM");
        running.end();
        for name in ["mysql-credentials.cnf", "mysql-agent.cnf"] {
            fs::remove_file(instance.home().join("data").join(name)).unwrap();
        }
        let mut command = instance.hook("starttest");
        command.args(["--log-bin=seen", "--server-id=1"]);
        let running = instance.start(&mut command);
        let agent = Agent::start(&instance);
        ready(&agent);
        assert_no_rights(&mut instance.connect(world::PASSWORD));
        let seen = fs::read_dir(instance.home().join("data/mysqldb")).unwrap();
        for path in seen.map(|entry| entry.unwrap().path()) {
            if path.to_string_lossy().contains("seen.0") {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                assert!(!text.contains("CREATE USER"), "{}", path.display());
            }
        }
        running.signal("TERM");
        running.end();
        agent.stop();
    }
}
