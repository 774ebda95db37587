//! `repack fetch` where things are odd: proxies, portals, servers that want to be left alone, a series
//! instead of a version, a machine without curl.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant, SystemTime};

use crate::fetch::{ON, body, case, end_group, fails, fetch, fetches};
use crate::server::{Reply, Server, proper, response, status};
use crate::text;

const PAGE: &str = "\u{feff}<!doctype html><title>Sign in</title>";

/// A tarball at the paths with `part`, a portal's page everywhere else.
fn portal(part: &'static str, page: &'static str) -> Server {
    Server::start(move |request, _| {
        if request.path.contains(part) {
            return Reply::Send(proper(&body(1000), "\"1\"", request));
        }
        let length = format!("Content-Length: {}", page.len());
        Reply::Send(response("200 OK", &[&length], page.as_bytes()))
    })
}

#[test]
fn page_instead_of_a_tarball_is_not_here_and_the_next_place_is_asked() {
    for page in [
        PAGE,
        "<html/>",
        "",
        "{}",
        "version https://git-lfs.github.com/spec/v1\n",
    ] {
        let (server, case) = (portal("/archives/", page), case());
        let mirror = server.url("");
        let output = fetch(&case, &["8.4.6", "--glibc", "2.36", "--mirror", &mirror]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("glibc2.28"));
    }
}

#[test]
fn what_is_no_tarball_is_named() {
    let rows: [(&[u8], &str); 4] = [
        (PAGE.as_bytes(), "a web page"),
        (b"PK\x03\x04zip", "a zip file"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not the file",
        ),
        (b"", "an empty file"),
    ];
    for (content, what) in rows {
        let length = format!("Content-Length: {}", content.len());
        let answer = response("200 OK", &[&length], content);
        let server = Server::start(move |_, _| Reply::Send(answer.clone()));
        let message = format!(
            "<URL> sent {what}, not a tarball\n  \
             next: open it in a browser to see what it wants; pass the tarball's own URL\n"
        );
        fails(&case(), &server, &[], &message, &[]);
    }
}

#[test]
fn tarball_that_the_server_compressed_once_more_is_refused() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let once = gzip(&body(5000));
    let twice = gzip(&once);
    let serve = |content: Vec<u8>| {
        Server::start(move |_, _| {
            let length = format!("Content-Length: {}", content.len());
            let headers = [&length, "Content-Encoding: gzip"];
            Reply::Send(response("200 OK", &headers, &content))
        })
    };
    // A label on the tarball's own compression is what Apache does.
    fetches(&case(), &serve(once.clone()), &[], &once);
    let message = "<URL> sent a tarball that was compressed once more on its way, not a tarball\n  \
                   next: open it in a browser to see what it wants; pass the tarball's own URL\n";
    fails(&case(), &serve(twice), &[], message, &[]);
}

