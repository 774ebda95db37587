//! What is unpacked from every kind of input, and what is refused whichever kind it comes in.

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::*;

type Row<'a> = (EntryType, &'a str, &'a str);

/// A tarball of rows: type, name, and link target or content.
fn tarball(rows: &[Row<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, text) in rows {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        // Past the checks of the tar crate, as an attacker would.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            ""
        } else {
            text
        };
        header.set_size(content.len() as u64);
        if *kind == EntryType::GNUSparse {
            header.as_gnu_mut().unwrap().set_real_size(0);
        }
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Enough for every good one here.
const MAX_SIZE: u64 = 8 << 20;

/// As repack writes it.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    with_window(bytes, 27)
}

fn with_window(bytes: &[u8], window: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks in `DIR/into`, so that whatever leaves it shows in `DIR`.
fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<Unpacked, UnpackError>) {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("into");
    fs::create_dir(&into).unwrap();
    fs::write(dir.path().join("m.tar"), bytes).unwrap();
    let limits = Limits {
        threads: NonZero::new(2).unwrap(),
        max_size: MAX_SIZE,
    };
    let result = unpack(&dir.path().join("m.tar"), &into, limits);
    (dir, result)
}

/// `plain` as gzip members of `length` bytes each.
fn members(plain: &[u8], length: usize) -> Vec<u8> {
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
    let pack = |piece| {
        let mut packed = Vec::new();
        ::tarball::member::pack(&mut compressor, piece, &mut packed).unwrap();
        packed
    };
    plain.chunks(length).flat_map(pack).collect()
}

