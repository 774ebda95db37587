//! Text that is piped through `dotcloud run` into the release's own client is stored as it was sent.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::world::{World, column, tarball};

/// Two and four bytes of UTF-8.
const TEXT: &str = "é😀";
const BYTES: &str = "C3A9F09F9880 2";

/// In whichever locale whoever calls `dotcloud` is.
pub(crate) fn is_stored_as_it_was_sent(world: &World, has_client: bool) {
    if !has_client {
        // Of a server whose fixture has none: MariaDB's knows its protocol.
        let unpacked = Command::new("tar")
            .args(["-xz", "--wildcards", "--strip-components=2", "-f"])
            .arg(tarball("mariadb"))
            .arg("*/bin/mariadb")
            .current_dir(world.home(0, ""))
            .status();
        assert!(unpacked.unwrap().success());
    }
    let client = "$(command -v mysql || command -v mariadb || echo ~/mariadb)";
    for locale in ["C", "C.UTF-8", "de_DE.ISO-8859-1"] {
        let sql = format!(
            "CREATE DATABASE text CHARACTER SET utf8mb4;\nCREATE TABLE text.t (s VARCHAR(9));\n\
             INSERT INTO text.t VALUES ('{TEXT}');\n"
        );
        let script = format!("{client} --defaults-file=~/.my.cnf");
        let mut run = world
            .command(["run", "testbed.0", &script])
            .env("LANG", locale)
            .env("LC_ALL", locale)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = run.stdin.take().unwrap();
        input.write_all(sql.as_bytes()).unwrap();
        drop(input);
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{locale}: {said}");
        let mut conn = world.connect(0);
        let stored = "SELECT CONCAT(HEX(s), ' ', CHAR_LENGTH(s)) FROM text.t";
        assert_eq!(column(&mut conn, stored), [BYTES], "{locale}");
        column(&mut conn, "DROP DATABASE text");
    }
}
