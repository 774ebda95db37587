//! Tarballs that builder must refuse, and disks that are too small for a good one: the message is
//! exact, and nothing of ours is left over.

mod service;

use std::fs;
use std::path::Path;
use std::process::Command;
use testbed::sandbox;

use sandbox::in_mount_namespace;
use service::{
    BUILDER, Row, SCRIPT, TOP, builder, gzip, members, refused, repackable, service, tarball,
    vendors, xz,
};
use tar::EntryType;

/// What builder says of a member whose size is not right.
const LYING: &str = "builder: error: cannot read {dir}/code/hooks/m.tar.gz to its end\n  \
    cause: a gzip member is not what it records about itself\n  \
    next: fetch the tarball again (it is cut short or damaged), compare its checksum with the \
    vendor's, push again\n";

/// What builder says of `m.tar.gz`, when its content is `bytes`.
#[track_caller]
fn assert_refuses(bytes: &[u8], stderr: &str) {
    let sandbox = service();
    sandbox.write("code/hooks/m.tar.gz", bytes);
    let stderr = format!("- tarball {{dir}}/code/hooks/m.tar.gz\n{stderr}");
    refused(&sandbox, &mut builder(&sandbox), &stderr);
}

/// The same of a tarball that was packed in one piece and of one that repack packed.
#[track_caller]
fn assert_refuses_packed(plain: &[u8], stderr: &str) {
    assert_refuses(&gzip(plain), stderr);
    assert_refuses(&members(plain, 1_000), stderr);
}

#[test]
fn truncated_tarball_is_refused_wherever_it_was_cut() {
    let plain = vendors(SCRIPT.as_bytes());
    let (gz, xz, parts) = (gzip(&plain), xz(&plain), members(&plain, 50_000));
    // Where the third member begins: the archive is cut between two members.
    let between = members(&plain[..100_000], 50_000).len();
    let (stream, end) = ("incomplete deflate stream", "unexpected end of file");
    let cases = [
        (&gz, 20, stream, "in the first block"),
        (&gz, gz.len() / 4, stream, "in the middle of a file"),
        (&gz, gz.len() / 2, stream, "in the middle of a file"),
        (&gz, gz.len() - 9, stream, "at the end of the data"),
        (&gz, gz.len() - 1, end, "in the checksum"),
        (&xz, 20, end, "in the first block"),
        (&xz, xz.len() / 2, end, "in the middle of a file"),
        (&xz, xz.len() - 9, end, "in the index"),
        (&xz, xz.len() - 1, end, "in the footer"),
        (&parts, 20, end, "in the first member's header"),
        (&parts, parts.len() / 2, end, "in a member"),
        (&parts, between, end, "between two members"),
        (&parts, parts.len() - 1, end, "in the last checksum"),
    ];
    for (whole, cut, cause, reason) in cases {
        eprintln!("cut {reason}");
        assert_refuses(
            &whole[..cut],
            &format!(
                "builder: error: cannot read {{dir}}/code/hooks/m.tar.gz to its end\n  \
                 cause: {cause}\n  \
                 next: fetch the tarball again (it is cut short or damaged), compare its \
                 checksum with the vendor's, push again\n"
            ),
        );
    }
}

#[test]
fn members_that_lie_about_their_size_are_refused() {
    let parts = members(&vendors(SCRIPT.as_bytes()), 50_000);
    let second = members(&vendors(SCRIPT.as_bytes())[..50_000], 50_000).len();
    for (size, reason) in [
        (0_u32, "less than a header"),
        (1 << 16, "into the next member"),
        (u32::MAX, "more than memory has room for"),
    ] {
        eprintln!("{reason}");
        let mut wrong = parts.clone();
        wrong[second + 16..][..4].copy_from_slice(&size.to_le_bytes());
        assert_refuses(&wrong, LYING);
    }
}

/// Were the two to disagree about the format, nothing would show but the time: any gunzip reads it.
#[test]
fn members_of_repack_itself_are_known_as_such() {
    let repack = Path::new(BUILDER).with_file_name("repack");
    let hint = "'cargo test --workspace' builds it, as does 'cargo build -p repack'";
    assert!(repack.is_file(), "no {}: {hint}", repack.display());
    let dir = tempfile::tempdir().unwrap();
    let (vendors_, small) = (dir.path().join("v.tar.gz"), dir.path().join("s.tar.gz"));
    fs::write(&vendors_, gzip(&repackable())).unwrap();
    let mut command = Command::new(repack);
    command.arg("-o").arg(&small).arg(&vendors_);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut bytes = fs::read(&small).unwrap();
    assert_eq!(bytes[..16], members(b"x", 1)[..16]);
    // Who does not know the field cannot mind.
    bytes[16..20].fill(0);
    assert_refuses(&bytes, LYING);
}

