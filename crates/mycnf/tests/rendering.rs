//! What a rendered option file holds, for each kind of server.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

use std::fs;
use std::path::Path;

use mycnf::{
    Flavour, Layout, Memory, OptionFile, Origin, Persisted, Place, Rendered, Settings, Version,
    render_my_cnf,
};

const MYSQL_9: (Flavour, Version) = (Flavour::MySql, Version::new(9, 7, 4));
const MYSQL_5_6: (Flavour, Version) = (Flavour::MySql, Version::new(5, 6, 24));
const MARIADB: (Flavour, Version) = (Flavour::MariaDb, Version::new(10, 11, 19));

fn render(
    template: &str,
    (flavour, version): (Flavour, Version),
    bind_address: Option<&str>,
) -> Rendered {
    let layout = Layout::new("/home/me");
    let template = OptionFile::parse(Path::new("my.cnf"), template.as_bytes()).unwrap();
    let settings = Settings {
        layout: &layout,
        port: 41000,
        flavour,
        version,
        bind_address,
        memory: Memory {
            budget: 1 << 30,
            bound: 1 << 30,
        },
        persisted: &mycnf::Persisted::default(),
        slow_log: None,
        keeps_changes: false,
    };
    render_my_cnf(&template, &settings).unwrap()
}

/// With `MYSQL_PITR`.
fn keeping(template: &str, (flavour, version): (Flavour, Version)) -> Rendered {
    let template = OptionFile::parse(Path::new("my.cnf"), template.as_bytes()).unwrap();
    let settings = Settings {
        layout: &Layout::new("/home/me"),
        port: 41000,
        flavour,
        version,
        bind_address: None,
        memory: Memory {
            budget: 1 << 30,
            bound: 1 << 30,
        },
        persisted: &mycnf::Persisted::default(),
        slow_log: None,
        keeps_changes: true,
    };
    render_my_cnf(&template, &settings).unwrap()
}

#[test]
fn render_keeps_changes_whatever_my_cnf_says() {
    let value = |rendered: &Rendered, option: &str| {
        let choice = rendered.choices.iter().find(|c| c.option == option);
        choice.map(|choice| choice.value.clone())
    };
    let mysql = keeping("[mysqld]\nskip-log-bin\nmax-binlog-size=1G\n", MYSQL_9);
    let mariadb = keeping(
        "[mysqld]\ndatadir=/home/me/data/a/b\n",
        (Flavour::MariaDb, Version::new(10, 5, 29)),
    );
    for (rendered, option, expected) in [
        (&mysql, "log-bin", Some("../binlogs/binlog")),
        (&mysql, "log-bin-index", Some("../binlogs/binlog.index")),
        (&mysql, "max-binlog-size", Some("1G")),
        (&mysql, "gtid-mode", Some("ON")),
        (&mysql, "binlog-format", None),
        (&mysql, "server-id", None),
        (&mysql, "binlog-expire-logs-seconds", Some("604800")),
        (&mariadb, "log-bin", Some("../../binlogs/binlog")),
        (&mariadb, "max-binlog-size", Some("64M")),
        (&mariadb, "gtid-mode", None),
        (&mariadb, "binlog-format", Some("ROW")),
        (&mariadb, "expire-logs-days", Some("7")),
    ] {
        assert_eq!(value(rendered, option).as_deref(), expected, "{option}");
    }
    let text = text(&mysql);
    let last = text.rfind("log-bin = ../binlogs/binlog\n").unwrap();
    assert!(
        text.find("skip-log-bin").is_none_or(|at| at < last),
        "{text}"
    );
}

fn text(rendered: &Rendered) -> String {
    String::from_utf8(rendered.file.render()).unwrap()
}

fn origin<'a>(rendered: &'a Rendered, option: &str) -> &'a Origin {
    let choice = rendered.choices.iter().find(|c| c.option == option);
    &choice.unwrap().origin
}

