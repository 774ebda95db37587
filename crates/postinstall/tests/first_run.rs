//! postinstall and first-run files: it reads them, while the old instance still serves, and leaves the
//! database that begins with them to starttest.

use fake::built;
use sandbox::assert_refused;
use testbed::{fake, sandbox};

const POSTINSTALL: &str = env!("CARGO_BIN_EXE_postinstall");

/// `SELECT 1;\n` by gzip(1).
const GZIP: [u8; 30] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x0b, 0x76, 0xf5, 0x71, 0x75, 0x0e, 0x51, 0x30, 0xb4, 0xe6,
    2, 0, 0x7f, 0xa9, 0x0e, 0x50, 10, 0, 0, 0,
];

#[test]
fn h3_file_cut_short_is_refused() {
    let sandbox = built();
    sandbox.write("home/mysql/initdb.d/1.sql.gz", &GZIP[..26]);
    let before = sandbox.listing();
    let outcome = sandbox.outcome(&mut fake::hook(&sandbox, POSTINSTALL, 42800));
    assert_refused(
        &outcome,
        "postinstall",
        "- server MySQL 9.7.4, from {dir}/home/mysql/install\n\
         postinstall: error: cannot read the first-run file \
         {dir}/home/mysql/initdb.d/1.sql.gz\n  cause: unexpected end of file\n  next: make it \
         readable for this user, or push it again: it may be damaged or cut short\n",
    );
    assert_eq!(sandbox.listing(), before, "nothing changed");
}

#[test]
fn database_with_first_run_files_is_left_to_starttest() {
    let sandbox = built();
    sandbox.write("home/mysql/initdb.d/1.sql", "SELECT 1;\n");
    let outcome = sandbox.outcome(&mut fake::hook(&sandbox, POSTINSTALL, 42800));
    let end = "- left the database to starttest, which runs the first-run files if it has none\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(0));
    for name in ["data/mysqldb", "data/mysqldb.initialising"] {
        assert!(!sandbox.home().join(name).exists(), "{name}");
    }
    fake::put_database(&sandbox);
    let outcome = sandbox.outcome(&mut fake::hook(&sandbox, POSTINSTALL, 42800));
    let end = "- kept the data directory {dir}/home/data/mysqldb\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
}