#[test]
fn what_is_no_tarball_is_refused() {
    let again = "compare its size and checksum with the vendor's, and download it again";
    let neither = "not a .tar, .tar.gz, .tar.xz or .tar.zst";
    let rows: [(&[u8], String, &str); 4] = [
        (b"", "is empty".into(), again),
        (b"hello", format!("is {neither}"), again),
        (
            b"\xef\xbb\xbf<html>Not found</html>",
            format!("is a web page, {neither}"),
            "open it to see why the vendor sent it; download the tarball again",
        ),
        (
            &gzip(&gzip(&vendors(SCRIPT.as_bytes()))),
            "is compressed twice".into(),
            "inflate it once, for example with 'gzip -dc FILE >NAME.tar.gz', and take what comes out",
        ),
    ];
    for (bytes, what, next) in rows {
        assert_refuses(
            bytes,
            &format!("builder: error: {{dir}}/code/hooks/m.tar.gz {what}\n  next: {next}\n"),
        );
    }
}

#[test]
fn tarball_that_inflates_to_more_than_it_may_is_refused() {
    let sandbox = service();
    sandbox.write("code/hooks/m.tar.gz", gzip(&vendors(SCRIPT.as_bytes())));
    refused(
        &sandbox,
        builder(&sandbox).env("MYSQL_TARBALL_MAX_SIZE", "100K"),
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: {dir}/code/hooks/m.tar.gz inflates to more than 102400 bytes\n  \
         next: if it is the vendor's (compare its checksum), allow more with \
         MYSQL_TARBALL_MAX_SIZE, push again\n",
    );
}

#[test]
fn entries_that_leave_the_directory_are_refused() {
    let server = format!("{TOP}/bin/mysqld");
    let server: Row<'_> = (EntryType::Regular, &server, SCRIPT.as_bytes());
    let (up, link) = (format!("{TOP}/../../../out"), format!("{TOP}/up"));
    let again = "fetch the tarball again from the vendor and compare its checksum";
    let drop = "'repack --drop PATH FILE' leaves it out, its path below the top directory, if you trust the \
                rest; push that";
    let leads_out = "leads out of the directory";
    let cases: [(Row<'_>, &str, &str); 4] = [
        ((EntryType::Regular, &up, b"x"), leads_out, again),
        ((EntryType::Regular, "/tmp/out", b"x"), leads_out, again),
        (
            (EntryType::Symlink, &link, b"/etc"),
            "is a symbolic link to an absolute path",
            drop,
        ),
        (
            (EntryType::Symlink, &link, b"../../.."),
            "is a symbolic link out of the tarball",
            drop,
        ),
    ];
    for (row, why, next) in cases {
        assert_refuses_packed(
            &tarball(&[server, row]),
            &format!(
                "builder: error: the tarball's entry '{}' {why}\n  \
                 next: {next}\n",
                row.1
            ),
        );
    }
}

/// What people put there instead, in the words that repack has for it.
#[test]
fn archive_of_something_else_is_told_for_what_it_is() {
    let linux = "download the vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz";
    let take_out = "take the server's out: 'repack FILE' does where they are not in a directory; else \
                    unpack it";
    let around = "unpack it, and pack the directory that holds bin, lib and share with 'tar czf \
                  NAME.tar.gz DIRECTORY'";
    let mac = "take the vendor's own file, or pack it with 'COPYFILE_DISABLE=1 tar czf NAME.tar.gz \
               DIRECTORY'";
    let rows = [
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
            "m/bin/mysql",
            "holds clients, such as m/bin/mysql, and no server",
            linux,
        ),
        (
            "mysql-9.tar.xz",
            "holds tarballs, such as mysql-9.tar.xz, and no server itself",
            take_out,
        ),
        (
            "server-9.x86_64.rpm",
            "is a bundle of packages, such as server-9.x86_64.rpm",
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
        ("._m", "was packed on a Mac, which added ._m", mac),
    ];
    for (name, what, next) in rows {
        // With and without something behind that is in another directory.
        let other: Row<'_> = (EntryType::Regular, "other/x", b"x");
        let entry: Row<'_> = (EntryType::Regular, name, b"x");
        for entries in [vec![entry], vec![entry, other]] {
            assert_refuses_packed(
                &tarball(&entries),
                &format!("builder: error: {{dir}}/code/hooks/m.tar.gz {what}\n  next: {next}\n"),
            );
        }
    }
}

/// Where the C library finds no format that the kernel runs, it calls a shell.
#[test]
fn server_for_another_system_is_refused_and_no_shell_runs_it() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let linux = "download the vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz";
    let rows: [(&[u8], &str); 4] = [
        (b"\xcf\xfa\xed\xfe", "is for macOS, as its bin/mysqld shows"),
        (b"\xca\xfe\xba\xbe", "is for macOS, as its bin/mysqld shows"),
        (b"MZ", "is for Windows, as its bin/mysqld shows"),
        (
            b"",
            "has a bin/mysqld that is neither a program for Linux nor a script",
        ),
    ];
    for (magic, what) in rows {
        let text = format!("\ntouch '{}'; exit 0\n", trace.display());
        let server = [magic, text.as_bytes()].concat();
        assert_refuses_packed(
            &vendors(&server),
            &format!(
                "- unpacked 4 files, 0 MB\n\
                 builder: error: {{dir}}/code/hooks/m.tar.gz {what}\n  next: {linux}\n"
            ),
        );
        assert!(!trace.exists(), "a shell ran it");
    }
}

