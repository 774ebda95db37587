//! What `repack fetch` does not take, with the exact words, and what it leaves alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fetch::{AGAIN, NAME, body, case, checksum, end_group, fails, fetch, fetches};
use crate::server::{Reply, Server, proper, response, status, whole};
use crate::{Case, text};

const ELSEWHERE: &str = "move it away, or choose another directory with -o";
const PART: &str = "my-1.tar.gz.part";
const RECORD: &str = "my-1.tar.gz.part.json";

/// A server that says the same to everybody.
fn always(status: &'static str, headers: &'static [&'static str], body: &'static str) -> Server {
    Server::start(move |_, _| Reply::Send(response(status, headers, body.as_bytes())))
}

#[test]
fn redirects_are_followed_but_not_in_a_circle() {
    let body = body(1000);
    let content = body.clone();
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/there" => Reply::Send(proper(&content, "\"1\"", request)),
        _ => Reply::Send(response(
            "302 Found",
            &["Location: /there", "Content-Length: 0"],
            b"",
        )),
    });
    fetches(&case(), &server, &[], &body);
    let round = ["Location: /my-1.tar.gz", "Content-Length: 0"];
    let server = Server::start(move |_, _| Reply::Send(response("302 Found", &round, b"")));
    let message = "cannot fetch <URL>\n  \
                   cause: it leads from one URL to the next, more than ten times\n  \
                   next: pass the URL that it should lead to\n";
    fails(&case(), &server, &[], message, &[]);
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn status_that_may_pass_is_asked_again_and_others_are_not() {
    let body = body(1000);
    let content = body.clone();
    let server = Server::start(move |request, number| match number {
        0 => status("500 Internal Server Error"),
        1 => status("429 Too Many Requests"),
        _ => Reply::Send(proper(&content, "\"1\"", request)),
    });
    let output = fetches(&case(), &server, &[], &body);
    let url = server.url("/my-1.tar.gz");
    let notes = format!(
        "- {url}: HTTP status 500; asking again in 1ms\n\
         - {url}: HTTP status 429; asking again in 2ms\nmy-1.tar.gz 1.00 kB"
    );
    assert!(
        text(&output.stderr).starts_with(&notes),
        "{}",
        text(&output.stderr)
    );

    let rows = [
        ("503 Service Unavailable", 5, AGAIN),
        (
            "405 Method Not Allowed",
            1,
            "open it in a browser to see what it wants",
        ),
        ("401 Unauthorized", 1, "put the credentials into the URL"),
        (
            "407 Proxy Authentication Required",
            1,
            "put the credentials into HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT",
        ),
    ];
    for (status, requests, next) in rows {
        let server = always(status, &["Content-Length: 0"], "");
        let message = format!(
            "cannot fetch <URL>\n  cause: HTTP status {}\n  next: {next}\n",
            &status[..3]
        );
        fails(&case(), &server, &[], &message, &[]);
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn file_that_is_nowhere_is_told_with_every_place() {
    let next = "look it up on the vendor's download page, and pass the tarball's URL";
    for status in [
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "410 Gone",
        "451 Unavailable For Legal Reasons",
    ] {
        let server = always(status, &["Content-Length: 0"], "");
        let message = format!(
            "there is no file at <URL>: HTTP status {}\n  next: open it in a browser to see what \
             it wants; pass the URL that the download begins with\n",
            &status[..3]
        );
        fails(&case(), &server, &[], &message, &[]);
    }
    let server = always("404 Not Found", &["Content-Length: 0"], "");
    let mirror = server.url("");
    let (processor, case) = (std::env::consts::ARCH, case());
    let arguments = ["percona-8.0.36-28", "--glibc", "2.12", "--mirror", &mirror];
    let output = fetch(&case, &arguments);
    let name = format!("Percona-Server-8.0.36-28-Linux.{processor}.glibc2.12.tar.gz");
    let place = |of: &str| {
        let directory = "Percona-Server-8.0.36-28/binary/tarball";
        format!("| HTTP status 404: {mirror}/downloads/Percona-Server-{of}/{directory}/{name}")
    };
    let places = ["8.0", "innovative-release", "LATEST"]
        .map(place)
        .join("\n  ");
    let message = format!(
        "repack: error: found no Percona Server 8.0.36-28 for {processor} with glibc 2.12\n  \
         {places}\n  | HTTP status 404: {mirror}/{name}\n  next: {next}\n"
    );
    assert_eq!(text(&output.stderr), message);
    let output = fetch(&case, &["8.4.6", "--glibc", "2.5", "--mirror", &mirror]);
    let message = format!(
        "repack: error: MySQL 8.4.6 was never built for {processor} with glibc 2.5\n  \
         next: pass --glibc if the server is for another machine, or the URL of a build that fits\n"
    );
    assert_eq!(text(&output.stderr), message);
    assert_eq!(case.files(), [""; 0]);
}

#[test]
fn wrong_bytes_are_removed() {
    let body = body(1000);
    let server = Server::well_behaved(&body);
    let (right, wrong) = (checksum("md5sum", &body), "0".repeat(32));
    let message = format!(
        "<URL> has MD5 {right}, not {wrong}\n  \
         next: compare both with the vendor's page; what was fetched is removed\n"
    );
    fails(&case(), &server, &["--md5", &wrong], &message, &[]);
}

#[test]
fn file_that_is_here_is_kept_or_in_the_way_but_never_touched() {
    let body = body(1000);
    let (server, case) = (Server::well_behaved(&body), case());
    let (sum, wrong) = (checksum("sha256sum", &body), "0".repeat(64));
    fs::write(case.path(NAME), &body).unwrap();

    let output = fetches(&case, &server, &["--sha256", &sum], &body);
    let told = format!(
        "my-1.tar.gz 1.00 kB, here already\nSHA-256 {sum}; its SHA-256 is the one asked for\n"
    );
    assert_eq!(text(&output.stderr), told);
    let message = format!(
        "./my-1.tar.gz is there already, with SHA-256 {sum}, not {wrong}\n  next: {ELSEWHERE}\n"
    );
    fails(&case, &server, &["--sha256", &wrong], &message, &[NAME]);
    assert_eq!(server.requests(), [], "the checksum was enough");

    let output = fetches(&case, &server, &["--json"], &body);
    assert!(text(&output.stdout).contains(r#""url":null"#));
    fs::write(case.path(NAME), "short").unwrap();
    let message = format!(
        "./my-1.tar.gz is there already, with 5 bytes; <URL> has 1000\n  next: {ELSEWHERE}\n"
    );
    fails(&case, &server, &[], &message, &[NAME]);
    assert_eq!(fs::read(case.path(NAME)).unwrap(), b"short");

    fs::remove_file(case.path(NAME)).unwrap();
    symlink("elsewhere", case.path(NAME)).unwrap();
    let message = "the output ./my-1.tar.gz exists and is not a regular file\n  \
                   next: choose another file with -o\n";
    fails(&case, &server, &[], message, &[NAME]);
}

#[test]
fn web_page_and_unknown_length_are_refused() {
    let server = always("200 OK", &["Content-Length: 8"], "\n<html/>");
    let message = "<URL> sent a web page, not a tarball\n  \
                   next: open it in a browser to see what it wants; pass the tarball's own URL\n";
    fails(&case(), &server, &[], message, &[]);

    let content = body(1000);
    let mut chunks = b"3e8\r\n".to_vec();
    chunks.extend_from_slice(&content);
    chunks.extend_from_slice(b"\r\n0\r\n\r\n");
    let answer = response("200 OK", &["Transfer-Encoding: chunked"], &chunks);
    let server = Server::start(move |_, _| Reply::Send(answer.clone()));
    let message = "<URL> does not say how long it is\n  \
                   next: pass --sha256 or --md5, which also tell whether it is complete\n";
    fails(&case(), &server, &[], message, &[]);
    let sum = checksum("md5sum", &content);
    fetches(&case(), &server, &["--md5", &sum], &content);
}

#[test]
fn part_of_somebody_else_is_left_alone() {
    let (server, case) = (Server::well_behaved(&body(1000)), case());
    let message = "./my-1.tar.gz.part is in the way, and not a leftover of repack\n  \
                   next: move it away, or choose another file with -o\n";
    fs::write(case.path(PART), "somebody's").unwrap();
    fails(&case, &server, &[], message, &[PART]);
    assert_eq!(fs::read(case.path(PART)).unwrap(), b"somebody's");
    fs::remove_file(case.path(PART)).unwrap();
    symlink("elsewhere", case.path(PART)).unwrap();
    fails(&case, &server, &[], message, &[PART]);
}

#[test]
fn part_that_another_run_works_on_is_busy() {
    let content = body(1000);
    let answer = whole(&content, "\"1\"");
    let server = Server::start(move |_, _| Reply::Hang(answer[..500].to_vec()));
    let case = case();
    let url = server.url("/my-1.tar.gz");
    let quiet = Stdio::null;
    let mut first = case.command();
    let mut first = first
        .args(["fetch", &url])
        .process_group(0)
        .stderr(quiet())
        .stdout(quiet())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while server.requests().is_empty() {
        assert!(Instant::now() < deadline, "nobody asked");
        std::thread::yield_now();
    }
    let output = fetch(&case, &[&url]);
    end_group(&mut first);
    assert_eq!(
        text(&output.stderr),
        "repack: error: another repack is writing ./my-1.tar.gz.part\n  \
         next: wait for it, or choose another file with -o\n"
    );
}

/// A record as a run leaves it.
fn record(case: &Case, url: &str, have: u64) {
    let record = format!(r#"{{"url":"{url}","validator":"\"1\"","length":1000,"have":{have}}}"#);
    fs::write(case.path(RECORD), record).unwrap();
}

#[test]
fn part_is_believed_as_far_as_its_record_goes() {
    let body = body(1000);
    let zeros = vec![0; 600];
    // What a kill or a power cut may leave, and from where on the rest is asked for, if at all.
    let unrecorded = [&body[..300], &zeros[..]].concat();
    let rows: [(&[u8], _, &[_], _); 5] = [
        (&body[..600], 600, &[Some(600)], "recorded"),
        (&unrecorded, 300, &[Some(300)], "bytes not recorded"),
        (&body[..300], 600, &[None], "emptied, not begun again"),
        (b"", 0, &[None], "begun"),
        (&body, 1000, &[], "complete, not renamed"),
    ];
    for (part, have, from, reason) in rows {
        let (server, case) = (Server::well_behaved(&body), case());
        fs::write(case.path(PART), part).unwrap();
        record(&case, &server.url("/my-1.tar.gz"), have);
        let sum = checksum("sha256sum", &body);
        fetches(&case, &server, &["--sha256", &sum], &body);
        let asked: Vec<_> = server.requests().iter().map(|asked| asked.from).collect();
        assert_eq!(asked, from, "{reason}");
    }
    // The same name from another place is another file.
    let (server, case) = (Server::well_behaved(&body), case());
    fs::write(case.path(PART), &zeros).unwrap();
    record(&case, "http://elsewhere/my-1.tar.gz", 600);
    fetches(&case, &server, &[], &body);
    // But it stays as long as there is nothing better.
    let rows = [
        ("503 Service Unavailable", &["Content-Length: 0"][..], ""),
        ("404 Not Found", &["Content-Length: 0"], ""),
        ("200 OK", &["Content-Length: 7"], "<html/>"),
    ];
    for (status, headers, content) in rows {
        let server = always(status, headers, content);
        fs::remove_file(case.path(NAME)).unwrap_or_default();
        fs::write(case.path(PART), &zeros).unwrap();
        record(&case, "http://elsewhere/my-1.tar.gz", 600);
        let output = fetch(&case, &[&server.url("/my-1.tar.gz")]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert_eq!(fs::read(case.path(PART)).unwrap(), zeros, "{status}");
        assert_eq!(case.files(), [PART, RECORD]);
    }
}

#[test]
fn credentials_are_used_and_never_shown_or_stored() {
    let answer = whole(&body(1000), "\"1\"");
    let server = Server::start(move |_, _| Reply::Send(answer[..answer.len() - 1].to_vec()));
    let case = case();
    let url = server.url("/my-1.tar.gz?token=hidden");
    let output = fetch(&case, &[&url.replace("://", "://user:hidden@")]);
    assert_eq!(output.status.code(), Some(1));
    let record = fs::read_to_string(case.path(RECORD)).unwrap();
    for written in [text(&output.stderr), &record] {
        assert!(written.contains("/my-1.tar.gz"), "{written}");
        assert!(!written.contains("hidden"), "{written}");
    }
    assert!(server.paths()[0].ends_with("?token=hidden"));
}

#[test]
fn disk_that_is_full_is_told_and_the_part_goes_on_later() {
    let body = body(100_000);
    let (server, case) = (Server::well_behaved(&body), case());
    let url = server.url("/my-1.tar.gz");
    // A limit on file sizes stands for the full disk: 100 blocks of 512 bytes.
    let script = r#"trap "" XFSZ; ulimit -f 100; exec "$0" fetch "$1""#;
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(case.command().get_program())
        .arg(&url)
        .current_dir(case.path("."))
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stderr),
        "repack: error: cannot write ./my-1.tar.gz.part\n  cause: file too large (os error 27)\n  \
         next: make room there, or choose another directory with -o; then it goes on where it was\n"
    );
    fetches(&case, &server, &[], &body);
}

#[test]
fn usage_that_is_wrong_is_status_2_and_names_the_right_one() {
    let case = case();
    let rows: &[(&[&str], &str)] = &[
        (
            &["8"],
            "write a version (8.4.6, mariadb-11.4.5, percona-8.0.36-28), a series (8.4) or a URL",
        ),
        (
            &["11.4.5"],
            "11.4.5 is none of MySQL's versions; MariaDB's is called mariadb-11.4.5",
        ),
        (
            &["percona-8.0.36"],
            "Percona's versions have a fourth number, as in percona-8.0.36-28",
        ),
        (&["https:///a.tar.gz"], "the URL has no host"),
        (
            &["https://a.example/b/"],
            "cannot tell what to call it: https://a.example/b/ does not end in a tarball's name\n  \
             next: pass a name, as in --name mysql-8.4.6.tar.xz\n",
        ),
        (
            &["8.4.6", "--mirror", "127.0.0.1:8080/x"],
            "write a URL (https://...)",
        ),
        (
            &["8.4.6", "--name", "a/b.tar"],
            "write a file's name, without a directory",
        ),
        (&["8.4.6", "--sha256", "12"], "it has 64 hexadecimal digits"),
        (&["8.4.6", "--md5", "g"], "it has 32 hexadecimal digits"),
        (
            &["8.4.6", "--glibc", "new"],
            "a glibc version is two numbers, such as 2.28",
        ),
    ];
    for (arguments, message) in rows {
        let output = fetch(&case, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(message),
            "{}",
            text(&output.stderr)
        );
    }
    let output = fetch(&case, &["https://127.0.0.1/a.tar.gz", "-o", "absent"]);
    assert_eq!(
        text(&output.stderr),
        "repack: error: cannot create absent/a.tar.gz.part\n  \
         cause: no such file or directory (os error 2)\n  \
         next: check that the directory exists and is yours, or choose another place with -o\n"
    );
}
