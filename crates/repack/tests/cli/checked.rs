//! The check of the result: what a server cannot do without is named, with the option that left it
//! out, and nothing is written.

use std::fs;

use crate::tarball::{Tarball, gzip};
use crate::{Case, text};

const VENDOR: &str =
    "pass the vendor's binary tarball (linux-generic, not the source, not the test suite)";

#[track_caller]
fn refuses(tarball: Tarball, options: &[&str], problem: &str, next: &str) {
    let case = Case::new(&gzip(&tarball.bytes()));
    let stderr = format!("repack: error: {problem}\n  next: {next}\n");
    case.refuses(options, &stderr);
    case.refuses(&[options, &["--dry-run"]].concat(), &stderr);
}

fn server() -> Tarball {
    Tarball::new()
        .share()
        .file("my-1/bin/mysqld", 0o755, b"server")
}

#[test]
fn result_without_a_server_is_refused() {
    let nothing = Tarball::new().file("my-1/README", 0o644, b"text");
    refuses(nothing, &[], "in.tar.gz has no server", VENDOR);
    for option in ["bin", "bin/mysql*"] {
        refuses(
            server(),
            &["--drop", option],
            &format!(
                "the result would lack its server: bin/mysqld is left out by --drop '{option}'"
            ),
            &format!("run it without --drop '{option}', or add --keep 'bin/mysqld'"),
        );
    }
    // The name stays; what it leads to does not.
    let linked = Tarball::new()
        .share()
        .symlink("my-1/bin/mysqld", "../libexec/mysqld-8")
        .file("my-1/libexec/mysqld-8", 0o755, b"server");
    refuses(
        linked,
        &["--drop", "libexec"],
        "the result would lack its server: libexec/mysqld-8 is left out by --drop 'libexec'",
        "run it without --drop 'libexec', or add --keep 'libexec/mysqld-8'",
    );
}

/// A name, what it shows, and what to do instead.
fn other_archives() -> Vec<(&'static str, &'static str, &'static str)> {
    let linux = "download the vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz";
    let around = "unpack it, and pack the directory that holds bin, lib and share with 'tar czf \
                  NAME.tar.gz DIRECTORY'";
    let out = "take the server's out: 'repack FILE' does where they are not in a directory; else unpack it";
    let mac = "take the vendor's own file, or pack it with 'COPYFILE_DISABLE=1 tar czf NAME.tar.gz \
               DIRECTORY'";
    let own = "take the vendor's own file: it was packed again where files have no modes";
    vec![
        (
            "m/bin/mysqld.exe",
            "is for Windows: it has m/bin/mysqld.exe",
            linux,
        ),
        (
            "m/CMakeLists.txt",
            "is the source: it has m/CMakeLists.txt",
            linux,
        ),
        (
            "m/sql/mysqld.cc",
            "is the source: it has m/sql/mysqld.cc",
            linux,
        ),
        (
            "m/bin/mariadb",
            "holds clients, such as m/bin/mariadb, and no server",
            linux,
        ),
        (
            "d/mysql-9.tar.xz",
            "holds tarballs, such as d/mysql-9.tar.xz, and no server itself",
            out,
        ),
        (
            "server_9_amd64.deb",
            "is a bundle of packages, such as server_9_amd64.deb",
            linux,
        ),
        (
            "m/mysql-test/t/1st.test",
            "is the test suite, without a server",
            linux,
        ),
        (
            "usr/local/mysql/bin/mysqld",
            "has its server at usr/local/mysql/bin/mysqld, and not in bin of its top directory",
            around,
        ),
        (
            "bin/mysqld",
            "has its server at bin/mysqld, and not in bin of its top directory",
            around,
        ),
        (
            "m/bin/mysqld",
            "has no server that can be executed: m/bin/mysqld has lost its mode",
            own,
        ),
        ("._m", "was packed on a Mac, which added ._m", mac),
    ]
}

/// What people take for it, in the words that builder has for it.
#[test]
fn archive_of_something_else_is_told_for_what_it_is() {
    for (name, what, next) in other_archives() {
        for second in ["", "other/x"] {
            let mut tarball = Tarball::new().file(name, 0o644, b"x");
            if !second.is_empty() {
                tarball = tarball.file(second, 0o644, b"x");
            }
            refuses(tarball, &[], &format!("in.tar.gz {what}"), next);
        }
    }
}