const SMALL_FILE: &str = "[mysqld]\n\
         # given by the platform; this file is rendered at every start, edit the my.cnf you \
         push (it was 3306)\n\
         port = 41000\n\
         # the current release\n\
         basedir = /home/me/mysql/install\n\
         # survives a push\n\
         datadir = /home/me/data/mysqldb\n\
         # outside ~/data: a stale one would travel\n\
         socket = /home/me/mysql/run/mysqld.sock\n\
         # outside ~/data: a stale one would travel\n\
         pid-file = /home/me/mysql/run/mysqld.pid\n\
         # survives a push, outside the data directory\n\
         log-error = /home/me/data/logs/error.log\n\
         # as in the vendor's tarballs; other builds refuse to start without their package's \
         /var/lib/mysql-files\n\
         secure-file-priv = NULL\n\
         # the X protocol would listen on port 33060 of every interface\n\
         loose-mysqlx = 0\n\
         # the binary log would take the disk, 30 days of it: for replicas or recovery to a point in \
         time, set log_bin in my.cnf\n\
         skip-log-bin = 1\n\
         # its share of the memory limit\n\
         innodb-log-buffer-size = 16M\n\
         # its share of the memory limit\n\
         temptable-max-ram = 32M\n\
         # the pool would be rounded up to a multiple of 128M\n\
         innodb-buffer-pool-chunk-size = 8M\n\
         # what the memory limit leaves beside the server itself and its connections\n\
         innodb-buffer-pool-size = 288M\n\
         # temporary tables beyond temptable-max-ram are files in tmpdir; without, some queries find theirs missing (ERROR 1146)\n\
         temptable-max-mmap = 1G\n\
         \n# mine\n[mysql]\nquick\n\
         # text is UTF-8, whatever the locale\n\
         default-character-set = utf8mb4\n\
         \n[client]\n\
         # given by the platform; this file is rendered at every start, edit the my.cnf you \
         push\n\
         port = 41000\n\
         # the server's\n\
         socket = /home/me/mysql/run/mysqld.sock\n\
         \n[mysqladmin]\n\
         # given by the platform; this file is rendered at every start, edit the my.cnf you \
         push\n\
         port = 41000\n\
         \n[mysqldump]\n\
         # text is UTF-8, whatever the locale\n\
         default-character-set = utf8mb4\n\
         \n[mysqlimport]\n\
         # text is UTF-8, whatever the locale\n\
         default-character-set = utf8mb4\n\
         \n# root's name and password for the clients\n\
         !include /home/me/data/mysql-credentials.cnf\n";

#[test]
fn render_small_file_is_filled_in() {
    let rendered = render(
        "[mysqld]\nport = 3306\n\n# mine\n[mysql]\nquick\n",
        MYSQL_9,
        None,
    );
    assert_eq!(text(&rendered), SMALL_FILE);
    assert!(matches!(
        origin(&rendered, "port"),
        Origin::Imposed {
            instead_of: Some(Place { line: 2, .. }),
            ..
        }
    ));
}

#[test]
fn render_what_the_user_set_is_kept_and_told() {
    let user = "[mysqld]\ndatadir=/elsewhere\nlog_error\nloose-skip-mysqlx\n\
                secure_file_priv=/tmp\npid_file=/p\nsocket=my.sock\n[server]\nbasedir=/b\n\
                user=mysql\n";
    let rendered = render(user, MYSQL_9, None);
    for (option, line) in [
        ("datadir", 2),
        ("log-error", 3),
        ("mysqlx", 4),
        ("basedir", 9),
    ] {
        assert_eq!(
            *origin(&rendered, option),
            Origin::Kept {
                place: Place {
                    path: "my.cnf".into(),
                    line
                }
            },
            "{option}"
        );
    }
    assert!(text(&rendered).contains("user=mysql\n"));
    let client = rendered.file.get(&["client"], "socket").unwrap();
    assert_eq!(
        client.value.unwrap(),
        b"/home/me/data/mysqldb/my.sock",
        "relative to the server's data directory"
    );
}

#[test]
fn render_port_is_ours_in_every_group_that_counts() {
    let user = "[mysqld-10.11]\nport=1\n[mariadb]\nport=2\n[mysqldump]\nport=3\n\
                [client-elsewhere]\nport=4\n";
    let file = render(user, MARIADB, None).file;
    for group in [
        "mysqld",
        "mysqld-10.11",
        "mariadb",
        "client",
        "mysqladmin",
        "mysqldump",
    ] {
        let found = file.get(&[group], "port").unwrap();
        assert_eq!(found.value.unwrap(), b"41000", "{group}");
    }
    let elsewhere = file.get(&["client-elsewhere"], "port").unwrap();
    assert_eq!(
        elsewhere.value.unwrap(),
        b"4",
        "read only with a group suffix"
    );
}

