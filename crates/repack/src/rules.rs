//! What a profile is, and what `standard` leaves out, as data. The order matters: the first rule that
//! matches names the category. Globs match paths below the tarball's top directory, or any
//! directory above a path; nothing a server needs to initialise or start may ever match.

use std::fmt;

/// Why an entry is not in the result: a row of the closing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    TestSuite,
    TestProgram,
    TestPlugin,
    Benchmarks,
    DebugBuild,
    EmbeddedServer,
    StaticLibrary,
    /// A library too special for `minimal`.
    Extra,
    /// Not on the list of `minimal`.
    Beyond,
    /// The user's own `--drop`.
    Asked,
    /// A symbolic link to something left out.
    DeadLink,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TestSuite => "test suite",
            Self::TestProgram => "test program",
            Self::TestPlugin => "test plugin",
            Self::Benchmarks => "benchmarks",
            Self::DebugBuild => "debug build",
            Self::EmbeddedServer => "embedded server",
            Self::StaticLibrary => "static library",
            Self::Extra => "special library",
            Self::Beyond => "not in minimal",
            Self::Asked => "--drop",
            Self::DeadLink => "link to the above",
        })
    }
}

/// One line of the profile.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) glob: &'static str,
    pub(crate) category: Category,
    /// Which layouts have it, and why a server does without; docs/repack.md shows it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "compared with docs/repack.md by a test")
    )]
    pub(crate) reason: &'static str,
}

pub(crate) const fn rule(glob: &'static str, category: Category, reason: &'static str) -> Rule {
    Rule {
        glob,
        category,
        reason,
    }
}

/// What must be there: a path that matches. Unlike those of a [`Rule`], the glob does not speak for
/// what is below a directory.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) glob: &'static str,
    /// Who needs it; docs/repack.md shows it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "compared with docs/repack.md by a test")
    )]
    pub(crate) reason: &'static str,
}

/// What to leave out.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) drop: &'static [&'static [Rule]],
    /// Unless empty, everything that matches none of these is left out too.
    pub(crate) only: &'static [Need],
}

pub(crate) const STANDARD: Profile = Profile {
    drop: &[DROPPED],
    only: &[],
};

