//! Input that is refused: cut off, corrupt, no tarball, hostile.

use std::fs;

use tar::EntryType;

use crate::tarball::{Tarball, gzip, vendor, xz, zstd};
use crate::{Case, text};

const AGAIN: &str = "compare its size and checksum with the vendor's, and download it again";
const FAKE: &str =
    "do not unpack it either: get the tarball from the vendor, and compare its checksum";
const DROP: &str =
    "leave it out with --drop and its path below the top directory, if you trust the rest";
const TOP: &str = "pack one directory that holds bin, lib and share";

#[test]
fn cut_off_anywhere_is_refused() {
    let tar = vendor().bytes();
    let (first, second) = tar.split_at(2048);
    // Within a content, a header, at an entry's end, before the archive's: the gzip is whole.
    let ends = [3 * 512 - 509, 512 + 100, 3 * 512, tar.len() - 1024];
    let mut inputs: Vec<Vec<u8>> = ends.iter().map(|end| gzip(&tar[..*end])).collect();
    inputs.push(gzip(first));
    inputs.extend(ends.map(|end| tar[..end].to_vec()));
    let members = [gzip(first), gzip(second)].concat();
    let frames = [zstd(first), zstd(second)].concat();
    for whole in [gzip(&tar), xz(&tar), zstd(&tar), members, frames] {
        for end in [20, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            inputs.push(whole[..end].to_vec());
        }
    }
    for input in inputs {
        let stderr = format!("repack: error: in.tar.gz is cut off\n  next: {AGAIN}\n");
        Case::new(&input).refuses(&[], &stderr);
    }
}

#[test]
fn corrupt_is_refused_with_the_cause() {
    let tar = vendor().bytes();
    let mut checksum = gzip(&tar);
    let at = checksum.len() - 6;
    checksum[at] ^= 1;
    let mut block = xz(&tar);
    let middle = block.len() / 2;
    block[middle] ^= 0xff;
    let mut header = tar.clone();
    header[512 + 3] ^= 1;
    let garbage = b"some more garbage";
    let mut frame = zstd(&tar);
    let last = frame.len() - 40;
    frame[last] ^= 0xff;
    let rows = [
        (
            checksum,
            "corrupt gzip stream does not have a matching checksum",
        ),
        (block, "lzma data error"),
        (gzip(&header), "archive header checksum mismatch"),
        (header, "archive header checksum mismatch"),
        ([&gzip(&tar), &garbage[..]].concat(), "invalid gzip header"),
        ([&xz(&tar), &garbage[..]].concat(), "lzma data error"),
        (
            [&zstd(&tar), &garbage[..]].concat(),
            "unknown frame descriptor",
        ),
        (frame, "data corruption detected"),
    ];
    for (input, cause) in rows {
        let stderr =
            format!("repack: error: in.tar.gz is corrupt\n  cause: {cause}\n  next: {AGAIN}\n");
        Case::new(&input).refuses(&[], &stderr);
    }
}

#[test]
fn no_tarball_is_refused_with_what_it_is() {
    let tarball = "pass the vendor's binary tarball (linux-generic, not the source)";
    let zip = "vendors ship zip for Windows only: download 'Linux - Generic', a .tar.xz or .tar.gz";
    let page = "open it to see why the vendor sent it; download the tarball again";
    let neither = "not a .tar, .tar.gz, .tar.xz or .tar.zst";
    let rows: &[(Vec<u8>, String, &str)] = &[
        (vec![], "is empty".into(), AGAIN),
        (b"hello".to_vec(), format!("is {neither}"), AGAIN),
        (
            b"<html>".to_vec(),
            format!("is a web page, {neither}"),
            page,
        ),
        (
            b"PK\x03\x04".to_vec(),
            format!("is a zip file, {neither}"),
            zip,
        ),
        (vec![0; 10240], format!("is {neither}"), AGAIN),
        (
            gzip(b"hello"),
            "does not hold a tar archive".into(),
            tarball,
        ),
        (
            gzip(&[b'x'; 3000]),
            "does not hold a tar archive".into(),
            tarball,
        ),
        (gzip(&[0; 10240]), "holds no files".into(), tarball),
        (gzip(b""), "holds no files".into(), tarball),
    ];
    for (input, problem, next) in rows {
        let stderr = format!("repack: error: in.tar.gz {problem}\n  next: {next}\n");
        Case::new(input).refuses(&[], &stderr);
    }
}

