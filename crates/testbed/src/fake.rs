//! A home directory as builder leaves it, with a script for a server that records how it was called.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::Sandbox;

/// Records its pid, arguments and environment in ~/record and makes a data directory when told to.
/// With ~/slow it goes on for long, through a child, with ~/endless by itself, with ~/broken it fails;
/// as a server it waits.
const SERVER: &str = r#"#!/bin/sh
{
    echo "pid $$"
    for argument in "$@"; do
        echo "argument $argument"
        # Before the end of the record: who has read that finds the copy complete.
        case $argument in --init-file=*) /bin/cat "${argument#*=}" >"$HOME/init-file" ;; esac
    done
    /usr/bin/env | /bin/sed 's/^/variable /'
    echo "end $$"
} >>"$HOME/record"
for argument in "$@"; do
    case $argument in
        --datadir=*) dir=${argument#*=} ;;
        --validate-config)
            [ ! -e "$HOME/refuse" ] || { /bin/cat "$HOME/refuse" >&2; exit 1; }
            exit 0 ;;
    esac
done
if [ -n "$dir" ]; then
    echo data >"$dir/ibdata1"
    [ ! -e "$HOME/slow" ] || { /bin/sleep 3600; echo; }
    [ ! -e "$HOME/endless" ] || exec /bin/sleep 3600
    [ ! -e "$HOME/broken" ] || { /bin/cat "$HOME/broken" >&2; exit 1; }
    # A tablespace's first bytes, in which the server's version is 90704.
    printf '\000\000\000\000\000\000\000\000\000\001\142\120' >"$dir/mysql.ibd"
    exit 0
fi
exec /bin/sleep 3600
"#;

/// A built home with the recording server, MySQL 9.7.4.
pub fn built() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("home/mysql/my.cnf", "[mysqld]\n");
    sandbox.write_executable("home/mysql/install/bin/mysqld", SERVER);
    let stamp = "mysqld  Ver 9.7.4 (MySQL)\n";
    sandbox.write("home/mysql/install/mysqld-version.txt", stamp);
    sandbox
}

/// The same with a database that its server made.
pub fn with_database() -> Sandbox {
    let sandbox = built();
    put_database(&sandbox);
    sandbox
}

/// A data directory as its server makes it.
pub fn put_database(sandbox: &Sandbox) {
    sandbox.write("home/data/mysqldb/ibdata1", "data");
    let ibd = b"\0\0\0\0\0\0\0\0\0\x01\x62\x50";
    sandbox.write("home/data/mysqldb/mysql.ibd", ibd);
}

/// `hook` as the platform calls it, on `port`, with secrets around.
pub fn hook(sandbox: &Sandbox, hook: &str, port: u16) -> Command {
    let mut command = sandbox.command(Path::new(hook));
    command
        .env("PORT_SSH", "22")
        .env("PORT_TESTBEDDB", port.to_string())
        .env("PATH", "/usr/bin:/bin")
        // Whatever limits this machine has.
        .env("MYSQL_MEMORY", "256M")
        .env("MYSQL_PWD", "secret")
        .env("MYSQL_ROOT_PASSWORD", "secret 'root'")
        .env("MARIADB_ROOT_PASSWORD", "secret")
        .env("DOTCLOUD_DB_MYSQL_URL", "mysql://root:secret@host")
        .env("HOSTNAME", "app-default-db-0");
    command
}

/// A call of the recording server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub pid: String,
    pub arguments: Vec<String>,
    pub variables: Vec<String>,
}

/// Every call that is recorded to its end. `PWD` is the shell's own.
pub fn calls(sandbox: &Sandbox) -> Vec<Call> {
    let text = fs::read_to_string(sandbox.home().join("record")).unwrap_or_default();
    let text = text.replace(sandbox.path().to_str().unwrap(), "{dir}");
    let (mut calls, mut call) = (Vec::new(), Call::default());
    for line in text.split_inclusive('\n') {
        let (kind, rest) = line.trim_end().split_once(' ').unwrap_or_default();
        match kind {
            "pid" => rest.clone_into(&mut call.pid),
            "argument" => call.arguments.push(rest.to_owned()),
            "variable" if !rest.starts_with("PWD=") => call.variables.push(rest.to_owned()),
            "end" if line.ends_with('\n') => {
                call.variables.sort();
                calls.push(std::mem::take(&mut call));
            }
            _ => {}
        }
    }
    calls
}