#[test]
fn render_what_is_included_counts_and_yields_to_what_the_platform_decides() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.cnf");
    let text = "[server]\nport=1\nsocket=/s\n[client]\nport=2\n[mysql]\nport=3\n";
    fs::write(&path, text).unwrap();
    let template = format!("[mysqld]\nsocket=/t\n!include {}\n", path.display());
    let rendered = render(&template, MYSQL_9, None);
    let place = |line| Place {
        path: path.clone(),
        line,
    };
    assert_eq!(
        *origin(&rendered, "socket"),
        Origin::Kept { place: place(3) }
    );
    assert!(matches!(
        origin(&rendered, "port"),
        Origin::Imposed { instead_of: Some(found), .. } if *found == place(2)
    ));
    let seen = rendered.file.resolve(home.path()).unwrap();
    for groups in [&["mysqld", "server"][..], &["client", "mysql"], &["client"]] {
        assert_eq!(seen.get(groups, "port").unwrap().value.unwrap(), b"41000");
    }
    let socket = seen.get(&["client"], "socket").unwrap();
    assert_eq!(socket.value.unwrap(), b"/s", "the server's");
}

#[test]
fn render_bind_address_input_overrules_the_file() {
    let user = "[mysqld]\nbind_address = 0.0.0.0\n";
    let bind = |input| {
        let file = render(user, MYSQL_9, input).file;
        file.get(&["mysqld"], "bind-address")
            .unwrap()
            .value
            .unwrap()
    };
    assert_eq!(bind(None), b"0.0.0.0");
    assert_eq!(bind(Some("127.0.0.1")), b"127.0.0.1");
    let silent = render("", MYSQL_9, None).file;
    assert_eq!(silent.get(&["mysqld"], "bind-address"), None);
}

#[test]
fn render_x_plugin_wanted_gets_a_private_socket() {
    for user in ["mysqlx=1", "mysqlx_port=33070"] {
        let file = render(&format!("[mysqld]\n{user}\n"), MYSQL_9, None).file;
        let socket = file
            .get(&["mysqld"], "mysqlx_socket")
            .unwrap()
            .value
            .unwrap();
        assert_eq!(socket, b"/home/me/mysql/run/mysqlx.sock", "{user}");
        assert_ne!(
            file.get(&["mysqld"], "mysqlx")
                .and_then(|found| found.value),
            Some(b"0".to_vec()),
            "{user}"
        );
    }
}

#[test]
fn render_options_a_server_lacks_are_left_out() {
    let has = |server, option| {
        render("", server, None)
            .file
            .get(&["mysqld"], option)
            .is_some()
    };
    for (option, in_9, in_5_6, in_mariadb) in [
        ("mysqlx", true, false, false),
        ("secure-file-priv", true, true, true),
        ("sync-binlog", false, true, true),
    ] {
        assert_eq!(has(MYSQL_9, option), in_9, "{option}");
        assert_eq!(has(MYSQL_5_6, option), in_5_6, "{option}");
        assert_eq!(has(MARIADB, option), in_mariadb, "{option}");
    }
}

#[test]
fn render_files_of_statements_have_one_directory_or_none() {
    let value = |server| {
        let rendered = render("", server, None);
        let found = rendered.file.get(&["mysqld"], "secure-file-priv");
        String::from_utf8(found.unwrap().value.unwrap()).unwrap()
    };
    assert_eq!(value(MYSQL_9), "NULL");
    assert_eq!(value(MYSQL_5_6), "/home/me/mysql/tmp");
    assert_eq!(value(MARIADB), "/home/me/mysql/tmp");
}

#[test]
fn render_memory_of_the_users_is_kept_and_told() {
    let user = "[mysqld]\ninnodb_buffer_pool_size=64M\n[server]\nloose_temptable_max_ram=4M\n";
    let rendered = render(user, MYSQL_9, None);
    for (option, line) in [("innodb-buffer-pool-size", 2), ("temptable-max-ram", 4)] {
        let place = Place {
            path: "my.cnf".into(),
            line,
        };
        assert_eq!(*origin(&rendered, option), Origin::Kept { place });
    }
    assert!(
        !text(&rendered).contains("chunk"),
        "only for a pool of ours"
    );
}

