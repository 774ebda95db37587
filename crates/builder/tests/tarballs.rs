//! Tarballs that builder must refuse, and disks that are too small for a good one: the message is
//! exact, and nothing of ours is left over.

#[path = "../../hook/tests/sandbox/mod.rs"]
mod sandbox;
mod service;

use std::fs;

use sandbox::in_mount_namespace;
use service::{BUILDER, Row, SCRIPT, TOP, builder, gzip, refused, service, tarball, vendors, xz};
use tar::EntryType;

/// What builder says of `m.tar.gz`, when its content is `bytes`.
#[track_caller]
fn assert_refuses(bytes: &[u8], stderr: &str) {
    let sandbox = service();
    sandbox.write("code/hooks/m.tar.gz", bytes);
    let stderr = format!("- tarball {{dir}}/code/hooks/m.tar.gz\n{stderr}");
    refused(&sandbox, &mut builder(&sandbox), &stderr);
}

#[test]
fn truncated_tarball_is_refused_wherever_it_was_cut() {
    let plain = vendors(SCRIPT.as_bytes());
    let (gz, xz) = (gzip(&plain), xz(&plain));
    let (stream, end) = ("incomplete deflate stream", "unexpected end of file");
    let xz_end = "premature eof";
    let cases = [
        (&gz, 20, stream, "in the first block"),
        (&gz, gz.len() / 4, stream, "in the middle of a file"),
        (&gz, gz.len() / 2, stream, "in the middle of a file"),
        (&gz, gz.len() - 9, stream, "at the end of the data"),
        (&gz, gz.len() - 1, end, "in the checksum"),
        (&xz, 20, xz_end, "in the first block"),
        (&xz, xz.len() / 2, xz_end, "in the middle of a file"),
        (&xz, xz.len() - 9, xz_end, "in the index"),
        (&xz, xz.len() - 1, xz_end, "in the footer"),
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
fn what_is_no_tarball_is_refused() {
    for bytes in [&b""[..], b"<html>Not found</html>"] {
        assert_refuses(
            bytes,
            "builder: error: {dir}/code/hooks/m.tar.gz is neither a .tar.gz nor a .tar.xz\n  \
             next: put the vendor's Linux tarball there; a download page saved under its name is \
             the usual mistake\n",
        );
    }
}

#[test]
fn entries_that_leave_the_directory_are_refused() {
    let server = format!("{TOP}/bin/mysqld");
    let server: Row<'_> = (EntryType::Regular, &server, SCRIPT.as_bytes());
    let (up, link) = (format!("{TOP}/../../../out"), format!("{TOP}/up"));
    let cases: [(Row<'_>, &str); 4] = [
        (
            (EntryType::Regular, &up, b"x"),
            "leads out of the directory",
        ),
        (
            (EntryType::Regular, "/tmp/out", b"x"),
            "leads out of the directory",
        ),
        (
            (EntryType::Symlink, &link, b"/etc"),
            "is a symbolic link to an absolute path",
        ),
        (
            (EntryType::Symlink, &link, b"../../.."),
            "is a symbolic link out of the tarball",
        ),
    ];
    for (row, why) in cases {
        assert_refuses(
            &gzip(&tarball(&[server, row])),
            &format!(
                "builder: error: the tarball's entry '{}' {why}\n  \
                 next: no vendor's tarball has that: fetch it again from the vendor and compare \
                 its checksum\n",
                row.1
            ),
        );
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
    assert_refuses(
        &gzip(&vendors(&elf)),
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
        assert_refuses(
            &gzip(&vendors(&elf)),
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
    sandbox.write("code/hooks/m.tar.gz", gzip(&vendors(SCRIPT.as_bytes())));
    let mut command = in_mount_namespace(
        "mount -t tmpfs -o size=128k,mode=0777 none \"$HOME\"\n\
         $AS_USER \"$BUILDER\" || echo \"status $?\" >&2\n\
         find \"$HOME\" -mindepth 1 >&2\n\
         mount --options-mode ignore -o remount,size=16m \"$HOME\"\n\
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
