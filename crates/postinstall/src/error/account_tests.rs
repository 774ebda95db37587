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
         character, '/', '\\' or '.', or a blank at an end\n  next: choose another one, push again",
    );
    assert_rendered(
        AccountsError::UserTooLong {
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
    let both = "next: set both for an account besides root, or neither, push again";
    assert_rendered(
        AccountsError::UserWithoutPassword,
        &format!("MYSQL_USER is set and MYSQL_PASSWORD is not\n  {both}"),
    );
    assert_rendered(
        AccountsError::PasswordWithoutUser,
        &format!("MYSQL_PASSWORD is set and MYSQL_USER is not\n  {both}"),
    );
    assert_rendered(
        AccountsError::UserRoot,
        &format!("MYSQL_USER is 'root', whose password is MYSQL_ROOT_PASSWORD\n  {both}"),
    );
}