#[test]
fn render_twice_gives_the_same() {
    let user = "[mysqld]\r\nport=1\r\n!include /x.cnf\r\n";
    let once = render(user, MARIADB, Some("::1"));
    assert_eq!(text(&once), text(&render(user, MARIADB, Some("::1"))));
    assert_eq!(once.user.skipped.len(), 1, "ours is not among them");
    assert!(
        !text(&once).replace("\r\n", "").contains('\n'),
        "line ends follow the file"
    );
}

/// The line about undo tablespaces for a MariaDB in a home directory whose data directory has `names`.
fn undo_tablespaces(my_cnf: &str, version: Version, names: &[&str]) -> Option<(String, Origin)> {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::new(home.path());
    for name in names {
        fs::create_dir_all(layout.data_dir().join(name)).unwrap();
    }
    let template = OptionFile::parse(Path::new("my.cnf"), my_cnf.as_bytes()).unwrap();
    let settings = Settings {
        layout: &layout,
        port: 41000,
        flavour: Flavour::MariaDb,
        version,
        bind_address: None,
        memory: Memory {
            budget: 1 << 30,
            bound: 1 << 30,
        },
        persisted: &mycnf::Persisted::default(),
        slow_log: None,
        keeps_changes: false,
    };
    let choices = render_my_cnf(&template, &settings).unwrap().choices;
    let choice = choices
        .into_iter()
        .find(|choice| choice.option == "innodb-undo-tablespaces")?;
    Some((choice.value, choice.origin))
}

#[test]
fn render_mariadb_keeps_the_undo_tablespaces_its_database_has() {
    let mariadb_11 = Version::new(11, 8, 9);
    let added = |names: &[&str]| {
        let (value, origin) = undo_tablespaces("[mysqld]\n", mariadb_11, names).unwrap();
        assert!(matches!(origin, Origin::Added { .. }), "{origin:?}");
        value
    };
    assert_eq!(added(&["mysql"]), "0");
    assert_eq!(
        added(&["mysql", "undo001", "undo002", "undo_old", "undo1"]),
        "2"
    );
    assert_eq!(
        undo_tablespaces("[mysqld]\n", mariadb_11, &[]),
        None,
        "no database yet"
    );
    assert_eq!(
        undo_tablespaces("[mysqld]\n", Version::new(10, 11, 19), &["mysql"]),
        None
    );
    let elsewhere = "[mysqld]\ninnodb_undo_directory = /elsewhere\n";
    assert_eq!(undo_tablespaces(elsewhere, mariadb_11, &["mysql"]), None);
    let own = "[mysqld]\ninnodb_undo_tablespaces = 4\n";
    let (value, origin) = undo_tablespaces(own, mariadb_11, &["mysql"]).unwrap();
    assert_eq!(value, "4");
    assert!(matches!(origin, Origin::Kept { .. }), "{origin:?}");
}

#[test]
fn render_clients_speak_utf8_unless_the_user_says_otherwise() {
    let option = "default-character-set";
    let value = |text: &str, group: &str| {
        let found = render(text, MYSQL_9, None).file.get(&[group], option);
        found.and_then(|found| found.value)
    };
    let groups = ["mysql", "mysqldump", "mysqlimport"];
    for group in groups {
        assert_eq!(value("", group).unwrap(), b"utf8mb4");
        assert_eq!(
            value("[client]\ndefault_character_set=latin1\n", group),
            None
        );
    }
    let own = "[mysql]\ndefault-character-set=latin1\n";
    assert_eq!(
        groups.map(|group| value(own, group).unwrap()),
        [&b"latin1"[..], b"utf8mb4", b"utf8mb4"]
    );
}