/// The same tarball in every format; as members so small that each entry is in several.
fn packings(plain: &[u8]) -> [(&'static str, Vec<u8>); 7] {
    let (first, second) = plain.split_at(plain.len() / 2);
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(plain).unwrap();
    [
        ("plain", plain.to_owned()),
        ("gzip", gzip(plain)),
        ("two gzip members", [gzip(first), gzip(second)].concat()),
        ("repack's members", members(plain, 100)),
        ("xz", xz.finish().unwrap()),
        ("zstd", zstd(plain)),
        ("two zstd frames", [zstd(first), zstd(second)].concat()),
    ]
}

const FILE: Row<'static> = (EntryType::Regular, "m-1/bin/mysqld", "server");

#[test]
fn unpack_every_format_gives_the_same_tree() {
    let plain = tarball(&[
        (EntryType::Directory, "./m-1/", ""),
        FILE,
        (EntryType::Symlink, "m-1/bin/mariadbd", "mysqld"),
        (EntryType::Link, "m-1/bin/again", "m-1/bin/mysqld"),
    ]);
    for (format, bytes) in packings(&plain) {
        let (dir, result) = unpacked(&bytes);
        let unpacked = result.unwrap();
        assert_eq!(unpacked.top, dir.path().join("into/m-1"));
        for name in ["mysqld", "mariadbd", "again"] {
            let path = unpacked.top.join("bin").join(name);
            assert_eq!(fs::read(path).unwrap(), b"server", "{name} from {format}");
        }
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(unpacked.digest, digest, "{format}");
    }
}

/// Refused with that text in whatever format, and nothing left outside.
#[track_caller]
fn assert_refused(cases: &[(&[Row<'_>], &str)]) {
    for (rows, text) in cases {
        for (format, bytes) in packings(&tarball(rows)) {
            let (dir, result) = unpacked(&bytes);
            assert_eq!(&result.unwrap_err().to_string(), text, "{format}");
            let names = fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(names, 2, "only m.tar and into: {text} from {format}");
        }
    }
}

#[test]
fn unpack_hostile_entries_are_refused_by_name_and_leave_nothing_outside() {
    let cases: [(&[Row<'_>], &str); 9] = [
        (
            &[FILE, (EntryType::Regular, "m-1/../../out", "x")],
            "the tarball's entry 'm-1/../../out' leads out of the directory",
        ),
        (
            &[FILE, (EntryType::Regular, "/tmp/out", "x")],
            "the tarball's entry '/tmp/out' leads out of the directory",
        ),
        (
            &[FILE, (EntryType::Symlink, "m-1/etc", "/etc")],
            "the tarball's entry 'm-1/etc' is a symbolic link to an absolute path",
        ),
        (
            &[FILE, (EntryType::Symlink, "m-1/up", "../..")],
            "the tarball's entry 'm-1/up' is a symbolic link out of the tarball",
        ),
        (
            &[
                FILE,
                (EntryType::Symlink, "m-1/bin/a", ".."),
                (EntryType::Symlink, "m-1/b", "bin/a/.."),
            ],
            "the tarball's entry 'm-1/b' is a symbolic link out of the tarball",
        ),
        (
            &[FILE, (EntryType::Link, "m-1/passwd", "../m.tar")],
            "the tarball's entry 'm-1/passwd' is a hard link out of the tarball",
        ),
        (
            &[FILE, (EntryType::Fifo, "m-1/fifo", "")],
            "the tarball's entry 'm-1/fifo' is a device, a FIFO or something stranger",
        ),
        (
            &[FILE, (EntryType::Block, "m-1/disk", "")],
            "the tarball's entry 'm-1/disk' is a device, a FIFO or something stranger",
        ),
        (
            &[FILE, (EntryType::Regular, "m-2/x", "x")],
            "the tarball has two top directories, 'm-1' and 'm-2'",
        ),
    ];
    assert_refused(&cases);
}

#[test]
fn unpack_links_of_a_test_suite_that_lead_out_are_left_out() {
    let plain = tarball(&[
        FILE,
        (EntryType::Symlink, "m-1/mysql-test/std", "/etc"),
        (EntryType::Symlink, "m-1/mariadb-test/up", "../../.."),
        (EntryType::Symlink, "m-1/mysql-test/in", "../bin/mysqld"),
        (EntryType::Symlink, "m-1/through", "mariadb-test/up/m.tar"),
    ]);
    for (format, bytes) in packings(&plain) {
        let (_dir, result) = unpacked(&bytes);
        let unpacked = result.unwrap();
        let out = ["m-1/mysql-test/std", "m-1/mariadb-test/up"];
        assert_eq!(unpacked.left_out, out.map(PathBuf::from), "{format}");
        let read = |name: &str| fs::read(unpacked.top.join(name));
        assert_eq!(read("mysql-test/in").unwrap(), b"server", "{format}");
        for name in ["mysql-test/std", "mariadb-test/up"] {
            assert!(fs::symlink_metadata(unpacked.top.join(name)).is_err());
        }
        read("through").unwrap_err();
    }
    // The whole name counts, below the top directory.
    assert_refused(&[
        (
            &[FILE, (EntryType::Symlink, "m-1/mysql-tests/x", "/etc")],
            "the tarball's entry 'm-1/mysql-tests/x' is a symbolic link to an absolute path",
        ),
        (
            &[(EntryType::Symlink, "mysql-test/x", "/etc")],
            "the tarball's entry 'mysql-test/x' is a symbolic link to an absolute path",
        ),
    ]);
}

#[test]
fn unpack_entries_in_the_way_of_others_are_refused() {
    const UP: Row<'static> = (EntryType::Symlink, "m-1/up", "../..");
    let up = "the tarball's entry 'm-1/up' collides with another";
    let below = |kind, text| [FILE, UP, (kind, "m-1/up/out", text)];
    let cases: [(&[Row<'_>], &str); 6] = [
        (&below(EntryType::Regular, "x"), up),
        (&below(EntryType::Directory, ""), up),
        (&below(EntryType::Symlink, "m-1"), up),
        (
            &[FILE, UP, (EntryType::Link, "m-1/out", "m-1/up/m.tar")],
            "the tarball's entry 'm-1/out' is a hard link to what does not precede it",
        ),
        (
            &[FILE, (EntryType::Regular, "m-1/bin/mysqld/x", "x")],
            "the tarball's entry 'm-1/bin/mysqld/x' collides with another",
        ),
        (
            &[FILE, FILE],
            "the tarball's entry 'm-1/bin/mysqld' collides with another",
        ),
    ];
    assert_refused(&cases);
}

#[test]
fn unpack_sparse_files_are_refused() {
    let text = "the tarball's entry 'm-1/bin/mysqld' is a sparse file";
    let sparse = (EntryType::GNUSparse, FILE.1, "");
    assert_refused(&[(&[sparse], text)]);
    // As libarchive writes one.
    let mut builder = Builder::new(Vec::new());
    let extension = ("GNU.sparse.major", &b"1"[..]);
    builder.append_pax_extensions([extension]).unwrap();
    let entry = tarball(&[FILE]);
    let bytes = [&builder.into_inner().unwrap()[..1024], &entry].concat();
    assert_eq!(unpacked(&bytes).1.unwrap_err().to_string(), text);
}

#[test]
fn unpack_modes_and_times_are_those_of_the_tarball() {
    let mut header = Header::new_gnu();
    header.set_path("m-1/odd/").unwrap();
    header.set_size(0);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    // A directory as tar wrote it before POSIX.
    builder.append(&header, io::empty()).unwrap();
    header.set_mode(0o4751);
    header.set_mtime(1_000_000_000);
    header.set_size(1);
    let name = format!("m-1/{}", "long".repeat(40));
    builder.append_data(&mut header, &name, &b"x"[..]).unwrap();
    header.set_mode(0o755);
    builder.append_data(&mut header, FILE.1, &b"x"[..]).unwrap();
    let (_dir, result) = unpacked(&gzip(&builder.into_inner().unwrap()));
    let top = result.unwrap().top;
    assert!(top.join("odd").is_dir());
    let file = fs::metadata(top.join(&name[4..])).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o751);
    let since_1970 = file
        .modified()
        .unwrap()
        .duration_since(std::time::UNIX_EPOCH);
    assert_eq!(since_1970.unwrap().as_secs(), 1_000_000_000);
}

#[test]
fn unpack_broken_files_have_exact_texts() {
    let whole = gzip(&tarball(&[FILE]));
    let cut = &whole[..whole.len() - 5];
    let cases: [(&[u8], &str); 5] = [
        (cut, "cannot read {path} to its end"),
        (&whole[..40], "cannot read {path} to its end"),
        (
            b"<html>",
            "{path} is a web page, not a .tar, .tar.gz, .tar.xz or .tar.zst",
        ),
        (b"", "{path} is empty"),
        (&gzip(&tarball(&[])), "{path} is an empty tarball"),
    ];
    for (bytes, text) in cases {
        let (dir, result) = unpacked(bytes);
        let path = dir.path().join("m.tar").display().to_string();
        assert_eq!(
            result.unwrap_err().to_string(),
            text.replace("{path}", &path)
        );
    }
}

#[test]
fn unpack_unreadable_name_has_exact_text() {
    let error = EntryError::Name {
        source: io::Error::other("x"),
    };
    assert_eq!(
        error.to_string(),
        "the tarball has an entry with an unreadable name"
    );
}

#[test]
fn unpack_zstd_of_a_larger_window_is_refused_by_name() {
    let (dir, result) = unpacked(&with_window(&tarball(&[FILE]), 28));
    let path = dir.path().join("m.tar").display().to_string();
    let error = result.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{path} needs more than 128 MiB of memory to inflate")
    );
}

#[test]
fn unpack_zstd_cut_anywhere_is_not_taken_for_whole() {
    let whole = zstd(&tarball(&[FILE]));
    for cut in 4..whole.len() {
        let (_, result) = unpacked(&whole[..cut]);
        result.unwrap_err();
    }
}

#[test]
fn unpack_a_bomb_stops_at_the_limit_in_every_format() {
    let mut header = Header::new_gnu();
    header.set_path("m-1/zeros").unwrap();
    header.set_size(MAX_SIZE);
    header.set_cksum();
    let mut plain = header.as_bytes().to_vec();
    plain.resize(plain.len() + 1024 + 8 * 1024 * 1024, 0);
    // Another one, behind the end of an archive.
    let mut behind = tarball(&[FILE]);
    behind.resize(9 * 1024 * 1024, 0);
    for plain in [plain, behind] {
        for (format, bytes) in packings(&plain) {
            if format == "repack's members" {
                continue;
            }
            let (dir, result) = unpacked(&bytes);
            let path = dir.path().join("m.tar").display().to_string();
            let error = result.unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{path} inflates to more than 8388608 bytes"),
                "{format}"
            );
        }
    }
}
