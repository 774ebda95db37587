//! `repack fetch` against servers that break off, lie, forget and change their minds.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Reply, Request, Server, halved, proper, response, rest, status, whole};
use crate::{Case, text};

pub(crate) const NAME: &str = "my-1.tar.gz";
pub(crate) const AGAIN: &str = "check the network (HTTPS_PROXY, if it needs one) and run it again";
/// Where something is here to go on with.
pub(crate) const ON: &str = "check the network (HTTPS_PROXY, if it needs one) and run it again: it goes on \
                      where it was";

/// What a tarball looks like from outside: a header, and bytes that no two places share.
pub(crate) fn body(length: usize) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("mysql/bin/mysqld").unwrap();
    header.set_size(u64::try_from(length).unwrap());
    header.set_cksum();
    let mut state = 0x9e37_79b9_u32;
    let byte = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let content = (header.as_bytes().len()..length).map(byte);
    header.as_bytes().iter().copied().chain(content).collect()
}

pub(crate) fn checksum(program: &str, body: &[u8]) -> String {
    let case = Case::new(body);
    let output = std::process::Command::new(program)
        .arg(case.path("in.tar.gz"))
        .output()
        .unwrap();
    text(&output.stdout).split(' ').next().unwrap().to_owned()
}

/// KILL for a run and for its curl, which would wait for the server otherwise.
pub(crate) fn end_group(run: &mut Child) -> ExitStatus {
    let group = rustix::process::Pid::from_child(run);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    run.wait().unwrap()
}

/// An empty directory; `repack fetch` puts its file there.
pub(crate) fn case() -> Case {
    let case = Case::new(b"");
    fs::remove_file(case.path("in.tar.gz")).unwrap();
    case
}

pub(crate) fn fetch(case: &Case, arguments: &[&str]) -> Output {
    case.run(&[&["fetch", "--retry-delay", "1"], arguments].concat())
}

/// Fetches `NAME` from `server`; it must be `body` then, and alone.
#[track_caller]
pub(crate) fn fetches(case: &Case, server: &Server, arguments: &[&str], body: &[u8]) -> Output {
    let url = server.url("/my-1.tar.gz");
    let output = fetch(case, &[&[url.as_str()], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(case.path(NAME)).unwrap() == body, "other bytes");
    assert_eq!(case.files(), [NAME]);
    output
}

/// Fetching `NAME` from `server` must fail with this last message, where <URL> is the URL, and leave these files.
#[track_caller]
pub(crate) fn fails(
    case: &Case,
    server: &Server,
    arguments: &[&str],
    message: &str,
    files: &[&str],
) {
    let url = server.url("/my-1.tar.gz");
    let output = fetch(case, &[&[url.as_str()], arguments].concat());
    let stderr = text(&output.stderr);
    let at = stderr.find("repack: error: ").unwrap();
    let expected = format!("repack: error: {}", message.replace("<URL>", &url));
    assert_eq!(stderr[at..], expected);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(case.files(), files);
}

#[test]
fn url_is_fetched_under_its_name_and_told() {
    let body = body(100_000);
    let (server, case) = (Server::well_behaved(&body), case());
    let output = fetches(&case, &server, &[], &body);
    assert_eq!(text(&output.stdout), "./my-1.tar.gz\n");
    let stderr = text(&output.stderr);
    let sum = checksum("sha256sum", &body);
    assert!(stderr.starts_with("my-1.tar.gz 100.00 kB in "), "{stderr}");
    let second = format!("SHA-256 {sum}; compared with none, for none was given\n");
    assert!(stderr.ends_with(&second), "{stderr}");
    let nothing = Request {
        path: "/my-1.tar.gz".into(),
        from: None,
        if_range: None,
    };
    assert_eq!(server.requests(), [nothing]);
}

#[test]
fn json_tells_all_and_no_more_than_json() {
    let body = body(1000);
    let (server, case) = (Server::well_behaved(&body), case());
    let md5 = checksum("md5sum", &body).to_uppercase();
    let output = fetches(&case, &server, &["--json", "--md5", &md5], &body);
    assert_eq!(text(&output.stderr), "");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["file"], "./my-1.tar.gz");
    assert_eq!(json["bytes"], 1000);
    assert_eq!(json["sha256"], checksum("sha256sum", &body));
    assert_eq!(json["verified"], "MD5");
    assert_eq!(json["url"], server.url("/my-1.tar.gz"));
    assert_eq!(json["resumed_at"], 0);
    assert!(json["seconds"].is_number());
}