#[test]
fn what_comes_instead_of_tarballs_is_told_for_what_it_is() {
    let page = "open it to see why the vendor sent it; download the tarball again";
    let neither = "not a .tar, .tar.gz, .tar.xz or .tar.zst";
    let instead =
        "download the vendor's binary tarball instead: 'Linux - Generic', a .tar.xz or .tar.gz";
    let once =
        "inflate it once, for example with 'gzip -dc FILE >NAME.tar.gz', and take what comes out";
    let rows: &[(Vec<u8>, String, &str)] = &[
        (
            b"\xef\xbb\xbf<html>".to_vec(),
            format!("is a web page, {neither}"),
            page,
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            format!("is a Git LFS pointer, not the file, {neither}"),
            "run 'git lfs pull'",
        ),
        (
            b"!<arch>\ndebian-binary".to_vec(),
            format!("is a Debian package, {neither}"),
            instead,
        ),
        (
            gzip(b"<html>"),
            "holds a web page, not a tar archive".into(),
            page,
        ),
        (
            gzip(&gzip(&vendor().bytes())),
            "is compressed twice".into(),
            once,
        ),
    ];
    for (input, problem, next) in rows {
        let stderr = format!("repack: error: in.tar.gz {problem}\n  next: {next}\n");
        Case::new(input).refuses(&[], &stderr);
    }
}

#[test]
fn not_to_be_opened_is_refused() {
    let case = Case::new(b"");
    fs::create_dir(case.path("directory")).unwrap();
    let run = |input: &str| {
        let output = case.run(&[input]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr).to_owned()
    };
    assert_eq!(
        run("absent"),
        "repack: error: cannot open absent\n  cause: no such file or directory (os error 2)\n  \
         next: check the path and its permissions\n"
    );
    assert_eq!(
        run("directory"),
        "repack: error: directory is not a regular file\n  \
         next: pass the tarball itself, not what was unpacked from it\n"
    );
    assert_eq!(case.files(), ["directory", "in.tar.gz"]);
}

#[test]
fn xz_that_wants_too_much_memory_is_refused() {
    let mut options = xz2::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(256 << 20);
    // The header promises the large dictionary; raw LZMA2 filters need no such memory to write.
    let mut filters = xz2::stream::Filters::new();
    filters.lzma2(&options);
    let check = xz2::stream::Check::Crc32;
    let stream = xz2::stream::Stream::new_stream_encoder(&filters, check).unwrap();
    let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
    std::io::Write::write_all(&mut encoder, &vendor().bytes()).unwrap();
    Case::new(&encoder.finish().unwrap()).refuses(
        &[],
        "repack: error: in.tar.gz needs more than 128 MiB of memory to inflate\n  \
         next: recompress it: 'zstd -dc --long=31 FILE', or 'xz -dc FILE', piped into 'gzip >NAME.tar.gz'\n",
    );
}

#[test]
fn zstd_that_wants_too_much_memory_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_contentsize(false).unwrap();
    std::io::Write::write_all(&mut encoder, &vendor().bytes()).unwrap();
    Case::new(&encoder.finish().unwrap()).refuses(
        &[],
        "repack: error: in.tar.gz needs more than 128 MiB of memory to inflate\n  \
         next: recompress it: 'zstd -dc --long=31 FILE', or 'xz -dc FILE', piped into 'gzip >NAME.tar.gz'\n",
    );
}

fn server() -> Tarball {
    Tarball::new()
        .share()
        .file("my-1/bin/mysqld", 0o755, b"server")
}

#[track_caller]
fn refuses_entry(tarball: Tarball, problem: &str, next: &str) {
    let stderr = format!("repack: error: in.tar.gz: {problem}\n  next: {next}\n");
    Case::new(&gzip(&tarball.bytes())).refuses(&[], &stderr);
}

#[test]
fn entry_with_a_hostile_name_is_refused() {
    let rows = [
        ("/etc/passwd", "entry '/etc/passwd' is an absolute path"),
        ("my-1/../../x", "entry 'my-1/../../x' contains '..'"),
        (
            "my-1/mysql-test/../x",
            "entry 'my-1/mysql-test/../x' contains '..'",
        ),
        (
            "my-1/\u{1b}[2J/../b",
            "entry 'my-1/\\u{1b}[2J/../b' contains '..'",
        ),
    ];
    for (name, problem) in rows {
        refuses_entry(server().file(name, 0o644, b"x"), problem, FAKE);
    }
}