#[test]
fn part_from_the_archive_survives_trouble_and_is_gone_on_with_first() {
    let body = body(1000);
    let name = format!(
        "mysql-8.4.6-linux-glibc2.12-{}.tar.xz",
        std::env::consts::ARCH
    );
    let (part, record) = (format!("{name}.part"), format!("{name}.part.json"));
    let leave = |case: &crate::Case, mirror: &str| {
        fs::write(case.path(&part), &body[..600]).unwrap();
        let url = format!("{mirror}/archives/mysql-8.4/{name}");
        let text = format!(r#"{{"url":"{url}","validator":"\"1\"","length":1000,"have":600}}"#);
        fs::write(case.path(&record), text).unwrap();
    };
    let trouble = Server::start(|_, _| status("503 Service Unavailable"));
    // Nobody listens at the second one.
    for mirror in [trouble.url(""), "http://127.0.0.1:1".to_owned()] {
        let case = case();
        leave(&case, &mirror);
        let output = fetch(&case, &["8.4.6", "--glibc", "2.12", "--mirror", &mirror]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(&format!("next: {ON}\n")));
        assert_eq!(case.files(), [part.as_str(), &record]);
        assert_eq!(fs::read(case.path(&part)).unwrap(), body[..600]);
    }
    let (server, case) = (Server::well_behaved(&body), case());
    leave(&case, &server.url(""));
    let mirror = server.url("");
    let arguments = ["8.4.6", "--glibc", "2.12", "--mirror", &mirror, "--json"];
    let output = fetch(&case, &arguments);
    assert!(text(&output.stdout).contains(r#""resumed_at":600"#));
    assert_eq!(server.paths(), [format!("/archives/mysql-8.4/{name}")]);
    assert_eq!(case.files(), [name.as_str()]);
}

#[test]
fn server_that_wants_to_be_left_alone_is() {
    let server = Server::start(|request, number| match number {
        0 => Reply::Send(response(
            "503 Service Unavailable",
            &["Retry-After: 1", "Content-Length: 0"],
            b"",
        )),
        _ => Reply::Send(proper(&body(1000), "\"1\"", request)),
    });
    let started = Instant::now();
    let output = fetches(&case(), &server, &[], &body(1000));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let note = "HTTP status 503; asking again in 1s\n";
    assert!(
        text(&output.stderr).contains(note),
        "{}",
        text(&output.stderr)
    );

    let server = Server::start(|_, _| {
        Reply::Send(response(
            "429 Too Many Requests",
            &["Retry-After: 3600", "Content-Length: 0"],
            b"",
        ))
    });
    let message = "cannot fetch <URL>\n  cause: HTTP status 429\n  \
                   next: run it again, in 3600 s as the server asks\n";
    fails(&case(), &server, &[], message, &[]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn redirect_to_what_is_no_web_server_is_refused() {
    for location in ["file:///etc/passwd", "gopher://127.0.0.1/x"] {
        let header = format!("Location: {location}");
        let headers = [header, "Content-Length: 0".to_owned()];
        let server = Server::start(move |_, _| {
            let headers = [headers[0].as_str(), headers[1].as_str()];
            Reply::Send(response("302 Found", &headers, b""))
        });
        let message = "cannot fetch <URL>\n  \
                       cause: it leads to something that is no http or https URL\n  \
                       next: pass the URL that it should lead to\n";
        fails(&case(), &server, &[], message, &[]);
        assert_eq!(server.requests().len(), 1, "{location}");
    }
}

#[test]
fn name_of_the_file_is_taken_from_where_it_stands_or_given() {
    let body = body(1000);
    let server = Server::well_behaved(&body);
    let rows: [(&str, &[&str], &str); 5] = [
        ("/my%20sql.tar.gz", &[], "my sql.tar.gz"),
        ("/x.tar.gz/download", &[], "x.tar.gz"),
        ("/get.php?file=x.tar.xz", &[], "x.tar.xz"),
        ("/latest", &["--name", "y.tar.gz"], "y.tar.gz"),
        ("/my-1.tar.gz", &["--name", "z.tgz"], "z.tgz"),
    ];
    for (path, arguments, name) in rows {
        let case = case();
        let url = server.url(path).replace("http:", "HTTP:");
        let output = fetch(&case, &[&[url.as_str()], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(case.files(), [name]);
    }
}

#[test]
fn series_means_its_newest_release_wherever_that_is() {
    let rows: [(&str, &[&str], &str); 5] = [
        (
            "8.4",
            &["mysql-8.4.7-", "mysql-8.4.8-", "mysql-8.4.10-"],
            "MySQL 8.4.10",
        ),
        ("8.4", &["mysql-8.4.2-"], "MySQL 8.4.2"),
        ("9.9", &["mysql-9.9.1-"], "MySQL 9.9.1"),
        (
            "mariadb-11.4",
            &["mariadb-11.4.9-", "mariadb-11.4.11-"],
            "MariaDB 11.4.11",
        ),
        (
            "percona-8.0",
            &["Server-8.0.43-34-", "Server-8.0.44-35-"],
            "Percona Server 8.0.44-35",
        ),
    ];
    for (wanted, there, newest) in rows {
        let there: Vec<String> = there.iter().map(|&it| it.to_owned()).collect();
        let server = Server::start(move |request, _| {
            let name = request.path.rsplit('/').next().unwrap();
            if there.iter().any(|it| name.contains(it.as_str())) {
                Reply::Send(proper(&body(1000), "\"1\"", request))
            } else {
                status("404 Not Found")
            }
        });
        let (case, mirror) = (case(), server.url(""));
        let output = fetch(&case, &[wanted, "--glibc", "2.36", "--mirror", &mirror]);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(stderr.contains(&format!(" is {newest}\n")), "{stderr}");
        assert_eq!(case.files().len(), 1);
    }
}

#[test]
fn series_without_a_release_is_told() {
    let server = Server::start(|_, _| status("404 Not Found"));
    let output = fetch(&case(), &["9.9", "--mirror", &server.url("")]);
    assert_eq!(
        text(&output.stderr),
        "repack: error: found no release of MySQL 9.9\n  next: look the series up on the \
         vendor's download page, and pass a full version or a URL\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// A proxy that answers every request with `answer` and notes its first line.
fn proxy(answer: &'static [u8]) -> (String, std::sync::mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection: TcpStream = connection.unwrap();
            let mut start = vec![0; 4096];
            let read = connection.read(&mut start).unwrap_or_default();
            start.truncate(read);
            let _ = connection.write_all(answer);
            if sender.send(start).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

#[test]
fn proxy_of_each_name_is_used_and_none_is_passed_by() {
    let body = body(1000);
    let server = Server::well_behaved(&body);
    let url = server.url("/my-1.tar.gz");
    // What is asked for by way of SOCKS 5 begins with its version, by way of HTTP with the method.
    let rows: [(&str, &str, &[u8]); 5] = [
        ("http_proxy", "http://", b"GET"),
        ("HTTP_PROXY", "http://", b"GET"),
        ("http_proxy", "", b"GET"),
        ("ALL_PROXY", "socks5://", b"\x05"),
        ("all_proxy", "socks5h://", b"\x05"),
    ];
    for (variable, scheme, start) in rows {
        let (address, seen) = proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        let case = case();
        let mut command = case.command();
        let output = command
            .env(variable, format!("{scheme}{address}"))
            .args(["fetch", "--retry-delay", "1", &url])
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{variable}: {}",
            text(&output.stderr)
        );
        assert!(
            seen.recv().unwrap().starts_with(start),
            "{variable} {scheme}"
        );
        assert_eq!(case.files(), [""; 0]);
    }
    assert_eq!(server.requests(), []);
    // Whom NO_PROXY names, in the form that people write.
    let case = case();
    let output = case
        .command()
        .env("http_proxy", "http://127.0.0.1:1")
        .env("NO_PROXY", "localhost, 127.0.0.1")
        .args(["fetch", &url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn proxy_that_refuses_is_told_from_the_server() {
    let rows: [(&[u8], &str, &str); 2] = [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "407",
            "put the credentials into HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "403",
            "ask who runs the proxy to let this URL through, or name it in NO_PROXY",
        ),
    ];
    for (answer, status, next) in rows {
        let (address, _seen) = proxy(answer);
        let output = case()
            .command()
            .env("https_proxy", format!("http://{address}"))
            .args(["fetch", "https://a.example/my-1.tar.gz"])
            .output()
            .unwrap();
        let expected = format!(
            "repack: error: cannot fetch https://a.example/my-1.tar.gz\n  \
             cause: the proxy answered with HTTP status {status}\n  next: {next}\n"
        );
        assert_eq!(text(&output.stderr), expected);
    }
}

#[test]
fn machine_without_curl_or_with_an_old_one_is_told() {
    let case = case();
    let fetch = |case: &crate::Case| {
        let mut command = case.command();
        command.env("PATH", case.path("bin"));
        let output = command.args(["fetch", "https://a.example/a.tar.gz"]);
        text(&output.output().unwrap().stderr).to_owned()
    };
    fs::create_dir(case.path("bin")).unwrap();
    assert_eq!(
        fetch(&case),
        "repack: error: curl is not installed, and repack fetch downloads with it\n  \
         next: install curl (apt-get install curl), or download the tarball by hand\n"
    );
    let curl = case.path("bin/curl");
    fs::write(&curl, "#!/bin/sh\necho curl 7.29.0 \\(x86_64\\)\n").unwrap();
    fs::set_permissions(&curl, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(
        fetch(&case),
        "repack: error: curl 7.29.0 is too old: repack fetch needs 7.76 or later\n  \
         next: install a newer one, or download the tarball by hand\n"
    );
}

#[test]
fn secret_of_a_url_is_in_no_argument() {
    let server = Server::start(|_, _| Reply::Hang(Vec::new()));
    let case = case();
    let url = server
        .url("/my-1.tar.gz?token=hidden")
        .replace("://", "://user:hidden@");
    let mut run = case.command();
    let mut run = run.args(["fetch", &url]).process_group(0).spawn().unwrap();
    let deadline = SystemTime::now() + Duration::from_mins(1);
    while server.requests().is_empty() {
        assert!(SystemTime::now() < deadline, "nobody asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let child = fs::read_to_string(children).unwrap();
    let line = fs::read(format!("/proc/{}/cmdline", child.trim())).unwrap();
    end_group(&mut run);
    assert_eq!(line, b"curl\0--disable\0--config\0-\0");
}