#[test]
fn tarball_of_another_architecture_is_refused() {
    let mut elf = fs::read("/bin/sh").unwrap();
    // e_machine, at offset 18 (elf(5)).
    let (machine, name) = if cfg!(target_arch = "x86_64") {
        (183_u16, "aarch64")
    } else {
        (62, "x86_64")
    };
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    let here = std::env::consts::ARCH;
    assert_refuses_packed(
        &vendors(&elf),
        &format!(
            "- unpacked 4 files, 0 MB\n\
             builder: error: the server is for {name}, and this machine is {here}\n  \
             next: put the vendor's tarball for Linux on {here} there, push again\n"
        ),
    );
}

#[test]
fn missing_library_is_refused_with_its_package() {
    for (library, package) in [
        ("libtinfo.so.5", "package libtinfo5"),
        ("libx.so.9", "'apt-file search libx.so.9' names the package"),
    ] {
        let mut elf = fs::read("/bin/sh").unwrap();
        let at = elf.windows(10).position(|w| w == b"libc.so.6\0");
        // Over the names that follow, too: nobody runs it.
        let named = format!("{library}\0");
        elf[at.unwrap()..][..named.len()].copy_from_slice(named.as_bytes());
        assert_refuses_packed(
            &vendors(&elf),
            &format!(
                "- unpacked 4 files, 0 MB\n\
                 builder: error: the server needs {library}, which neither the tarball nor this \
                 system has\n  | {library}: {package}\n  \
                 next: list the packages that have them under systempackages in dotcloud.yml, \
                 push again\n"
            ),
        );
    }
}

#[test]
fn full_disk_leaves_nothing_and_the_next_run_succeeds() {
    let sandbox = service();
    sandbox.write(
        "code/hooks/m.tar.gz",
        members(&vendors(SCRIPT.as_bytes()), 1_000),
    );
    let mut command = in_mount_namespace(
        "mount -t tmpfs -o size=128k,mode=0777 none \"$HOME\"\n\
         $AS_USER \"$BUILDER\" || echo \"status $?\" >&2\n\
         find \"$HOME\" -mindepth 1 >&2\n\
         mount --options-mode ignore -o remount,size=64m \"$HOME\"\n\
         $AS_USER \"$BUILDER\"\n\
         find \"$HOME\" -name '.*' >&2\n",
    );
    command
        .env("HOME", sandbox.home())
        .env("SERVICE_APPROOT", "hooks")
        .env("BUILDER", BUILDER)
        .current_dir(sandbox.code());
    let outcome = sandbox.outcome(&mut command);
    assert_eq!(
        outcome.stderr,
        format!(
            "builder 0.1.0\n\
             - tarball {{dir}}/code/hooks/m.tar.gz\n\
             builder: error: cannot unpack '{TOP}/share/big'\n  \
             cause: no space left on device (os error 28)\n  \
             next: make room on the disk, or make it writable for this user, push again\n\
             status 1\n\
             builder 0.1.0\n\
             - tarball {{dir}}/code/hooks/m.tar.gz\n\
             - unpacked 4 files, 0 MB\n\
             - found MySQL 9.7.4, as the server itself says\n\
             - no time zone tables: the tarball has no mysql_tzinfo_to_sql\n\
             - initialised a database, root locked, as the seed of every first start: 0 kB\n\
             - MySQL 9.7.4 is ready in {{dir}}/home\n"
        )
    );
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn read_only_home_is_refused() {
    let sandbox = service();
    sandbox.write("code/hooks/m.tar.gz", gzip(&vendors(SCRIPT.as_bytes())));
    let mut command = in_mount_namespace(
        "mount -t tmpfs -o ro none \"$HOME\"\n\
         exec $AS_USER \"$BUILDER\"\n",
    );
    command
        .env("HOME", sandbox.home())
        .env("SERVICE_APPROOT", "hooks")
        .env("BUILDER", BUILDER)
        .current_dir(sandbox.code());
    refused(
        &sandbox,
        &mut command,
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: cannot prepare {dir}/home/mysql/releases\n  \
         cause: read-only file system (os error 30)\n  \
         next: make room on the disk, or make it writable for this user, push again\n",
    );
}