#[test]
fn server_for_another_system_is_refused_and_one_for_another_machine_told() {
    let linux = "download the vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz";
    let with = |content: &[u8]| {
        Tarball::new()
            .share()
            .file("my-1/bin/mysqld", 0o755, content)
    };
    let macos = "in.tar.gz is for macOS, as its bin/mysqld shows";
    refuses(with(b"\xcf\xfa\xed\xfe\x07\0\0\x01"), &[], macos, linux);
    // Whatever else is not there.
    let bare = Tarball::new().file("my-1/bin/mysqld", 0o755, b"\xca\xfe\xba\xbe\0\0\0\x02");
    refuses(bare, &[], macos, linux);
    let windows = "in.tar.gz is for Windows, as its bin/mysqld shows";
    refuses(with(b"MZ\x90\0"), &[], windows, linux);
    // An ELF file for 32 bits: its class, its byte order, its machine.
    let mut i386 = b"\x7fELF\x01\x01\x01".to_vec();
    i386.resize(18, 0);
    i386.extend([3, 0]);
    let case = Case::new(&gzip(&with(&i386).bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out"]);
    let here = std::env::consts::ARCH;
    let note = format!("- warning: the server is for i386, and this machine is {here}\n");
    assert!(
        text(&output.stderr).starts_with(&note),
        "{}",
        text(&output.stderr)
    );
    assert!(output.status.success());
}

#[test]
fn result_without_messages_or_character_sets_is_refused() {
    let bare = || Tarball::new().file("my-1/bin/mysqld", 0o755, b"server");
    refuses(bare(), &[], "in.tar.gz has no error messages", VENDOR);
    let messages = bare().file("my-1/share/english/errmsg.sys", 0o644, b"");
    refuses(messages, &[], "in.tar.gz has no character sets", VENDOR);
    refuses(
        server(),
        &["--drop", "share/english"],
        "the result would lack its error messages: share/english/errmsg.sys is left out by \
         --drop 'share/english'",
        "run it without --drop 'share/english', or add --keep 'share/english/errmsg.sys'",
    );
    // Where packages have it.
    let package = bare()
        .file("my-1/share/mysql/english/errmsg.sys", 0o644, b"")
        .file("my-1/share/mysql/charsets/Index.xml", 0o644, b"");
    refuses(
        package,
        &["--drop", "share/*/charsets/Index.*"],
        "the result would lack its character sets: share/mysql/charsets/Index.xml is left out by \
         --drop 'share/*/charsets/Index.*'",
        "run it without --drop 'share/*/charsets/Index.*', or add --keep \
         'share/mysql/charsets/Index.xml'",
    );
}

#[test]
fn result_that_cannot_be_initialised_is_refused() {
    let empty = |tarball: Tarball, name: &str| tarball.file(name, 0o644, b"");
    let tables = |tarball| {
        [
            "mysql_system_tables",
            "mysql_system_tables_data",
            "fill_help_tables",
        ]
        .iter()
        .fold(tarball, |tarball, name| {
            empty(tarball, &format!("my-1/share/{name}.sql"))
        })
    };
    let lacks = |tarball, option: &str, what: &str, file: &str| {
        refuses(
            tarball,
            &["--drop", option],
            &format!("the result would lack its {what}: {file} is left out by --drop '{option}'"),
            &format!("run it without --drop '{option}', or add --keep '{file}'"),
        );
    };
    let (old, input) = (|| tables(server()), "initialiser's input");
    for file in ["mysql_system_tables_data", "fill_help_tables"] {
        let file = format!("share/{file}.sql");
        lacks(old(), &file, input, &file);
    }
    // 5.6's script is one way of two; the server reads its files by itself.
    let script = empty(old(), "my-1/scripts/mysql_install_db");
    let case = Case::new(&gzip(&script.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out", "--drop", "scripts"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // 5.7 has the tables built in.
    let new = empty(old(), "my-1/share/install_rewriter.sql");
    let case = Case::new(&gzip(&new.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out", "--drop", "share/*_tables*.sql"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let mariadb = || {
        let tarball = empty(old(), "my-1/share/mysql_performance_tables.sql")
            .file("my-1/scripts/mariadb-install-db", 0o755, b"#!/bin/sh\n")
            .symlink("my-1/scripts/mysql_install_db", "mariadb-install-db");
        empty(tarball, "my-1/share/mysql_sys_schema.sql")
    };
    let install = "scripts/mariadb-install-db";
    lacks(mariadb(), "scripts", "initialiser", install);
    lacks(mariadb(), install, "initialiser", install);
    for file in ["mysql_sys_schema", "mysql_performance_tables"] {
        let file = format!("share/{file}.sql");
        lacks(mariadb(), &file, input, &file);
    }
}

/// repack itself, linked dynamically, with one library it needs replaced by one of as long a name.
fn needing(library: &[u8; 9]) -> Vec<u8> {
    let mut elf = fs::read(assert_cmd::cargo::cargo_bin!("repack")).unwrap();
    let name = elf.windows(10).position(|bytes| bytes == b"libm.so.6\0");
    // The mathematical library.
    let name = name.unwrap();
    elf[name..name + library.len()].copy_from_slice(library);
    elf
}

#[test]
fn result_without_a_library_that_something_loads_is_refused() {
    let with = |program: &str, library: &str| {
        server()
            .file(&format!("my-1/{program}"), 0o755, &needing(b"libx.so.9"))
            .file(&format!("my-1/{library}"), 0o644, b"library")
    };
    // In every usual place, and with --no-strip too.
    for (program, library) in [
        ("bin/mysql", "lib/libx.so.9"),
        ("bin/mysql", "lib64/libx.so.9"),
        ("lib/plugin/auth.so", "lib/private/libx.so.9"),
        ("lib/mysql/plugin/auth.so", "lib/mysql/libx.so.9"),
    ] {
        let problem = format!(
            "the result would lack libx.so.9, which {program} needs: {library} is left out by \
             --drop '**/libx*'"
        );
        let next = format!("run it without --drop '**/libx*', or add --keep '{library}'");
        for more in [
            &["--drop", "**/libx*"][..],
            &["--no-strip", "--drop", "**/libx*"],
        ] {
            refuses(with(program, library), more, &problem, &next);
        }
    }
    // The name is there; what it leads to is not.
    let linked = with("bin/mysql", "lib/libx.so.9.1").symlink("my-1/lib/libx.so.9", "libx.so.9.1");
    refuses(
        linked,
        &["--drop", "lib/*.9.1"],
        "the result would lack libx.so.9, which bin/mysql needs: lib/libx.so.9.1 is left out by \
         --drop 'lib/*.9.1'",
        "run it without --drop 'lib/*.9.1', or add --keep 'lib/libx.so.9.1'",
    );
    // The profile itself is to blame.
    let static_named = with("bin/mysql", "lib/libx.so.9-debug.so")
        .symlink("my-1/lib/libx.so.9", "libx.so.9-debug.so");
    refuses(
        static_named,
        &[],
        "the result would lack libx.so.9, which bin/mysql needs: lib/libx.so.9-debug.so is left \
         out by the profile (debug build)",
        "add --keep 'lib/libx.so.9-debug.so'",
    );
    // Whoever needs it is left out too.
    let case = Case::new(&gzip(&with("bin/mysql", "lib/libx.so.9").bytes()));
    let both = ["--drop", "lib/libx*", "--drop", "bin/mysql"];
    let output = case.run(&[&["in.tar.gz", "-o", "out"][..], &both].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn library_that_the_vendor_never_packed_is_told_once_unless_systems_have_it() {
    let input = |library| {
        server()
            .file("my-1/bin/mysql", 0o755, &needing(library))
            .file("my-1/bin/mysqldump", 0o755, &needing(library))
            .bytes()
    };
    for (library, note) in [
        (
            b"libx.so.9",
            "- bin/mysql needs libx.so.9, which is not in the tarball\n",
        ),
        (b"libm.so.6", ""),
    ] {
        let case = Case::new(&gzip(&input(library)));
        let output = case.run(&["in.tar.gz", "-o", "out", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), note);
    }
}
