//! The executable with real servers: what a command gets, and what it begins with.

mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use mysql::prelude::Queryable;

use world::{
    SERVERS, Staying, World, connect, connect_by_socket, one, stderr, stdout, tarball, try_connect,
};

#[test]
fn each_server_lets_in_whoever_has_the_password() {
    for server in SERVERS {
        let world = World::new();
        let running = Staying::start(world.blink().arg(tarball(server)), 1);
        let server = running.server();
        let mut by_tcp = connect(server);
        assert_eq!(one(&mut by_tcp, "SELECT DATABASE()"), "test");
        let version = one(&mut by_tcp, "SELECT VERSION()");
        let said = server["server"].as_str().unwrap();
        let number = said.split(' ').next_back().unwrap();
        assert!(version.starts_with(number), "{version}, {said}");
        by_tcp
            .query_drop("CREATE TABLE t (i INT) ENGINE=InnoDB")
            .unwrap();
        let mut by_socket = connect_by_socket(server);
        by_socket.query_drop("INSERT INTO t VALUES (1)").unwrap();
        let account = one(&mut by_socket, "SELECT CURRENT_USER()");
        assert_eq!(account, "root@localhost");
        let mut nobody = server.clone();
        nobody["password"] = "wrong".into();
        let refused = try_connect(&nobody).unwrap_err().to_string();
        assert!(refused.contains("Access denied"), "{refused}");
        assert_thrown_away(&mut by_tcp);
        let home = &world.homes()[0];
        assert_eq!(
            fs::metadata(home).unwrap().permissions().mode() & 0o777,
            0o700
        );
        running.signal("-INT");
        let mut running = running;
        assert!(
            running.process.wait().unwrap().success(),
            "Ctrl-C is its end"
        );
        assert_eq!(world.homes(), [""; 0].map(std::path::PathBuf::from));
    }
}

/// Nothing lasts, nobody else gets in, and no password is in an argument.
fn assert_thrown_away(connection: &mut mysql::Conn) {
    let mut variable = |name: &str| one(connection, &format!("SELECT CAST(@@{name} AS CHAR)"));
    assert_eq!(variable("innodb_flush_log_at_trx_commit"), "0");
    for name in ["log_bin", "innodb_doublewrite", "performance_schema"] {
        let value = variable(name);
        assert!(["0", "OFF"].contains(&&*value), "{name} is {value}");
    }
    assert_eq!(variable("bind_address"), "127.0.0.1");
}

#[test]
fn a_command_gets_the_variables_and_gives_its_status() {
    let world = World::new();
    let tarball = tarball("mysql-5.6");
    let run = |script: &str| {
        let mut blink = world.blink();
        blink.arg(&tarball).args(["--", "sh", "-c", script]);
        blink.output().unwrap()
    };
    let output = run(
        "mariadb --no-defaults --host=$MYSQL_HOST --user=$MYSQL_USER $MYSQL_DATABASE -Ne \
         'SELECT 1+1' && test -S $MYSQL_UNIX_PORT && test \"$DATABASE_URL\" = \
         mysql://root:$MYSQL_PWD@127.0.0.1:$MYSQL_TCP_PORT/test && exit 3",
    );
    assert_eq!(stdout(&output), "2\n", "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(run("kill -TERM $$").status.code(), Some(143));
    assert!(world.homes().is_empty());
}

#[test]
fn a_command_that_is_not_there_is_told_before_anything_is_started() {
    let world = World::new();
    let path = world.path().join("script");
    fs::write(&path, "").unwrap();
    let run = |name: &str| {
        let output = world.blink().args(["--", name]).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let expected = "blink: error: there is no command 'no-such'\n  next: write it with its path, or put \
                    its directory into PATH\n";
    assert_eq!(run("no-such"), (Some(127), expected.to_owned()));
    let path = path.to_str().unwrap();
    let expected =
        format!("blink: error: '{path}' is not executable\n  next: make it executable: chmod +x\n");
    assert_eq!(run(path), (Some(126), expected));
}

#[test]
fn several_at_once_and_one_more_never_meet() {
    let world = World::new();
    let script = "printf '%s\\n' $DATABASE_URL $DATABASE_URL_0 $DATABASE_URL_1 $DATABASE_URL_2; \
                  \"$0\" new; \"$0\" new --json";
    let mut blink = world.blink();
    blink.arg(tarball("mysql-5.6")).args(["-n", "3", "--"]);
    blink.args(["sh", "-c", script, world::BLINK]);
    let output = blink.output().unwrap();
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], lines[1], "{text}{}", stderr(&output));
    let more = lines[4].strip_prefix("DATABASE_URL=").unwrap();
    let json: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let mut urls = vec![
        lines[1],
        lines[2],
        lines[3],
        more,
        json["url"].as_str().unwrap(),
    ];
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), 5, "{text}");
    assert!(world.homes().is_empty());
}

