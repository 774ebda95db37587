use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use hook::Environment;
use mycnf::{Flavour, Layout, Memory, OptionFile, Server, Version, render_my_cnf};

use super::*;
use crate::settings::Settings;

/// What becomes of `my_cnf` in a home directory of its own, `{h}` in it.
fn judged(my_cnf: &str, purpose: Purpose, fresh: bool) -> (Result<Places, String>, PathBuf) {
    let home = tempfile::tempdir().unwrap().keep();
    let layout = Layout::new(&home);
    fs::create_dir_all(layout.data()).unwrap();
    fs::create_dir_all(home.join("a")).unwrap();
    fs::write(home.join("a/file"), "").unwrap();
    fs::create_dir_all(layout.template().parent().unwrap()).unwrap();
    let text = my_cnf.replace("{h}", home.to_str().unwrap());
    let file = OptionFile::parse(&layout.template(), text.as_bytes()).unwrap();
    let server = Server {
        basedir: layout.install(),
        executable: layout.install().join("bin/mysqld"),
        flavour: Flavour::MySql,
        version: Version::new(9, 7, 4),
    };
    let rendering = mycnf::Settings {
        layout: &layout,
        port: 1,
        flavour: server.flavour,
        version: server.version,
        bind_address: None,
        memory: Memory::LEAST,
        persisted: &mycnf::Persisted::default(),
        slow_log: None,
        keeps_changes: false,
    };
    let environment: Environment = [("HOME", "/tmp"), ("PORT_DB", "1")].into_iter().collect();
    let case = Case {
        settings: &Settings::from_environment(&environment).unwrap(),
        server: &server,
        layout: &layout,
        data_dir: &layout.data_dir(),
        rendered: &render_my_cnf(&file, &rendering).unwrap(),
        purpose,
        fresh,
    };
    let places = Places::judge(&case);
    let told = |error: PlacesError| error.to_string().replace(home.to_str().unwrap(), "{h}");
    (places.map_err(told), home)
}

#[track_caller]
fn refused(my_cnf: &str, text: &str) {
    let (places, home) = judged(my_cnf, Purpose::Later, true);
    assert_eq!(places.unwrap_err(), text, "{my_cnf}");
    fs::remove_dir_all(home).unwrap();
}

#[track_caller]
fn assert_refused(option: &str, text: &str) {
    let line = option.lines().count() + 1;
    refused(
        &format!("[mysqld]\n{option}\n"),
        &format!("my.cnf line {line}: {text}"),
    );
}

#[test]
fn judge_what_the_server_cannot_use_is_refused_with_its_line() {
    for (option, text) in [
        ("tmpdir=/nowhere", "tmpdir is /nowhere, which is not there"),
        (
            "tmpdir={h}/a:/nowhere",
            "tmpdir is /nowhere, which is not there",
        ),
        (
            "tmpdir={h}/a/file",
            "tmpdir is {h}/a/file, which is not a directory",
        ),
        (
            "innodb_tmpdir=~/a",
            "innodb-tmpdir is ~/a, and the servers know no ~ there",
        ),
        (
            "log_bin=/nowhere/mysql/bin.log",
            "log-bin is /nowhere/mysql/bin.log, and there is no directory /nowhere/mysql",
        ),
        (
            "log-error={h}/a",
            "log-error is {h}/a, which is a directory",
        ),
        (
            "relay-log=/nowhere/x",
            "relay-log is /nowhere/x, and there is no directory /nowhere",
        ),
        (
            "ssl_ca=/nowhere/ca.pem",
            "ssl-ca is /nowhere/ca.pem, which is not there",
        ),
        (
            "init-file={h}/a/x",
            "init-file is {h}/a/x, which is not there",
        ),
        (
            "plugin_dir=/nowhere",
            "plugin-dir is /nowhere, which is not there",
        ),
        (
            "innodb_undo_directory=/nowhere",
            "innodb-undo-directory is /nowhere, which is not there",
        ),
        (
            "keyring_file_data=/nowhere/k",
            "keyring-file-data is /nowhere/k, and there is no directory /nowhere",
        ),
    ] {
        assert_refused(option, text);
    }
}