/// The profile `standard`: what the recipe asked to leave out. Programs are looked for in every
/// `bin`: where one needs libraries of its own, `bin/NAME` is a script that starts another.
#[rustfmt::skip] // One rule, one line.
const DROPPED: &[Rule] = &[
    rule("{mysql,mariadb}-test", Category::TestSuite, "the vendor's regression tests, most of a tarball's files"),
    rule("share/{mysql,mariadb}-test", Category::TestSuite, "the same, where packages put them"),
    rule("share/{mysql,mariadb}/{mysql,mariadb}-test", Category::TestSuite, "the same, where packages put them"),
    rule("lib/mysql-testsuite", Category::TestSuite, "the same, as Debian names them"),
    rule("{sql-bench,share/sql-bench,share/*/sql-bench}", Category::Benchmarks, "Perl scripts of 5.x and MariaDB, run by hand"),
    rule("**/bin/{mysql_embedded,mariadb-embedded}", Category::EmbeddedServer, "the client with a server linked in"),
    rule("**/bin/{mysqltest,mariadb-test,mysql_client_test,mariadb-client-test}{_,-}embedded", Category::EmbeddedServer, "test programs with a server linked in"),
    rule("lib*/**/lib{mysqld,mysqld-debug,mariadbd}.*", Category::EmbeddedServer, "the server as a library; up to 5.7 and in MariaDB"),
    rule("**/bin/{mysqltest,mariadb-test,mysqlxtest}", Category::TestProgram, "runs the test suite's scripts"),
    rule("**/bin/{mysql_client_test,mariadb-client-test}", Category::TestProgram, "tests the client library"),
    rule("**/bin/{mysqltest_safe_process,mysql_keyring_encryption_test,mysql_test_event_tracking,test-connect-t}", Category::TestProgram, "helpers of the test suite"),
    rule("**/{bin,sbin,libexec}/{mysqld,mariadbd}-debug", Category::DebugBuild, "a second server, with assertions, larger than the first"),
    rule("lib*/**/plugin/debug", Category::DebugBuild, "plugins of the debug server"),
    rule("lib*/**/*-debug.so*", Category::DebugBuild, "libraries of the debug server"),
    rule("**/{bin,sbin,libexec}/*.debug", Category::DebugBuild, "symbols split off for debuggers"),
    rule("lib*/**/*.debug", Category::DebugBuild, "symbols split off for debuggers"),
    rule("lib*/**/plugin/{component_test_*,libtest_*,test_*,qa_auth_*,auth_test_plugin}.so", Category::TestPlugin, "loaded by the test suite only"),
    rule("lib*/**/plugin/{ha_test_sql_discovery,func_test,type_test,dialog_examples}.so", Category::TestPlugin, "loaded by MariaDB's test suite only"),
    rule("lib*/**/*.a", Category::StaticLibrary, "for linking programs, not for running them"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prune::{Pruner, Verdict};

    #[test]
    fn standard_needed_by_a_server_is_kept() {
        let rows = [
            ("bin/mysqld", "the server"),
            ("bin/mariadbd", "MariaDB's"),
            ("libexec/mysqld", "where old packages have it"),
            ("lib/private/bin/mysqld", "started by a script bin/mysqld"),
            ("bin/mysqld_safe", "what old tools start"),
            ("bin/my_print_defaults", "mysql_install_db calls it"),
            ("bin/resolveip", "mysql_install_db calls it"),
            ("bin/mysql_install_db", "5.7's initialiser"),
            (
                "scripts/mysql_install_db",
                "5.6's and MariaDB's initialiser",
            ),
            ("scripts/mariadb-install-db", "MariaDB's initialiser"),
            ("bin/mysql_upgrade", "upgrades up to 8.0.15"),
            ("bin/mysqladmin", "the recipe changes the password with it"),
            ("bin/mysqlslap", "an everyday client, although it measures"),
            ("bin/mysqldumpslow", "an everyday client"),
            ("bin/mysqlrouter", "part of 8.0 and later"),
            ("share/mysql_system_tables.sql", "read at initialisation"),
            ("share/mysql_test_db.sql", "MariaDB's initialiser reads it"),
            (
                "share/mariadb_test_db.sql",
                "MariaDB's initialiser reads it",
            ),
            (
                "share/mysql_test_data_timezone.sql",
                "mysql_install_db reads it",
            ),
            (
                "share/mysql/mysql_test_data_timezone.sql",
                "the same, in packages",
            ),
            ("share/english/errmsg.sys", "without it no server starts"),
            ("share/charsets/Index.xml", "without it no server starts"),
        ];
        all_kept(&rows);
    }

    #[test]
    fn standard_loaded_by_a_server_is_kept() {
        let rows = [
            ("lib/libmysqlclient.so.24", "clients and plugins load it"),
            ("lib/libmariadb.so.3", "clients load it"),
            ("lib/libaio.so.1", "the server loads it"),
            ("lib/private/libprotobuf-lite.so.24", "the server loads it"),
            ("lib/plugin/group_replication.so", "loaded on request"),
            ("lib/plugin/semisync_master.so", "loaded on request"),
            ("lib/plugin/auth_socket.so", "loaded on request"),
            (
                "lib/plugin/component_validate_password.so",
                "loaded on request",
            ),
            (
                "lib/plugin/debug_key_management.so",
                "a plugin, not a debug build",
            ),
            ("lib/mecab/dic/ipadic_utf-8/sys.dic", "full-text parser"),
            ("lib/libgalera_smm.so", "Galera"),
            (
                "bin/pxc_extra/pxb-8.0/bin/xtrabackup",
                "state transfers of PXC",
            ),
            ("data/test/db.opt", "5.6 ships a data directory"),
        ];
        all_kept(&rows);
    }

    #[track_caller]
    fn all_kept(rows: &[(&str, &str)]) {
        let mut pruner = Pruner::new(&STANDARD, &[], &[]);
        for (path, reason) in rows {
            let verdict = pruner.decide(Path::new(path));
            assert_eq!(verdict, Verdict::Keep, "{path}: {reason}");
        }
    }

    #[test]
    fn standard_not_needed_is_dropped_under_its_category() {
        use Category::{
            Benchmarks, DebugBuild, EmbeddedServer, StaticLibrary, TestPlugin, TestProgram,
            TestSuite,
        };
        let rows = [
            ("mysql-test", TestSuite, "the directory itself"),
            (
                "mysql-test/lib/My/SafeProcess/my_safe_process",
                TestSuite,
                "MySQL",
            ),
            ("mysql-test/lib/libx.a", TestSuite, "the first rule counts"),
            ("mariadb-test/main/1st.test", TestSuite, "MariaDB"),
            ("share/mysql/mysql-test/mtr", TestSuite, "packages"),
            ("lib/mysql-testsuite/t", TestSuite, "Debian"),
            ("sql-bench/test-insert", Benchmarks, "5.6"),
            ("bin/mysql_embedded", EmbeddedServer, "5.6, 5.7"),
            ("bin/mariadb-embedded", EmbeddedServer, "MariaDB"),
            ("bin/mysqltest_embedded", EmbeddedServer, "5.6, 5.7"),
            (
                "bin/mariadb-client-test-embedded",
                EmbeddedServer,
                "MariaDB",
            ),
            ("lib/libmysqld.a", EmbeddedServer, "5.6, 5.7"),
            ("lib/libmysqld-debug.a", EmbeddedServer, "5.6"),
            ("lib/libmariadbd.so.19", EmbeddedServer, "MariaDB"),
            ("bin/mysqltest", TestProgram, "all"),
            ("bin/mysqlxtest", TestProgram, "8.0 and later"),
            (
                "lib/private/bin/mysqlxtest",
                TestProgram,
                "behind a script in bin",
            ),
            ("bin/mysql_client_test", TestProgram, "all"),
            ("bin/mariadb-client-test", TestProgram, "MariaDB"),
            ("bin/mysqld-debug", DebugBuild, "MySQL"),
            ("lib/plugin/debug/semisync_master.so", DebugBuild, "MySQL"),
            ("lib/private/libprotobuf-debug.so.3.19.4", DebugBuild, "8.0"),
            ("lib/mysql/plugin/debug/x.so", DebugBuild, "packages"),
            ("bin/mysqld.debug", DebugBuild, "split symbols"),
            (
                "lib/plugin/component_test_udf_services.so",
                TestPlugin,
                "8.0",
            ),
            ("lib/plugin/qa_auth_server.so", TestPlugin, "5.6 and later"),
            ("lib/plugin/type_test.so", TestPlugin, "MariaDB"),
            ("lib/libmysqlclient.a", StaticLibrary, "all"),
            ("lib64/mysql/libmysqlservices.a", StaticLibrary, "packages"),
        ];
        let mut pruner = Pruner::new(&STANDARD, &[], &[]);
        for (path, category, reason) in rows {
            let verdict = pruner.decide(Path::new(path));
            assert_eq!(verdict, Verdict::Drop(category), "{path}: {reason}");
        }
    }

    #[test]
    fn standard_every_rule_is_documented_word_for_word() {
        let page = include_str!("../../../docs/repack.md");
        for rule in DROPPED {
            let row = format!("| {} | `{}` | {} |", rule.category, rule.glob, rule.reason);
            assert!(page.contains(&row), "docs/repack.md lacks: {row}");
        }
    }
}