#[test]
fn first_run_files_are_run_once_and_kept_by_their_content() {
    let world = World::new();
    let sql = world.path().join("init");
    fs::create_dir(&sql).unwrap();
    fs::write(
        sql.join("1.sql"),
        "CREATE TABLE t (i INT); INSERT INTO t VALUES (7);",
    )
    .unwrap();
    // A seed of its own: none from an earlier run of the tests.
    let salt = format!("-- {:?}\n", std::time::SystemTime::now());
    fs::write(sql.join("2.sql"), salt).unwrap();
    let start = || {
        let mut blink = world.blink();
        blink.arg(tarball("mariadb")).arg("--init").arg(&sql);
        let running = Staying::start(blink.stderr(Stdio::piped()), 1);
        assert_eq!(one(&mut connect(running.server()), "SELECT i FROM t"), "7");
        running
    };
    let mut first = start();
    let mut second = start();
    for (running, said) in [
        (
            &mut first,
            "- making a database of MariaDB 10.11.19 with 2 first-run files, once\n",
        ),
        (&mut second, ""),
    ] {
        running.signal("-TERM");
        let mut text = String::new();
        let mut stderr = running.process.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
        assert_eq!(text, said);
    }
    fs::write(sql.join("1.sql"), "nonsense").unwrap();
    let mut blink = world.blink();
    blink
        .arg(tarball("mariadb"))
        .arg("--init")
        .arg(&sql)
        .args(["--", "true"]);
    let output = blink.output().unwrap();
    let text = stderr(&output);
    assert!(text.contains("1.sql failed\n"), "{text}");
    assert!(text.contains("| ERROR 1064"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_was_saved_is_what_others_begin_with() {
    for server in ["mysql-5.6", "mysql-9"] {
        let world = World::new();
        let name = format!("saved-{server}");
        let migrate = "mariadb --no-defaults --host=$MYSQL_HOST --user=root --skip-ssl test -e \
                       'CREATE TABLE t (i INT); INSERT INTO t VALUES (5)'";
        let save = |script: &str| {
            let mut blink = world.blink();
            blink
                .arg(tarball(server))
                .args(["--save", &name, "--", "sh", "-c", script]);
            blink.output().unwrap()
        };
        let output = save(migrate);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            stderr(&output).ends_with(&format!("- saved: 'blink --seed {name}' begins with it\n"))
        );
        let output = save("exit 4");
        assert_eq!(output.status.code(), Some(4));
        assert!(stderr(&output).ends_with("was not saved\n"));
        for _ in 0..2 {
            let running = Staying::start(world.blink().args(["--seed", &name]), 1);
            assert_eq!(one(&mut connect(running.server()), "SELECT i FROM t"), "5");
        }
    }
}

#[test]
fn durable_takes_no_shortcut() {
    for server in ["mariadb", "mysql-9"] {
        let world = World::new();
        let running = Staying::start(world.blink().arg(tarball(server)).arg("--durable"), 1);
        let mut connection = connect(running.server());
        let mut variable =
            |name: &str| one(&mut connection, &format!("SELECT CAST(@@{name} AS CHAR)"));
        assert_eq!(variable("innodb_flush_log_at_trx_commit"), "1");
        assert!(["1", "ON"].contains(&&*variable("innodb_doublewrite")));
        assert_ne!(variable("innodb_flush_method"), "nosync");
        assert!(variable("datadir").starts_with(world.path().to_str().unwrap()));
    }
}

#[test]
fn no_password_is_in_an_argument() {
    let world = World::new();
    let running = Staying::start(world.blink().arg(tarball("mysql-9")), 1);
    let (pid, password) = (&running.server()["pid"], &running.server()["password"]);
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(password.as_str().unwrap()), "{text}");
    }
    for entry in ["my.cnf", "error.log"] {
        let text = fs::read_to_string(world.homes()[0].join(entry)).unwrap();
        assert!(!text.contains(password.as_str().unwrap()), "{text}");
    }
}
