//! The profile `minimal`, as data: what `standard` leaves out, a little more, and then nothing but
//! what is listed here. Covers the layouts of MySQL and Percona Server from 5.5, and of MariaDB.

use crate::rules::{Category, Need, Profile, Rule, STANDARD, rule};

/// The server, the everyday clients, what they load, and nothing else.
pub(crate) const MINIMAL: Profile = Profile {
    drop: &[STANDARD.drop[0], EXTRAS],
    only: NEEDS,
};

/// Large or special libraries among those that [`NEEDS`] would keep.
#[rustfmt::skip] // One rule, one line.
const EXTRAS: &[Rule] = &[
    rule("lib*/**/plugin/authentication_*_client.so", Category::Extra, "clients that log in through Kerberos, LDAP, WebAuthn, a cloud; each as large as a client"),
    rule("lib*/**/plugin/{telemetry_client,component_telemetry}.so", Category::Extra, "OpenTelemetry"),
    rule("lib*/**/plugin/libpluginmecab.so", Category::Extra, "full-text search in Japanese; its dictionaries are larger than the server"),
    rule("lib*/**/{mecab,libmecab.so*}", Category::Extra, "the same"),
    rule("lib*/**/libgalera*.so*", Category::Extra, "Galera; what transfers its state is not here either"),
    rule("lib*/mysqlrouter", Category::Extra, "MySQL Router"),
];

const fn need(glob: &'static str, reason: &'static str) -> Need {
    Need { glob, reason }
}