#[test]
fn link_leading_out_is_refused() {
    let problem = |to: &str| {
        format!("entry 'my-1/a/b' is a link to '{to}', which is not in the top directory")
    };
    for to in [
        "/etc/passwd",
        "../../../etc/passwd",
        "x/../../../etc",
        "../..",
    ] {
        refuses_entry(server().symlink("my-1/a/b", to), &problem(to), DROP);
    }
    // By its text it stays inside; by way of the other link it does not.
    let chained = server()
        .symlink("my-1/x/y/d", "../../bin")
        .symlink("my-1/a/b", "../x/y/d/../..");
    refuses_entry(chained, &problem("../x/y/d/../.."), DROP);
    for to in ["/etc/passwd", "my-1/../x", "other/x"] {
        refuses_entry(server().hard_link("my-1/a/b", to), &problem(to), DROP);
    }
}

#[test]
fn entry_of_a_kind_no_server_needs_is_refused() {
    let rows = [
        (EntryType::Fifo, "a named pipe"),
        (EntryType::Char, "a character device"),
        (EntryType::Block, "a block device"),
        (EntryType::new(b'M'), "of an unknown type"),
    ];
    for (kind, what) in rows {
        let problem = format!("entry 'my-1/x' is {what}");
        refuses_entry(server().special("my-1/x", kind), &problem, DROP);
    }
    let sparse = server().pax("my-1/x", "GNU.sparse.major", "1", b"x");
    refuses_entry(sparse, "entry 'my-1/x' is a sparse file", DROP);
}

#[test]
fn entries_that_make_no_tree_are_refused() {
    let top = "a server tarball has one top directory";
    let below = "is below something that is not a directory";
    let nothing = "is a hard link to 'my-1/later', which is no file before it";
    let file = |name: &str| server().file(name, 0o644, b"x");
    let rows = [
        (
            file("my-1/bin/mysqld"),
            "entry 'my-1/bin/mysqld' is there twice".into(),
            AGAIN,
        ),
        (
            file("my-1/bin/mysqld/x"),
            format!("entry 'my-1/bin/mysqld/x' {below}"),
            AGAIN,
        ),
        (
            server()
                .symlink("my-1/l", "bin")
                .file("my-1/l/x", 0o644, b""),
            format!("entry 'my-1/l/x' {below}"),
            AGAIN,
        ),
        (
            server().symlink("my-1/l", ""),
            "entry 'my-1/l' is a link without a target".into(),
            AGAIN,
        ),
        (
            server().hard_link("my-1/l", "my-1/later"),
            format!("entry 'my-1/l' {nothing}"),
            AGAIN,
        ),
        (
            file("other/x"),
            format!("entry 'other/x' is not in 'my-1': {top}"),
            TOP,
        ),
        (
            file("x"),
            format!("entry 'x' is not in a directory: {top}"),
            TOP,
        ),
    ];
    for (tarball, problem, next) in rows {
        refuses_entry(tarball, &problem, next);
    }
}

#[test]
fn hard_link_to_something_dropped_names_both_and_the_ways_out() {
    let input = server()
        .file("my-1/bin/mysqltest", 0o755, b"tester")
        .hard_link("my-1/bin/tester", "my-1/bin/mysqltest");
    let case = Case::new(&gzip(&input.bytes()));
    case.refuses(
        &[],
        "repack: error: in.tar.gz: entry 'my-1/bin/tester' is a hard link to \
         'bin/mysqltest', which is left out\n  \
         next: keep both with --keep 'bin/mysqltest', or leave out both with --drop 'bin/tester'\n",
    );
    for way_out in [["--keep", "bin/mysqltest"], ["--drop", "bin/tester"]] {
        let output = case.run(&[&["in.tar.gz"][..], &way_out].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn archive_that_goes_on_after_its_end_is_refused() {
    let input = [vendor().bytes(), vec![b'x'; 512]].concat();
    let stderr =
        format!("repack: error: in.tar.gz: the archive goes on after its end\n  next: {FAKE}\n");
    Case::new(&gzip(&input)).refuses(&[], &stderr);
}
