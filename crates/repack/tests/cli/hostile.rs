//! Input made to exhaust memory or a disk, or to be read differently by different programs.

use tar::EntryType;

use crate::tarball::{KEPT, Tarball, contents, gzip, vendor, xz, zstd};
use crate::{Case, text};

const AGAIN: &str = "compare its size and checksum with the vendor's, and download it again";

fn server() -> Tarball {
    Tarball::new()
        .share()
        .file("my-1/bin/mysqld", 0o755, b"server")
}

#[track_caller]
fn is_corrupt(tarball: Tarball, cause: &str) {
    let stderr =
        format!("repack: error: in.tar.gz is corrupt\n  cause: {cause}\n  next: {AGAIN}\n");
    Case::new(&gzip(&tarball.bytes())).refuses(&[], &stderr);
}

#[test]
fn bomb_is_refused_at_the_size_allowed() {
    let bomb = Tarball::new()
        .share()
        .file("my-1/bin/mysqld", 0o755, b"server")
        .file("my-1/zeros", 0o644, &vec![0; 8 << 20])
        .bytes();
    let refused = |limit: &str, bytes: u64| {
        let stderr = format!(
            "repack: error: in.tar.gz inflates to more than {bytes} bytes\n  next: if it is the \
             vendor's (compare its checksum), allow more with --max-size BYTES\n"
        );
        for input in [gzip(&bomb), xz(&bomb), zstd(&bomb)] {
            Case::new(&input).refuses(&["--max-size", limit], &stderr);
        }
    };
    refused("4M", 4 << 20);
    refused("1600", 1600);
    // Zeros behind the archive's end are no way around.
    let tail = [server().bytes(), vec![0; 1 << 20]].concat();
    let stderr = "repack: error: in.tar.gz inflates to more than 65536 bytes\n  next: if it is \
                  the vendor's (compare its checksum), allow more with --max-size BYTES\n";
    Case::new(&gzip(&tail)).refuses(&["--max-size", "64K"], stderr);
    // Neither is an outer archive, nor the wrapped one.
    let inner = gzip(&bomb);
    let outer = Tarball::new().file("mysql-8.tar.gz", 0o644, &inner).bytes();
    let stderr = stderr.replace("65536", "1048576");
    Case::new(&outer).refuses(&["--max-size", "1M"], &stderr);
    let allowed = Case::new(&gzip(&bomb)).run(&["in.tar.gz", "-o", "out", "--max-size", "1G"]);
    assert!(allowed.status.success(), "{}", text(&allowed.stderr));
}

#[test]
fn extension_larger_than_any_name_is_refused_unread() {
    let giga = 4 << 30;
    for kind in [EntryType::GNULongName, EntryType::GNULongLink] {
        is_corrupt(
            server().promising(kind, giga, b"x"),
            "a name longer than 4096 bytes",
        );
    }
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader] {
        is_corrupt(
            server().promising(kind, giga, b"x"),
            "a PAX header larger than 1 MiB",
        );
    }
    let long = format!("my-1/{}", "n".repeat(4096));
    is_corrupt(
        server().pax("my-1/x", "path", &long, b""),
        "a name longer than 4096 bytes",
    );
}

#[test]
fn extensions_that_contradict_themselves_are_refused() {
    let twice = "two headers for the same extension of one entry";
    let name = EntryType::GNULongName;
    is_corrupt(
        server()
            .promising(name, 2, b"a\0")
            .promising(name, 2, b"b\0"),
        twice,
    );
    is_corrupt(
        server()
            .promising(EntryType::XHeader, 7, b"garbage")
            .file("my-1/x", 0o644, b""),
        "a malformed PAX header",
    );
    is_corrupt(
        server().promising(EntryType::XGlobalHeader, 15, b"15 path=my-1/x\n"),
        "a PAX header that gives every entry the same name or size",
    );
    // Of nothing: the archive ends with it.
    let stderr = format!("repack: error: in.tar.gz is cut off\n  next: {AGAIN}\n");
    let nothing = server().promising(name, 2, b"a\0").bytes();
    Case::new(&gzip(&nothing)).refuses(&[], &stderr);
}

#[test]
fn header_with_numbers_that_are_none_is_refused() {
    let with = |at: usize, value: &[u8]| {
        let mut tar = vendor().bytes();
        // The header of bin/mysqld, behind the top directory's.
        let header = &mut tar[512..1024];
        header[at..at + value.len()].copy_from_slice(value);
        let mut fixed = tar::Header::from_byte_slice(header).clone();
        fixed.set_cksum();
        header.copy_from_slice(fixed.as_bytes());
        tar
    };
    let number = "an archive header with a mode or time that is no number";
    let rows = [
        (with(100, b"rwxr-xr"), number),
        (with(136, b"yesterday"), number),
        (with(124, b"\x1b[2J"), "an archive header without a size"),
        // 2^63 bytes, in the base 256 of GNU tar.
        (
            with(124, &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            "an archive header without a size",
        ),
    ];
    for (tar, cause) in rows {
        let stderr =
            format!("repack: error: in.tar.gz is corrupt\n  cause: {cause}\n  next: {AGAIN}\n");
        Case::new(&gzip(&tar)).refuses(&[], &stderr);
    }
}

#[test]
fn size_in_a_pax_header_counts_and_cannot_hide_entries() {
    // A program that reads the header's size finds bin/evil; one that knows PAX finds one file.
    let hidden = Tarball::new().file("my-1/bin/evil", 0o755, b"").bytes();
    let content = [&[b'x'; 512][..], &hidden[..512]].concat();
    let mut input = server().pax("my-1/file", "size", "1024", &content).bytes();
    let header = input.len() - 1024 - 1024 - 512;
    let mut lying = tar::Header::from_byte_slice(&input[header..header + 512]).clone();
    lying.set_size(512);
    lying.set_cksum();
    input[header..header + 512].copy_from_slice(lying.as_bytes());
    let case = Case::new(&gzip(&input));
    let output = case.run(&["in.tar.gz", "--json", "--dry-run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["kept"]["files"], 4);
    assert_eq!(json["kept"]["bytes"], 6 + 1024);
}

#[test]
fn harmless_extensions_are_passed_over() {
    let comment = b"30 comment=made by a git hash\n";
    let input = Tarball::new()
        .promising(EntryType::XGlobalHeader, comment.len() as u64, comment)
        .pax("my-1/bin/mysqld", "mtime", "1600000000.25", b"server");
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "--keep", "bin", "-o", "out"]);
    // Read, and then refused for what it is: a server that cannot be executed.
    assert!(text(&output.stderr).contains("in.tar.gz has no server"));
    // What is left out is refused only for its name, be it a sparse file.
    let sparse = vendor().promising(EntryType::GNUSparse, 512, &[b'x'; 512]);
    let case = Case::new(&gzip(&sparse.bytes()));
    let output = case.run(&["in.tar.gz", "--drop", "promise", "-o", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(contents(&case.path("out")), KEPT);
}

#[test]
fn archive_of_too_many_names_is_refused() {
    // Each inflates to five kilobytes, from a few bytes of gzip.
    let long = "n".repeat(3500);
    let mut input = server();
    for n in 0..6000 {
        input = input.pax("my-1/x", "path", &format!("my-1/{long}{n}"), b"");
    }
    let stderr = "repack: error: in.tar.gz: entry";
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out"]);
    assert!(text(&output.stderr).starts_with(stderr));
    assert!(
        text(&output.stderr).contains("is one entry too many"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(case.files(), ["in.tar.gz"]);
}