#[rustfmt::skip] // One rule, one line.
const NEEDS: &[Need] = &[
    need("{bin,sbin,libexec,lib,lib64,scripts,share,support-files}", "directories of the below"),
    need("{share,lib,lib64}/{mysql,mariadb}", "the same, or links from where packages look"),
    need("{lib,lib64}{,/mysql,/mariadb}/{plugin,private,private/bin}", "the same"),
    need("share{,/mysql,/mariadb}/{english,charsets}", "the same"),
    need("**/{bin,sbin,libexec}/{mysqld,mariadbd}", "the server, or a script and the server behind it"),
    need("**/bin/{mysqld_safe,mariadbd-safe,mysqld_safe_helper,mariadbd-safe-helper}", "what old tools start"),
    need("**/bin/{mysql,mysqladmin,mysqldump,mysqlbinlog}", "everyday clients"),
    need("**/bin/{mariadb,mariadb-admin,mariadb-dump,mariadb-binlog}", "the same in MariaDB"),
    need("**/bin/{mysql_upgrade,mysqlcheck,mariadb-upgrade,mariadb-check}", "upgrade up to 8.0.15 and in MariaDB; it runs the check"),
    need("**/bin/{innochecksum,ibd2sdi,mysql_config_editor,mysql_migrate_keyring,perror}", "what one needs on the day something breaks"),
    need("**/bin/{mariadb-backup,mariabackup,mbstream}", "MariaDB's backups; no mysqldump replaces them"),
    need("{bin,scripts}/{mysql_install_db,mariadb-install-db}", "the initialiser up to 5.7 and in MariaDB"),
    need("**/bin/{my_print_defaults,resolveip}", "the initialiser and mysqld_safe call them"),
    need("support-files/my-default.cnf", "5.6's initialiser copies it"),
    need("**/bin/{mysql_tzinfo_to_sql,mariadb-tzinfo-to-sql}", "builder fills the time zone tables with it"),
    need("share{,/mysql,/mariadb}/*.sql", "the initialiser and mysql_upgrade read them"),
    need("share{,/mysql,/mariadb}/english/*", "error messages; without them no server starts"),
    need("share{,/mysql,/mariadb}/charsets/*", "character sets; without the index no server starts"),
    need("{bin,lib,lib64}/**/*.so*", "libraries, plugins and the loader, wherever they are"),
    need("{lib,lib64}/**/plugin/**", "what plugins bring along"),
    need("{lib,lib64}/**/icudt*/**", "what regular expressions need in 8.0"),
    need("{LICENSE,COPYING}*", "has to go with every copy"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prune::{Pruner, Verdict};

    #[track_caller]
    fn all(rows: &[(&str, &str)], verdict: Verdict) {
        let mut pruner = Pruner::new(&MINIMAL, &[], &[]);
        for (path, reason) in rows {
            let decided = pruner.decide(Path::new(path));
            assert_eq!(decided, verdict, "{path}: {reason}");
        }
    }

    #[test]
    fn minimal_keeps_what_runs_a_server() {
        let rows = [
            ("bin", "a directory"),
            ("bin/mysqld", "the server"),
            ("lib/private/bin/mysqld", "the one behind a script"),
            ("lib/private/ld-linux-x86-64.so.2", "its loader"),
            ("lib/private/libprotobuf-lite.so.24.4.0", "it loads it"),
            ("lib/private/icudt77l/brkitr/root.res", "8.0's ICU"),
            ("bin/mariadbd", "MariaDB's"),
            ("sbin/mysqld", "packages"),
            ("bin/mysqld_safe", "old tools"),
            ("bin/mysqladmin", "the recipe"),
            ("bin/mariadb-upgrade", "MariaDB"),
            ("bin/mysql_upgrade", "5.x"),
            ("bin/resolveip", "install_db"),
            ("lib/private/bin/ibd2sdi", "repairs"),
            ("bin/mysql_migrate_keyring", "repairs"),
            ("bin/mariadb-backup", "backups"),
            ("scripts/mysql_install_db", "5.6"),
            ("scripts/mariadb-install-db", "MariaDB"),
            ("bin/mysql_install_db", "5.7"),
            ("share/mysql", "a link"),
            ("share/fill_help_tables.sql", "install_db"),
            ("share/mysql/mysql_sys_schema.sql", "packages"),
            ("share/english/errmsg.sys", "the server"),
            ("share/charsets/Index.xml", "the server"),
            ("support-files/my-default.cnf", "5.6's install_db"),
            ("lib/plugin/semisync_master.so", "on request"),
            ("lib/plugin/group_replication.so", "on request"),
            ("lib/plugin/auth_pam_tool_dir/auth_pam_tool", "MariaDB"),
            ("lib64/mysql/plugin/auth_socket.so", "packages"),
            ("lib/libmysqlclient.so.18", "clients of 5.6"),
            ("LICENSE.mysql", "the licence"),
        ];
        all(&rows, Verdict::Keep);
    }

    #[test]
    fn minimal_leaves_out_the_rest() {
        let beyond = [
            ("bin/mysqlslap", "measures"),
            ("lib/private/bin/mysqlslap", "behind a script"),
            ("bin/ndbd", "NDB"),
            ("bin/ndb_mgm", "NDB"),
            ("bin/myisamchk", "repairs"),
            ("share/german/errmsg.sys", "another language"),
            ("share/errmsg-utf8.txt", "for building"),
            ("include/mysql.h", "for building"),
            ("man/man1/mysql.1", "manuals"),
            ("man", "their directory"),
            ("docs/INFO_BIN", "about the build"),
            ("lib/pkgconfig/mysqlclient.pc", "for building"),
            ("data/test/db.opt", "made anew"),
            ("README", "to be read"),
        ];
        all(&beyond, Verdict::Drop(Category::Beyond));
        let extra = [
            ("lib/plugin/authentication_ldap_sasl_client.so", "clients"),
            ("lib/plugin/telemetry_client.so", "clients"),
            ("lib/mecab/dic/ipadic_utf-8/sys.dic", "dictionaries"),
            ("lib/galera/libgalera_smm.so", "Galera"),
            ("lib/mysqlrouter/plugin/routing.so", "Router"),
        ];
        all(&extra, Verdict::Drop(Category::Extra));
        let suite = [("mysql-test/t/a.test", "as in standard")];
        all(&suite, Verdict::Drop(Category::TestSuite));
    }

    #[test]
    fn minimal_every_rule_is_documented_word_for_word() {
        let page = include_str!("../../../docs/repack.md");
        let drops = EXTRAS.iter().map(|rule| (rule.glob, rule.reason));
        let needs = NEEDS.iter().map(|need| (need.glob, need.reason));
        for (glob, reason) in drops.chain(needs) {
            let row = format!("| `{glob}` | {reason} |");
            assert!(page.contains(&row), "docs/repack.md lacks: {row}");
        }
    }
}