#[test]
fn judge_several_and_what_is_switched_on_is_refused() {
    assert_refused(
        "general_log\ngeneral_log_file=/nowhere/x",
        "general-log-file is /nowhere/x, and there is no directory /nowhere",
    );
    refused(
        "[mysqld]\ntmpdir=/nowhere\n[server]\nssl-key=/nowhere/k\n",
        "my.cnf line 2: tmpdir is /nowhere, which is not there; my.cnf line 4: ssl-key is \
         /nowhere/k, which is not there",
    );
}

#[test]
fn judge_what_the_server_can_use_or_does_not_name_passes() {
    for option in [
        "tmpdir={h}/a:{h}/data",
        "log-bin",
        "log-bin=binlog",
        "skip-log-bin",
        "log_bin={h}/a/binlog",
        "log-error={h}/a/file",
        "slow_query_log_file=slow.log",
        "secure-file-priv=NULL",
        "secure-file-priv=",
        "ssl-ca={h}/a/file",
        "plugin-dir={h}/a",
        "file-key-management-filekey=FILE:{h}/a/file",
    ] {
        let (places, home) = judged(&format!("[mysqld]\n{option}\n"), Purpose::Serve, false);
        let places = places.unwrap();
        assert_eq!(places.warnings, [""; 0], "{option}");
        assert!(places.to_make.is_empty(), "{option}");
        fs::remove_dir_all(home).unwrap();
    }
}

#[test]
fn judge_what_does_not_stop_the_server_is_a_warning() {
    for option in ["general_log_file=/nowhere/x", "loose-ssl-ca=/nowhere/x"] {
        let (places, home) = judged(&format!("[mysqld]\n{option}\n"), Purpose::Later, true);
        assert_eq!(places.unwrap().warnings.len(), 1, "{option}");
        fs::remove_dir_all(home).unwrap();
    }
}

#[test]
fn judge_below_data_what_is_written_is_made_and_the_database_never_again() {
    for (option, made) in [
        ("log_bin={h}/data/binlog/b", "data/binlog"),
        ("tmpdir={h}/data/tmp", "data/tmp"),
        ("innodb_undo_directory={h}/data/undo", "data/undo"),
    ] {
        let my_cnf = format!("[mysqld]\n{option}\n");
        let (places, home) = judged(&my_cnf, Purpose::Serve, true);
        places.unwrap().make().unwrap();
        let mode = fs::metadata(home.join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{option}");
        fs::remove_dir_all(home).unwrap();
    }
    let inside = "[mysqld]\nlog_bin={h}/data/mysqldb/logs/b\n";
    let (places, home) = judged(inside, Purpose::Serve, true);
    assert!(
        places.is_err(),
        "nothing is made where the initialiser wants nothing"
    );
    fs::remove_dir_all(home).unwrap();
    let undo = "[mysqld]\ninnodb_undo_directory={h}/data/undo\n";
    let (places, home) = judged(undo, Purpose::Serve, false);
    let text = "my.cnf line 2: innodb-undo-directory is {h}/data/undo, which is not there";
    assert_eq!(places.unwrap_err(), text);
    fs::remove_dir_all(home).unwrap();
    let key = "[mysqld]\nssl-key={h}/data/key.pem\n";
    let (places, home) = judged(key, Purpose::Later, true);
    let warning = &places.unwrap().warnings[0];
    assert!(
        warning.ends_with("which is not there yet: looked for when the server starts"),
        "{warning}"
    );
    fs::remove_dir_all(home).unwrap();
    let (places, home) = judged(key, Purpose::Serve, true);
    let text = "my.cnf line 2: ssl-key is {h}/data/key.pem, which is not there";
    assert_eq!(places.unwrap_err(), text);
    fs::remove_dir_all(home).unwrap();
}

#[test]
fn problems_of_rights_have_exact_texts() {
    let closed = Unusable {
        line: "my.cnf line 2".to_owned(),
        option: "tmpdir",
        path: "/x".into(),
        problem: Problem::Closed(io::ErrorKind::PermissionDenied),
    };
    let text = "my.cnf line 2: tmpdir is /x, which this user cannot use (permission denied)";
    assert_eq!(closed.to_string(), text);
    let parent = Unusable {
        option: "log-bin",
        problem: Problem::ParentUnwritable {
            parent: "/y".into(),
        },
        ..closed
    };
    let text = "my.cnf line 2: log-bin is /x, and this user can make nothing in /y";
    assert_eq!(parent.to_string(), text);
    // Root may use everything.
    if !rustix::process::geteuid().is_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
        assert!(directory(dir.path(), WRITE).is_some());
    }
}
