//! How long a first start takes until the first query, beside the two ways without a seed, with the
//! same servers and options, in one run; and what starttest adds to a restart. `ROUNDS` times (5), the
//! ways in turn; medians. What favours the others is left in: they are polled every 2 ms instead of
//! every second, accounts are set without starting a client, and nothing is synced.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

#[path = "../tests/real/mod.rs"]
mod real;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testbed::sandbox;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Kind, Running, SERVERS, Server, release};

const PASSWORD: &str = "known";
const POLL: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_mins(2);

fn main() {
    let rounds = rounds();
    println!(
        "{:<10} {:>11} {:>11} {:>11} {:>12} {:>12} {:>16}",
        "server", "seed", "vendor's", "entrypoint", "vendor's/", "entrypoint/", "restart, before"
    );
    println!(
        "{:<10} {:>11} {:>11} {:>11} {:>12} {:>12} {:>16}",
        "", "", "initialiser", "sequence", "seed", "seed", "exec, of all"
    );
    for server in SERVERS {
        let bench = Bench::new(server);
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..rounds {
            times[0].push(bench.seed_copied());
            times[1].push(bench.vendors_initialiser());
            times[2].push(bench.entrypoint_sequence());
        }
        let [seed, vendor, entrypoint] = times.map(median);
        let (overhead, restart) = bench.restart(rounds.max(11));
        println!(
            "{:<10} {:>9.2} s {:>9.2} s {:>9.2} s {:>12.1} {:>12.1} {:>6.1} of {:>4.0} ms",
            server.name(),
            seed.as_secs_f64(),
            vendor.as_secs_f64(),
            entrypoint.as_secs_f64(),
            vendor.div_duration_f64(seed),
            entrypoint.div_duration_f64(seed),
            overhead.as_secs_f64() * 1e3,
            restart.as_secs_f64() * 1e3,
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench has no other input")]
fn rounds() -> usize {
    std::env::var("ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One server and a home in which its option file is rendered.
struct Bench {
    server: Server,
    instance: Instance,
}

impl Bench {
    fn new(server: Server) -> Self {
        let instance = Instance::new(server);
        let bench = Self { server, instance };
        let prepared = bench.hook("postinstall").status().unwrap();
        assert!(prepared.success());
        bench
    }

    fn hook(&self, name: &str) -> Command {
        let mut command = self.instance.hook(name);
        command
            .env("MYSQL_ROOT_PASSWORD", PASSWORD)
            .stderr(Stdio::null());
        command
    }

    fn data_dir(&self) -> PathBuf {
        self.instance.home().join("data/mysqldb")
    }

    fn without_data(&self) {
        let _ = fs::remove_dir_all(self.instance.home().join("data"));
        let data = self.instance.home().join("data/logs");
        fs::create_dir_all(data).unwrap();
        fs::write(self.instance.home().join("data/mysql-credentials.cnf"), "").unwrap();
        self.instance.sandbox.hand_over();
    }

    /// What this project does.
    fn seed_copied(&self) -> Duration {
        let home = self.instance.home();
        let _ = fs::remove_dir_all(home.join("data"));
        // The server is asked about the option file, as in a new container.
        let _ = fs::remove_file(home.join("mysql/my.cnf.accepted"));
        let begin = Instant::now();
        let running = Running(self.hook("starttest").spawn().unwrap());
        self.first_query(Some(PASSWORD));
        let time = begin.elapsed();
        drop(running);
        time
    }

    /// The least that gives a server without a seed: initialise, start. Root has no password then.
    fn vendors_initialiser(&self) -> Duration {
        self.without_data();
        let begin = Instant::now();
        self.initialise();
        let running = self.start(&[]);
        self.first_query(None);
        let time = begin.elapsed();
        drop(running);
        time
    }

    /// What the official images' entrypoints do: initialise, start a server without network, wait for
    /// it, set the accounts, stop it, start the server.
    fn entrypoint_sequence(&self) -> Duration {
        self.without_data();
        let begin = Instant::now();
        self.initialise();
        let temporary = self.start(&["--skip-networking"]);
        let socket = self.instance.home().join("mysql/run/mysqld.sock");
        let local = OptsBuilder::new()
            .user(Some("root"))
            .socket(socket.to_str());
        let mut root = poll(|| Conn::new(local.clone()).ok());
        for statement in self.accounts() {
            root.query_drop(statement).unwrap();
        }
        drop(root);
        temporary.signal("TERM");
        assert!(temporary.end().success());
        let running = self.start(&[]);
        self.first_query(Some(PASSWORD));
        let time = begin.elapsed();
        drop(running);
        time
    }

    fn accounts(&self) -> Vec<String> {
        let set = match self.server.kind() {
            Kind::MySql56 => format!("SET PASSWORD FOR root@localhost = PASSWORD('{PASSWORD}')"),
            Kind::MariaDb | Kind::MySql57 | Kind::MySql8 => {
                format!("ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}'")
            }
        };
        let mut statements = vec![
            format!("CREATE USER root@'%' IDENTIFIED BY '{PASSWORD}'"),
            "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION".to_owned(),
            "DROP DATABASE IF EXISTS test".to_owned(),
        ];
        if self.server == Server::MySql56 {
            // It has accounts for 127.0.0.1 and nobody too.
            let others = "DELETE FROM mysql.user WHERE User = '' OR Host NOT IN ('%', 'localhost')";
            statements.push(others.to_owned());
        }
        statements.push(set);
        statements.push("FLUSH PRIVILEGES".to_owned());
        statements
    }

    fn initialise(&self) {
        let dir = self.data_dir();
        match self.server.kind() {
            Kind::MySql57 | Kind::MySql8 => {
                let mut server = self.mysqld();
                self.succeed(server.arg("--initialize-insecure"), None);
            }
            Kind::MariaDb => {
                let script = release(self.server).join("scripts/mariadb-install-db");
                let mut script = self.with_option_file(&script);
                script
                    .arg(format!("--basedir={}", release(self.server).display()))
                    .arg(format!("--datadir={}", dir.display()))
                    .arg("--auth-root-authentication-method=normal")
                    .args(["--skip-test-db", "--cross-bootstrap", "--rpm"]);
                self.succeed(&mut script, None);
            }
            // Its mysql_install_db, which this tarball lacks: two servers, one after the other.
            Kind::MySql56 => {
                fs::create_dir_all(dir.join("mysql")).unwrap();
                self.instance.sandbox.hand_over();
                for files in [
                    &["mysql_system_tables.sql", "mysql_system_tables_data.sql"][..],
                    &["fill_help_tables.sql"],
                ] {
                    let mut sql = "USE mysql;\n".to_owned();
                    for file in files {
                        let path = release(self.server).join("share").join(file);
                        sql += &fs::read_to_string(path).unwrap();
                    }
                    self.succeed(self.mysqld().arg("--bootstrap"), Some(&sql));
                }
            }
        }
    }

    fn succeed(&self, command: &mut Command, stdin: Option<&str>) {
        let path = self.instance.sandbox.path().join("stdin");
        fs::write(&path, stdin.unwrap_or_default()).unwrap();
        let output = command
            .stdin(fs::File::open(path).unwrap())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        let log = fs::read_to_string(self.instance.home().join("data/logs/error.log"));
        assert!(
            output.status.success(),
            "{:?}: {said:?} {log:?}",
            self.server
        );
    }

    fn mysqld(&self) -> Command {
        let executable = ["bin/mariadbd", "bin/mysqld", "sbin/mariadbd", "sbin/mysqld"]
            .map(|name| release(self.server).join(name))
            .into_iter()
            .find(|path| path.is_file());
        self.with_option_file(&executable.unwrap())
    }

    fn with_option_file(&self, program: &std::path::Path) -> Command {
        let mut command = self.instance.sandbox.command(program);
        let home = self.instance.home();
        command
            .env("PATH", "/usr/bin:/bin")
            .arg(format!("--defaults-file={}/.my.cnf", home.display()));
        command
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let mut server = self.mysqld();
        server.args(arguments).stderr(Stdio::null());
        Running(server.spawn().unwrap())
    }

    fn first_query(&self, password: Option<&str>) {
        let options = OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(self.instance.port)
            .prefer_socket(false)
            .user(Some("root"))
            .pass(password);
        let mut root = poll(|| Conn::new(options.clone()).ok());
        let one: u8 = root.query_first("SELECT 1").unwrap().unwrap();
        assert_eq!(one, 1);
    }

    /// A clean stop and a start: until the server is there, and until it answers.
    fn restart(&self, rounds: usize) -> (Duration, Duration) {
        let _ = fs::remove_dir_all(self.instance.home().join("data"));
        let (mut overheads, mut wholes) = (Vec::new(), Vec::new());
        // The first one makes the database, and has the option file checked.
        for round in 0..=rounds {
            let begin = Instant::now();
            let running = Running(self.hook("starttest").spawn().unwrap());
            let name = format!("/proc/{}/comm", running.0.id());
            while fs::read_to_string(&name).unwrap() == "starttest\n" {
                std::hint::spin_loop();
            }
            let overhead = begin.elapsed();
            self.first_query(Some(PASSWORD));
            if round > 0 {
                overheads.push(overhead);
                wholes.push(begin.elapsed());
            }
            running.signal("TERM");
            assert!(running.end().success());
        }
        (median(overheads), median(wholes))
    }
}

fn poll<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(begin.elapsed() < DEADLINE, "no answer");
        std::thread::sleep(POLL);
    }
}
