use std::ffi::OsStr;

use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn accounts(pairs: Pairs<'_>) -> Result<AccountInputs, AccountsError> {
    AccountInputs::from_environment(&pairs.iter().copied().collect())
}

#[test]
fn from_environment_values_files_and_both_vendors_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, "from a file\n").unwrap();
    let path = path.to_str().unwrap();
    let root = |pairs| accounts(pairs).unwrap().root_password.unwrap();
    for (pairs, expected) in [
        (&[("MYSQL_ROOT_PASSWORD", "x y")][..], "x y"),
        (&[("MARIADB_ROOT_PASSWORD", "m")], "m"),
        (&[("SERVICE_CONFIG_MYSQL_ROOT_PASSWORD", "c")], "c"),
        (&[("MYSQL_ROOT_PASSWORD_FILE", path)], "from a file"),
        (
            &[("MYSQL_ROOT_PASSWORD", "1"), ("MARIADB_ROOT_PASSWORD", "2")],
            "1",
        ),
    ] {
        assert_eq!(root(pairs).expose(), expected);
    }
    let all = accounts(&[
        ("MYSQL_DATABASE", "shop"),
        ("MARIADB_USER", "app"),
        ("MYSQL_PASSWORD_FILE", path),
    ])
    .unwrap();
    assert_eq!(all.database.unwrap(), "shop");
    let user = all.user.unwrap();
    let secret = Secret::Password(Password::new(OsStr::new("from a file")).unwrap());
    assert_eq!((user.name.as_str(), user.secret), ("app", secret));
    assert!(accounts(&[]).unwrap().user.is_none());
}

#[test]
fn from_environment_hosts_besides_its_own() {
    let host = |value| accounts(&[("MYSQL_ROOT_HOST", value)]).unwrap().root_host;
    assert_eq!(host("%").as_deref(), Some("%"));
    assert_eq!(host("localhost"), None, "it is there anyway");
}

