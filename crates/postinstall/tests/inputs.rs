//! The inputs that say who may log in, case by case as in the official images' suites: what cannot be
//! meant is refused, and a refusal writes nothing.

use std::fs;
use std::process::Command;
use testbed::{fake, sandbox};

use fake::built;
use sandbox::{Sandbox, assert_refused, set_mode};

const POSTINSTALL: &str = env!("CARGO_BIN_EXE_postinstall");

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The hook with these inputs only.
fn postinstall(sandbox: &Sandbox, inputs: Pairs<'_>) -> Command {
    let mut command = fake::hook(sandbox, POSTINSTALL, 42800);
    for name in ["MYSQL_PWD", "MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"] {
        command.env_remove(name);
    }
    command.envs(inputs.iter().copied());
    command
}

/// Root's password is checked first of all: every database uses it.
fn before_the_server(error: &str) -> bool {
    error.contains("ROOT_PASSWORD_FILE")
}

/// Each is refused with its error and advice, and nothing is there that was not there before.
#[track_caller]
fn refused(cases: &[(Pairs<'_>, &str, &str)]) {
    let sandbox = built();
    let before = sandbox.listing();
    for (inputs, error, next) in cases {
        let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
        let server = "- server MySQL 9.7.4, from {dir}/home/mysql/install\n";
        let server = if before_the_server(error) { "" } else { server };
        let stderr = format!("{server}postinstall: error: {error}\n  next: {next}, push again\n");
        assert_refused(&outcome, "postinstall", &stderr);
        assert_eq!(sandbox.listing(), before, "{inputs:?}");
    }
}

#[track_caller]
fn accepted(inputs: Pairs<'_>) -> Sandbox {
    let sandbox = built();
    let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
    assert_eq!(outcome.code, Some(0), "{inputs:?}: {}", outcome.stderr);
    sandbox
}

#[test]
fn a1_no_input_is_needed() {
    accepted(&[]);
}

#[test]
fn a2_empty_values_count_as_not_set() {
    accepted(&[
        ("MYSQL_ROOT_PASSWORD", ""),
        ("MYSQL_DATABASE", ""),
        ("MYSQL_USER", ""),
        ("MYSQL_PASSWORD_FILE", ""),
        ("MYSQL_REQUIRE_DATA", ""),
    ]);
}

const BOTH: &str = "set both for an account besides root, or neither";

#[test]
fn a3_an_account_without_its_other_half_is_refused() {
    let (user, password) = (("MYSQL_USER", "app"), ("MYSQL_PASSWORD", "x"));
    let database = ("MYSQL_DATABASE", "shop");
    let root = ("MYSQL_ROOT_PASSWORD", "y");
    let no_password = "MYSQL_USER is set and MYSQL_PASSWORD is not";
    let no_user = "MYSQL_PASSWORD is set and MYSQL_USER is not";
    refused(&[
        (&[user], no_password, BOTH),
        (&[user, database], no_password, BOTH),
        (&[user, database, root], no_password, BOTH),
        (&[password], no_user, BOTH),
        (&[password, database], no_user, BOTH),
        (&[password, database, root], no_user, BOTH),
    ]);
    accepted(&[user, password]);
    accepted(&[database]);
}

#[test]
fn e5_inputs_that_an_existing_database_cannot_use_do_not_stop_it() {
    let sandbox = fake::with_database();
    let told = |inputs| {
        let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let lines = outcome.stderr.lines().map(str::to_owned);
        let lines = lines.filter(|line| line.starts_with("- warning: M"));
        lines.collect::<Vec<_>>()
    };
    let without = "the database that is there goes on without it";
    assert_eq!(
        told(&[("MARIADB_USER", "root"), ("MYSQL_PASSWORD", "x")]),
        [format!(
            "- warning: MARIADB_USER is 'root', whose password is MARIADB_ROOT_PASSWORD: {without}"
        )]
    );
    assert_eq!(
        told(&[("MYSQL_USER", "app")]),
        [format!(
            "- warning: MYSQL_USER is set and MYSQL_PASSWORD is not: {without}"
        )]
    );
    assert_eq!(
        told(&[("MYSQL_ALLOW_EMPTY_PASSWORD", "yes")]),
        [
            "- warning: MYSQL_ALLOW_EMPTY_PASSWORD asks for a root without a password, which there \
             never is here: the database stays as it is"
        ]
    );
    assert_eq!(told(&[]), [""; 0]);
}

#[test]
fn variables_of_other_images_are_told_or_refused() {
    refused(&[
        (
            &[("MYSQL_ALLOW_EMPTY_PASSWORD", "yes")],
            "MYSQL_ALLOW_EMPTY_PASSWORD asks for a root without a password, which there never is here",
            "set MYSQL_ROOT_PASSWORD, or unset it to get a random password in \
             ~/data/mysql-credentials.cnf",
        ),
        (
            &[("MYSQL_LOWER_CASE_TABLE_NAMES", "1")],
            "MYSQL_LOWER_CASE_TABLE_NAMES is not read, and the option cannot be changed once there \
             is a database",
            "set lower_case_table_names below [mysqld] in my.cnf instead",
        ),
    ]);
    let sandbox = built();
    let inputs: Pairs<'_> = &[("MYSQL_CHARSET", "utf8"), ("MYSQL_PASWORD", "secret-1")];
    let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for line in [
        "- warning: MYSQL_CHARSET is not read: set character_set_server in my.cnf\n",
        "- warning: MYSQL_PASWORD is not read: did you mean MYSQL_PASSWORD?\n",
    ] {
        let times = outcome.stderr.matches(line).count();
        assert_eq!(times, 1, "{}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("secret-1"));
}

/// At every start: the server obeys, and nobody would be told otherwise.
#[test]
fn skip_grant_tables_is_warned_of() {
    let sandbox = built();
    let warning = "- warning: my.cnf line 2 sets skip-grant-tables: whoever reaches the server is root, \
                   whatever password they give; remove it, push again\n";
    for (line, warned) in [
        ("skip-grant-tables", true),
        ("skip_grant_tables = 1", true),
        ("skip-grant-tables = OFF", false),
    ] {
        sandbox.write("home/mysql/my.cnf", format!("[mysqld]\n{line}\n"));
        let outcome = sandbox.outcome(&mut postinstall(&sandbox, &[]));
        assert_eq!(
            outcome.stderr.contains(warning),
            warned,
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a4_a_second_root_is_refused() {
    refused(&[(
        &[("MYSQL_USER", "root"), ("MARIADB_PASSWORD", "x")],
        "MYSQL_USER is 'root', whose password is MYSQL_ROOT_PASSWORD",
        BOTH,
    )]);
}

#[test]
fn a5_a6_names_that_servers_refuse_are_refused() {
    let error = |variable: &str, most: u32| {
        format!(
            "the name in {variable} cannot be used: it is longer than {most} characters, or holds a \
             control character or one beyond U+FFFF (an emoji), or a blank at an end"
        )
    };
    let another = "choose another one";
    let (long_database, long_user) = ("d".repeat(65), "u".repeat(33));
    for name in [&long_database[..], " a", "a\tb", "\u{1f427}"] {
        let inputs: Pairs<'_> = &[("MYSQL_DATABASE", name)];
        refused(&[(inputs, &error("MYSQL_DATABASE", 64), another)]);
    }
    for name in ["a\nb", "a ", "\u{1f427}"] {
        let inputs: Pairs<'_> = &[("MARIADB_USER", name), ("MYSQL_PASSWORD", "x")];
        refused(&[(inputs, &error("MARIADB_USER", 80), another)]);
    }
    let inputs: Pairs<'_> = &[("MYSQL_USER", &long_user), ("MYSQL_PASSWORD", "x")];
    let error =
        "the name in MYSQL_USER is longer than 32 characters, which is the most for MySQL 9.7.4";
    refused(&[(inputs, error, another)]);
    accepted(&[("MYSQL_DATABASE", &long_database[1..])]);
    accepted(&[("MYSQL_USER", &long_user[1..]), ("MYSQL_PASSWORD", "x")]);
    accepted(&[("MYSQL_DATABASE", "example.com"), ("MYSQL_ROOT_HOST", "%")]);
    accepted(&[("MYSQL_USER", "joe@example.com"), ("MYSQL_PASSWORD", "x")]);
}

#[test]
fn a7_variable_and_its_file_together_are_refused_and_nothing_is_written() {
    let unset = "unset one of them";
    refused(&[
        (
            &[("MYSQL_USER", "a"), ("MYSQL_USER_FILE", "/nowhere")],
            "both MYSQL_USER and MYSQL_USER_FILE are set",
            unset,
        ),
        (
            &[
                ("MYSQL_ROOT_PASSWORD_FILE", "/nowhere"),
                ("SERVICE_CONFIG_MYSQL_ROOT_PASSWORD", "x"),
            ],
            "both SERVICE_CONFIG_MYSQL_ROOT_PASSWORD and MYSQL_ROOT_PASSWORD_FILE are set",
            unset,
        ),
    ]);
}

#[test]
fn a8_file_of_a_value_missing_or_unreadable_is_refused() {
    let put = "put the value into that file, readable for this user";
    refused(&[(
        &[("MYSQL_ROOT_PASSWORD_FILE", "/nowhere")],
        "cannot read /nowhere, which MYSQL_ROOT_PASSWORD_FILE names\n  cause: no such file or \
         directory (os error 2)",
        put,
    )]);
    let sandbox = built();
    let secret = sandbox.write("home/secret", "x");
    set_mode(&secret, 0);
    let inputs: Pairs<'_> = &[("MYSQL_ROOT_PASSWORD_FILE", secret.to_str().unwrap())];
    let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
    let stderr = format!(
        "postinstall: error: cannot read {{dir}}/home/secret, which MYSQL_ROOT_PASSWORD_FILE names\n  \
         cause: permission denied (os error 13)\n  next: {put}, push again\n"
    );
    assert_refused(&outcome, "postinstall", &stderr);
    assert!(!sandbox.home().join("data").exists());
}

#[test]
fn a8_line_breaks_at_the_end_of_a_file_do_not_count() {
    for content in ["secret-1", "secret-1\n", "secret-1\r\n", "secret-1\n\r\n\n"] {
        let sandbox = built();
        let secret = sandbox.write("home/secret", content);
        let inputs: Pairs<'_> = &[("MYSQL_ROOT_PASSWORD_FILE", secret.to_str().unwrap())];
        let outcome = sandbox.outcome(&mut postinstall(&sandbox, inputs));
        assert_eq!(outcome.code, Some(0), "{content:?}: {}", outcome.stderr);
        let written = sandbox.home().join("data/mysql-credentials.cnf");
        let written = fs::read_to_string(written).unwrap();
        assert!(
            written.contains("password = secret-1\n"),
            "{content:?}: {written}"
        );
    }
}
