//! Every failure of the inputs that say who may log in, as its reader sees it.

use std::ffi::OsStr;

use mycnf::Password;

use super::tests::{assert_rendered, path, source};
use super::*;

#[test]
fn account_errors_have_exact_texts() {
    let assert_rendered = |error: AccountsError, text: &str| {
        assert_rendered(SettingsError::Accounts(error), text);
    };
    let variable = || "MYSQL_PASSWORD".to_owned();
    assert_rendered(
        AccountsError::Password {
            variable: variable(),
            source: Password::new(OsStr::new("")).unwrap_err(),
        },
        "the password in MYSQL_PASSWORD cannot be used\n  cause: the password is empty\n  next: \
         choose another one, push again",
    );
    assert_rendered(
        AccountsError::Name {
            variable: "MYSQL_USER".to_owned(),
            most: 32,
        },
        "the name in MYSQL_USER cannot be used: it is longer than 32 characters, or holds a control \
         character or one beyond U+FFFF (an emoji), or a blank at an end\n  next: choose another one, \
         push again",
    );
    assert_rendered(
        AccountsError::UserTooLong {
            variable: "MYSQL_USER".to_owned(),
            server: "MySQL 5.6.24".to_owned(),
            most: 16,
        },
        "the name in MYSQL_USER is longer than 16 characters, which is the most for MySQL 5.6.24\n  \
         next: choose another one, push again",
    );
    assert_rendered(
        AccountsError::Both {
            plain: variable(),
            file: "MYSQL_PASSWORD_FILE".to_owned(),
        },
        "both MYSQL_PASSWORD and MYSQL_PASSWORD_FILE are set\n  next: unset one of them, push again",
    );
    assert_rendered(
        AccountsError::ReadFile {
            variable: "MYSQL_PASSWORD_FILE".to_owned(),
            path: path(),
            source: source(),
        },
        "cannot read /h/x, which MYSQL_PASSWORD_FILE names\n  cause: permission denied\n  next: put \
         the value into that file, readable for this user, push again",
    );
}

#[test]
fn errors_of_half_an_account_have_exact_texts() {
    let assert_rendered = |error: AccountsError, text: &str| {
        assert_rendered(SettingsError::Accounts(error), text);
    };
    let variable = || "MYSQL_PASSWORD".to_owned();
    let both = "next: set both for an account besides root, or neither, push again";
    let (user, password) = (|| "MYSQL_USER".to_owned(), variable);
    assert_rendered(
        AccountsError::UserWithoutPassword {
            user: user(),
            password: password(),
        },
        &format!("MYSQL_USER is set and MYSQL_PASSWORD is not\n  {both}"),
    );
    assert_rendered(
        AccountsError::PasswordWithoutUser {
            user: user(),
            password: password(),
        },
        &format!("MYSQL_PASSWORD is set and MYSQL_USER is not\n  {both}"),
    );
    assert_rendered(
        AccountsError::UserRoot {
            variable: user(),
            password: "MYSQL_ROOT_PASSWORD".to_owned(),
        },
        &format!("MYSQL_USER is 'root', whose password is MYSQL_ROOT_PASSWORD\n  {both}"),
    );
}

#[test]
fn errors_of_names_hosts_and_hashes_have_exact_texts() {
    let assert_rendered = |error: AccountsError, text: &str| {
        assert_rendered(SettingsError::Accounts(error), text);
    };
    let variable = || "X".to_owned();
    let another = "next: choose another one, push again";
    assert_rendered(
        AccountsError::DatabaseReserved {
            variable: variable(),
        },
        &format!(
            "the name in X is that of a database that no server lets anybody make\n  {another}"
        ),
    );
    assert_rendered(
        AccountsError::DatabaseFile {
            variable: variable(),
            most: 255,
        },
        &format!("the name in X makes the name of a directory of more than 255 bytes\n  {another}"),
    );
    assert_rendered(
        AccountsError::RootHost {
            variable: variable(),
        },
        &format!(
            "X is no host name, address, or pattern of these such as '%' or '10.%'\n  {another}"
        ),
    );
    assert_rendered(
        AccountsError::Hash {
            variable: variable(),
        },
        "X is no hash of a password: '*' and 40 hexadecimal digits\n  next: set it to what SELECT \
         PASSWORD('…') prints, push again",
    );
    assert_rendered(
        AccountsError::HashUnknown {
            variable: variable(),
            server: "MySQL 9.7.4".to_owned(),
        },
        "X is set, and MySQL 9.7.4 knows no such hash\n  next: set the password itself instead, push \
         again",
    );
    assert_rendered(
        AccountsError::RootHash {
            variable: variable(),
        },
        "X is set, and root's password has to be known: the clients and the checks use it\n  next: set \
         MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE instead, push again",
    );
}

#[test]
fn variables_that_ask_for_what_there_is_not_have_exact_texts() {
    assert_rendered(
        PrepareError::Variable(VariableError::EmptyPassword {
            variable: "X".to_owned(),
        }),
        "X asks for a root without a password, which there never is here\n  next: set \
         MYSQL_ROOT_PASSWORD, or unset it to get a random password in \
         ~/data/mysql-credentials.cnf, push again",
    );
    assert_rendered(
        PrepareError::Variable(VariableError::OneTime {
            variable: "X".to_owned(),
        }),
        "X asks for a root password that has to be changed first, which is not made here\n  next: unset \
         it, and end with ALTER USER root@localhost PASSWORD EXPIRE once you have logged in, push again",
    );
    assert_rendered(
        PrepareError::Variable(VariableError::LowerCase {
            variable: "X".to_owned(),
            value: "1".to_owned(),
        }),
        "X is not read, and the option cannot be changed once there is a database\n  next: set \
         lower_case_table_names below [mysqld] in my.cnf instead, push again",
    );
}