#[track_caller]
fn assert_problems(cases: &[(Pairs<'_>, String)]) {
    for (pairs, text) in cases {
        let inputs = accounts(pairs).unwrap();
        assert_eq!(inputs.check().unwrap_err().to_string(), *text);
        let warning = format!("{text}: the database that is there goes on without it");
        assert_eq!(inputs.warnings().collect::<Vec<_>>(), [warning]);
        assert!(inputs.user.is_none() && inputs.database.is_none());
    }
}

#[test]
fn check_unusable_inputs_have_exact_texts_with_the_variable_that_was_set() {
    let name = "cannot be used: it is longer than 64 characters, or holds a control character or \
                one beyond U+FFFF (an emoji), or a blank at an end";
    let long = "\u{5bc6}".repeat(52);
    let cases: [(Pairs<'_>, String); 6] = [
        (
            &[
                ("MYSQL_PASSWORD", "x"),
                ("SERVICE_CONFIG_MYSQL_PASSWORD_FILE", "y"),
            ],
            "both MYSQL_PASSWORD and SERVICE_CONFIG_MYSQL_PASSWORD_FILE are set".into(),
        ),
        (
            &[("MYSQL_DATABASE", "shop ")],
            format!("the name in MYSQL_DATABASE {name}"),
        ),
        (
            &[("MARIADB_DATABASE", "\u{1f427}")],
            format!("the name in MARIADB_DATABASE {name}"),
        ),
        (
            &[("MYSQL_DATABASE", "Information_Schema")],
            "the name in MYSQL_DATABASE is that of a database that no server lets anybody make"
                .into(),
        ),
        (
            &[("MYSQL_DATABASE", &long)],
            "the name in MYSQL_DATABASE makes the name of a directory of more than 255 bytes"
                .into(),
        ),
        (
            &[("MYSQL_ROOT_HOST", "a'b")],
            "MYSQL_ROOT_HOST is no host name, address, or pattern of these such as '%' or '10.%'"
                .into(),
        ),
    ];
    assert_problems(&cases);
}

#[test]
fn check_half_an_account_has_exact_texts_with_the_variable_that_was_set() {
    let hash = "*0123456789012345678901234567890123456789";
    let cases: [(Pairs<'_>, String); 7] = [
        (
            &[("MYSQL_USER", "app")],
            "MYSQL_USER is set and MYSQL_PASSWORD is not".into(),
        ),
        (
            &[("MARIADB_USER", "app")],
            "MARIADB_USER is set and MARIADB_PASSWORD is not".into(),
        ),
        (
            &[("MARIADB_PASSWORD_HASH", hash)],
            "MARIADB_PASSWORD_HASH is set and MARIADB_USER is not".into(),
        ),
        (
            &[("MARIADB_USER", "app"), ("MARIADB_PASSWORD_HASH", "x")],
            "MARIADB_PASSWORD_HASH is no hash of a password: '*' and 40 hexadecimal digits".into(),
        ),
        (
            &[("MARIADB_PASSWORD", "x"), ("MARIADB_PASSWORD_HASH", "x")],
            "both MARIADB_PASSWORD and MARIADB_PASSWORD_HASH are set".into(),
        ),
        (
            &[("MYSQL_PASSWORD", "x")],
            "MYSQL_PASSWORD is set and MYSQL_USER is not".into(),
        ),
        (
            &[("MARIADB_USER", "root"), ("MYSQL_PASSWORD", "x")],
            "MARIADB_USER is 'root', whose password is MARIADB_ROOT_PASSWORD".into(),
        ),
    ];
    assert_problems(&cases);
}

#[test]
fn from_environment_roots_password_has_to_be_usable_and_known() {
    let cases: [(Pairs<'_>, &str); 3] = [
        (
            &[("MYSQL_ROOT_PASSWORD", "one\ntwo")],
            "the password in MYSQL_ROOT_PASSWORD cannot be used",
        ),
        (
            &[("MYSQL_ROOT_PASSWORD_FILE", "/nowhere/x")],
            "cannot read /nowhere/x, which MYSQL_ROOT_PASSWORD_FILE names",
        ),
        (
            &[("MARIADB_ROOT_PASSWORD_HASH", "*x")],
            "MARIADB_ROOT_PASSWORD_HASH is set, and root's password has to be known: the clients \
             and the checks use it",
        ),
    ];
    for (pairs, text) in cases {
        assert_eq!(accounts(pairs).unwrap_err().to_string(), text);
    }
}

#[test]
fn for_server_what_only_others_take_is_a_problem() {
    let server = |flavour, version| Server {
        basedir: "/r".into(),
        executable: "/r/bin/mysqld".into(),
        flavour,
        version,
    };
    let mysql_5_6 = server(Flavour::MySql, Version::new(5, 6, 24));
    let mysql_9 = server(Flavour::MySql, Version::new(9, 7, 4));
    let mariadb = server(Flavour::MariaDb, Version::new(10, 11, 19));
    let problem = |pairs: Pairs<'_>, server: &Server| {
        let error = accounts(pairs).unwrap().for_server(server).check().err();
        error.map(|error| error.to_string())
    };
    let named = |name| [("MYSQL_USER", name), ("MYSQL_PASSWORD", "p")];
    let long = "thirty_three_letters_make_the_name";
    let most = |text: &str| Some(format!("the name in MYSQL_USER is longer than {text}"));
    for (name, server, text) in [
        ("sixteen_letters_", &mysql_5_6, None),
        (
            "seventeen_letters",
            &mysql_5_6,
            most("16 characters, which is the most for MySQL 5.6.24"),
        ),
        ("seventeen_letters", &mysql_9, None),
        (
            long,
            &mysql_9,
            most("32 characters, which is the most for MySQL 9.7.4"),
        ),
        (long, &mariadb, None),
    ] {
        assert_eq!(problem(&named(name), server), text);
    }
    let hash = [
        ("MARIADB_USER", "app"),
        (
            "MARIADB_PASSWORD_HASH",
            "*0123456789abcdef01234567890123456789abcd",
        ),
    ];
    assert_eq!(problem(&hash, &mariadb), None);
    let text = "MARIADB_PASSWORD_HASH is set, and MySQL 9.7.4 knows no such hash";
    assert_eq!(problem(&hash, &mysql_9).as_deref(), Some(text));
}
