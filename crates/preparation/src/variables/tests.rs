use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn unread(pairs: Pairs<'_>) -> UnreadVariables {
    UnreadVariables::of(&pairs.iter().copied().collect())
}

#[test]
fn of_each_unread_variable_is_told_once_with_what_to_use_instead() {
    for (name, text) in [
        (
            "MARIADB_REPLICATION_USER",
            format!("is not read: {FIRST_RUN}"),
        ),
        ("MYSQL_MASTER_HOST", format!("is not read: {REPLICA}")),
        (
            "MYSQL_CHARACTER_SET",
            "is not read: set character_set_server in my.cnf".into(),
        ),
        (
            "MYSQL_INNODB_BUFFER_POOL_SIZE",
            "is not read: set innodb_buffer_pool_size in my.cnf".into(),
        ),
        (
            "MYSQL_MAX_CONNECTIONS",
            "is not read: set max_connections in my.cnf".into(),
        ),
        (
            "MYSQL_KEY_BUFFER_SIZE",
            "is not read: set key_buffer_size in my.cnf".into(),
        ),
        (
            "MYSQL_ROOT_PASSWROD",
            "is not read: did you mean MYSQL_ROOT_PASSWORD?".into(),
        ),
        (
            "MYSQL_PASS",
            "is not read: did you mean MYSQL_PASSWORD?".into(),
        ),
        (
            "MARIADB_DATABSE",
            "is not read: did you mean MARIADB_DATABASE?".into(),
        ),
        (
            "MARIADB_REQUIRE_DATA",
            "is not read: did you mean MYSQL_REQUIRE_DATA?".into(),
        ),
        (
            "MYSQL_USERNAME",
            "is not read: did you mean MYSQL_USER?".into(),
        ),
        (
            "SERVICE_CONFIG_MYSQL_SOMETHING_ELSE_ALTOGETHER",
            "is not read: nothing here has that name, see the settings in README.md".into(),
        ),
    ] {
        let expected = format!("{name} {text}");
        assert_eq!(unread(&[(name, "x")]).warnings(true), [expected]);
    }
}

/// Percona's and linuxserver's, whose names have no vendor of ours.
#[test]
fn of_what_other_images_call_otherwise_is_told() {
    for (name, text) in [
        (
            "FILE__MYSQL_ROOT_PASSWORD",
            "set MYSQL_ROOT_PASSWORD_FILE to the name of that file",
        ),
        (
            "REMOTE_SQL",
            "put the files into hooks/initdb.d, from where a fresh database gets them",
        ),
        ("CLI_OPTS", "set the option in my.cnf"),
        (
            "INIT_ROCKSDB",
            "set plugin_load_add = ha_rocksdb.so in my.cnf",
        ),
    ] {
        let expected = format!("{name} is not read: {text}");
        assert_eq!(unread(&[(name, "x")]).warnings(true), [expected]);
    }
    assert!(unread(&[("FILE__TZ", "x")]).warnings(true).is_empty());
}

#[test]
fn of_what_is_read_or_not_meant_for_us_is_not_told() {
    for name in READ.iter().chain(&SILENT).chain(&HASHES) {
        let name = format!("MYSQL_{name}");
        assert!(unread(&[(&name, "x")]).warnings(true).is_empty(), "{name}");
    }
    for name in [
        "MARIADB_USER",
        "MARIADB_AUTO_UPGRADE",
        "DOTCLOUD_DB_MYSQL_URL",
        "MYSQLX_X",
    ] {
        assert!(unread(&[(name, "x")]).warnings(true).is_empty(), "{name}");
    }
    assert!(
        unread(&[("MYSQL_MASTER_HOST", "")])
            .warnings(true)
            .is_empty()
    );
    let both = [("MYSQL_PORT", "1"), ("SERVICE_CONFIG_MYSQL_PORT", "2")];
    assert_eq!(unread(&both).warnings(true).len(), 1);
}

#[test]
fn check_empty_root_password_is_refused_where_it_is_meant() {
    for name in [
        "MYSQL_ALLOW_EMPTY_PASSWORD",
        "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD",
        "SERVICE_CONFIG_MYSQL_ALLOW_EMPTY_PASSWORD",
        "ALLOW_EMPTY_PASSWORD",
    ] {
        let found = unread(&[(name, "yes")]);
        let text = format!("{name} asks for a root without a password, which there never is here");
        assert_eq!(found.check(None).unwrap_err().to_string(), text);
        assert_eq!(found.warnings(true), [""; 0]);
        let warning = format!("{text}: the database stays as it is");
        assert_eq!(found.warnings(false), [warning]);
        unread(&[(name, "no")]).check(None).unwrap();
    }
    let named = unread(&[
        ("MYSQL_ALLOW_EMPTY_PASSWORD", "1"),
        ("MARIADB_ROOT_PASSWORD", "x"),
    ]);
    named.check(None).unwrap();
    let text = "MYSQL_ALLOW_EMPTY_PASSWORD is not read: root has the password that \
                MARIADB_ROOT_PASSWORD says";
    assert_eq!(named.warnings(true), [text]);
}

#[test]
fn check_one_time_password_is_refused() {
    let text = "MYSQL_ONETIME_PASSWORD asks for a root password that has to be changed first, \
                which is not made here";
    let found = unread(&[("MYSQL_ONETIME_PASSWORD", "yes")]);
    assert_eq!(found.check(None).unwrap_err().to_string(), text);
    let no = unread(&[("MYSQL_ONETIME_PASSWORD", "no")]);
    no.check(None).unwrap();
}

#[test]
fn check_lower_case_table_names_unless_my_cnf_says_the_same() {
    let found = unread(&[("MYSQL_LOWER_CASE_TABLE_NAMES", "1")]);
    assert_eq!(
        found.check(Some(b"2")).unwrap_err().to_string(),
        "MYSQL_LOWER_CASE_TABLE_NAMES is not read, and the option cannot be changed once there \
         is a database"
    );
    found.check(Some(b"1")).unwrap();
}

#[test]
fn distance_counts_letters() {
    for (one, other, expected) in [("", "ab", 2), ("kitten", "sitting", 3), ("x", "x", 0)] {
        assert_eq!(distance(one, other), expected);
    }
}