#[test]
fn version_is_looked_for_build_by_build_at_the_site_then_in_the_archive() {
    let body = body(1000);
    let content = body.clone();
    let server = Server::start(move |request, _| {
        if request.path.starts_with("/archives/") && request.path.contains("glibc2.17") {
            Reply::Send(proper(&content, "\"1\"", request))
        } else {
            status("404 Not Found")
        }
    });
    let case = case();
    let mirror = server.url("/");
    let output = fetch(
        &case,
        &["8.4.6", "--glibc", "2.36", "--mirror", &mirror, "-o", "."],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let name = |glibc| {
        format!(
            "mysql-8.4.6-linux-glibc{glibc}-{}.tar.xz",
            std::env::consts::ARCH
        )
    };
    let (newer, older) = (name("2.28"), name("2.17"));
    assert_eq!(case.files(), [older.as_str()]);
    assert_eq!(text(&output.stdout), format!("./{older}\n"));
    let expected = [
        format!("/Downloads/MySQL-8.4/{newer}"),
        format!("/archives/mysql-8.4/{newer}"),
        format!("/{newer}"),
        format!("/Downloads/MySQL-8.4/{older}"),
        format!("/archives/mysql-8.4/{older}"),
    ];
    assert_eq!(server.paths(), expected);
}

#[test]
fn broken_off_goes_on_from_the_last_byte() {
    let body = body(100_000);
    let content = body.clone();
    let server = Server::start(move |request, number| {
        let answer = proper(&content, "\"1\"", request);
        Reply::Send(match number {
            0 => halved(answer, content.len()),
            _ => answer,
        })
    });
    let case = case();
    fetches(&case, &server, &[], &body);
    let second = &server.requests()[1];
    assert_eq!(
        (second.from, second.if_range.as_deref()),
        (Some(50_000), Some("\"1\""))
    );
}

#[test]
fn broken_off_often_is_fetched_as_long_as_it_gets_further() {
    let body = body(100_000);
    let content = body.clone();
    let server = Server::start(move |request, number| {
        let missing = content.len() - request.from.unwrap_or_default();
        let answer = proper(&content, "\"1\"", request);
        Reply::Send(if number < 9 {
            halved(answer, missing)
        } else {
            answer
        })
    });
    fetches(&case(), &server, &[], &body);
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn server_that_ignores_range_is_taken_from_the_start_again() {
    let body = body(100_000);
    let content = body.clone();
    let server = Server::start(move |_, number| {
        let answer = whole(&content, "\"1\"");
        Reply::Send(if number == 0 {
            halved(answer, content.len())
        } else {
            answer
        })
    });
    fetches(&case(), &server, &[], &body);
    assert_eq!(server.requests()[1].from, Some(50_000));
}

#[test]
fn file_that_changed_in_between_is_never_glued() {
    // Of one length: the tag is all that tells them apart.
    let old = body(100_000);
    let mut new = old.clone();
    new[512..].reverse();
    // One that heeds If-Range, and one that does not.
    for heeds in [true, false] {
        let (before, after) = (old.clone(), new.clone());
        let server = Server::start(move |request, number| match number {
            0 => Reply::Send(halved(whole(&before, "\"1\""), before.len())),
            1 if !heeds => Reply::Send(rest(&after, "\"2\"", request.from.unwrap())),
            _ => Reply::Send(proper(&after, "\"2\"", request)),
        });
        fetches(&case(), &server, &[], &new);
        let requests = server.requests();
        assert_eq!(requests[1].if_range.as_deref(), Some("\"1\""));
        assert_eq!(requests.len(), if heeds { 2 } else { 3 });
    }
}

#[test]
fn killed_in_the_middle_goes_on_where_it_was_recorded() {
    let body = body(12 << 20);
    let content = body.clone();
    let server = Server::start(move |request, number| {
        let answer = proper(&content, "\"1\"", request);
        match number {
            0 => Reply::Hang(answer[..10 << 20].to_vec()),
            _ => Reply::Send(answer),
        }
    });
    let case = case();
    let url = server.url("/my-1.tar.gz");
    let mut run = case
        .command()
        .args(["fetch", &url])
        .process_group(0)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let recorded = || {
        let record = fs::read(case.path("my-1.tar.gz.part.json")).ok()?;
        serde_json::from_slice::<Value>(&record).ok()?["have"].as_u64()
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    while recorded().unwrap_or_default() == 0 {
        assert!(Instant::now() < deadline, "nothing was recorded");
        std::thread::yield_now();
    }
    assert_eq!(end_group(&mut run).signal(), Some(9));
    let part = ["my-1.tar.gz.part", "my-1.tar.gz.part.json"];
    assert_eq!(case.files(), part);
    let have = recorded().unwrap();
    let sum = checksum("sha256sum", &body);
    let output = fetches(&case, &server, &["--json", "--sha256", &sum], &body);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["resumed_at"], have);
    assert_eq!(server.requests()[1].from, usize::try_from(have).ok());
}

#[test]
fn length_that_is_more_than_comes_is_an_error_with_the_part_kept_if_it_is_of_use() {
    let rows: [(&[&str], &str, &[&str]); 2] = [
        (&["Content-Length: 1010"], AGAIN, &[]),
        (
            &["Content-Length: 1010", "ETag: \"1\""],
            ON,
            &["my-1.tar.gz.part", "my-1.tar.gz.part.json"],
        ),
    ];
    for (headers, next, files) in rows {
        let message = format!(
            "cannot fetch <URL>\n  cause: it broke off\n  \
             cause: curl: transfer closed with 10 bytes remaining to read\n  next: {next}\n"
        );
        let answer = response("200 OK", headers, &body(1000));
        let server = Server::start(move |_, _| Reply::Send(answer.clone()));
        fails(&case(), &server, &[], &message, files);
        assert_eq!(server.requests().len(), 5);
    }
}

#[test]
fn length_that_is_less_than_comes_is_found_out_by_the_checksum() {
    let content = body(1000);
    let sum = checksum("sha256sum", &content);
    let found = checksum("sha256sum", &content[..990]);
    let answer = response("200 OK", &["Content-Length: 990"], &content);
    let server = Server::start(move |_, _| Reply::Send(answer.clone()));
    let message = format!(
        "<URL> has SHA-256 {found}, not {sum}\n  \
         next: compare both with the vendor's page; what was fetched is removed\n"
    );
    fails(&case(), &server, &["--sha256", &sum], &message, &[]);
}

#[test]
fn rest_that_is_not_the_rest_is_not_believed() {
    let body = body(10_000);
    // What is sent from where to where, as what it is said to be, and what is asked for then.
    let rows = [
        (5000, 9900, "5000-9999/10000", Some(9900), "cut short"),
        (4000, 10_000, "5000-9999/10000", None, "too much"),
        (
            4000,
            9000,
            "4000-8999/10000",
            None,
            "another place, and says so",
        ),
        (5000, 10_000, "5000-9999/10001", None, "of another whole"),
    ];
    for (from, to, said, next, reason) in rows {
        let content = body.clone();
        let server = Server::start(move |request, number| match number {
            0 => Reply::Send(halved(whole(&content, "\"1\""), 10_000)),
            1 => {
                let part = &content[from..to];
                let length = format!("Content-Length: {}", part.len());
                let range = format!("Content-Range: bytes {said}");
                let headers = [&length, &range, "ETag: \"1\""];
                Reply::Send(response("206 Partial Content", &headers, part))
            }
            _ => Reply::Send(proper(&content, "\"1\"", request)),
        });
        fetches(&case(), &server, &[], &body);
        assert_eq!(server.requests()[2].from, next, "{reason}");
    }
}

#[test]
fn range_that_the_file_has_not_starts_over() {
    let body = body(1000);
    let content = body.clone();
    let server = Server::start(move |request, number| match (number, request.from) {
        // It says 1010 at first.
        (0, _) => Reply::Send(response(
            "200 OK",
            &["Content-Length: 1010", "ETag: \"1\""],
            &content,
        )),
        (_, Some(_)) => status("416 Range Not Satisfiable"),
        (_, None) => Reply::Send(whole(&content, "\"1\"")),
    });
    fetches(&case(), &server, &[], &body);
    assert_eq!(server.requests().len(), 3);
}