/// `SET PERSIST` overrules whatever is in the option file, and counts for the memory.
#[test]
fn render_persisted_settings_count_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let auto = r#"{"Version": 2, "mysql_dynamic_variables": {"max_connections": {"Value": "20"},
        "sql_mode": {"Value": ""}, "innodb_buffer_pool_size": {"Value": "67108864"}}}"#;
    fs::write(dir.path().join("mysqld-auto.cnf"), auto).unwrap();
    let persisted = Persisted::read(dir.path()).unwrap();
    let render = |template: &str, (flavour, version)| {
        let template = OptionFile::parse(Path::new("my.cnf"), template.as_bytes()).unwrap();
        let settings = Settings {
            layout: &Layout::new("/home/me"),
            port: 41000,
            flavour,
            version,
            bind_address: None,
            memory: Memory {
                budget: 1 << 30,
                bound: 1 << 30,
            },
            persisted: &persisted,
            slow_log: None,
            keeps_changes: false,
        };
        render_my_cnf(&template, &settings).unwrap()
    };
    let my_cnf = "[mysqld]\nmax_connections=5\nsql_mode=ANSI\n";
    let rendered = render(my_cnf, MYSQL_9);
    let place = |line| Place {
        path: "my.cnf".into(),
        line,
    };
    let pool = origin(&rendered, "innodb-buffer-pool-size");
    let expected = Origin::Persisted {
        path: persisted.path().to_owned(),
        instead_of: None,
    };
    assert_eq!(*pool, expected);
    assert_eq!(
        rendered.overruled.last(),
        Some(&("sql-mode".to_owned(), place(3)))
    );
    let sum = rendered.memory.sum();
    assert!(sum.contains("20 connections"), "{sum}");
    assert!(sum.contains("innodb-buffer-pool-size 64M"), "{sum}");
    for (text, server) in [
        (my_cnf, MARIADB),
        (
            "[mysqld]\npersisted-globals-load=OFF\nmax_connections=5\n",
            MYSQL_9,
        ),
    ] {
        let sum = render(text, server).memory.sum();
        assert!(sum.contains("5 connections"), "{sum}");
    }
}

/// Off where nobody wants one and the database has none; MariaDB and MySQL 5.x have none by themselves.
#[test]
fn render_binary_log_is_off_unless_it_is_wanted_or_there() {
    let is_off = |my_cnf: &str, server| {
        let text = text(&render(my_cnf, server, None));
        text.contains("skip-log-bin = 1\n")
    };
    assert!(is_off("[mysqld]\nmax_connections=5\n", MYSQL_9));
    assert!(!is_off("", MARIADB) && !is_off("", MYSQL_5_6));
    for option in [
        "log_bin",
        "loose-log-bin=x",
        "server-id=2",
        "binlog_format=ROW",
        "gtid_mode=ON",
        "skip_log_bin",
    ] {
        assert!(
            !is_off(&format!("[mysqld]\n{option}\n"), MYSQL_9),
            "{option}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let my_cnf = format!("[mysqld]\ndatadir={}\n", dir.path().display());
    fs::write(dir.path().join("h-relay-bin.index"), "").unwrap();
    assert!(is_off(&my_cnf, MYSQL_9));
    fs::write(dir.path().join("binlog.index"), "").unwrap();
    assert!(!is_off(&my_cnf, MYSQL_9), "replicas may hang on it");
}

#[test]
fn sealed_home_a_run_directory_for_any_user_is_no_warning() {
    let with = |layout: &Layout, text: &str, (flavour, version)| {
        let template = OptionFile::parse(Path::new("my.cnf"), text.as_bytes()).unwrap();
        let settings = Settings {
            layout,
            port: 41000,
            flavour,
            version,
            bind_address: None,
            memory: Memory {
                budget: 1 << 30,
                bound: 1 << 30,
            },
            persisted: &Persisted::default(),
            slow_log: None,
            keeps_changes: false,
        };
        let rendered = render_my_cnf(&template, &settings).unwrap();
        let option = ["log-error-suppression-list"];
        let found = option.map(|option| rendered.file.get(&["mysqld"], option));
        let [found] = found;
        found.and_then(|found| found.value).map(String::from_utf8)
    };
    let (usual, sealed) = (Layout::new("/h"), Layout::sealed("/h"));
    let own = "[mysqld]\nlog_error_suppression_list = MY-010055\n";
    for (layout, text, server, expected) in [
        (&usual, "", MYSQL_9, None),
        (&sealed, "", MYSQL_9, Some("MY-011810")),
        (&sealed, own, MYSQL_9, Some("MY-010055")),
        (&sealed, "", MYSQL_5_6, None),
        (&sealed, "", MARIADB, None),
    ] {
        let found = with(layout, text, server).map(Result::unwrap);
        assert_eq!(found.as_deref(), expected);
    }
}
