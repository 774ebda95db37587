//! The disk is full at any moment of the first start: the lock, the credentials, the option file, the
//! copy of the seed, the server's own start. What failed says so; with room, a plain start succeeds.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::check::{PASSWORD, on_each};
use crate::points::Sweep;
use crate::real::{Instance, Running, Server};
use crate::sandbox::{in_mount_namespace, wait_for};

/// A server that can neither go on nor stop waits for room; that is as good as an end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A home on a filesystem of its own, with `$FREE` bytes for the first start and room for the second,
/// which begins with the next line of standard input.
const SCRIPT: &str = r#"
mkdir "$HOME.new"
mount -t tmpfs -o size=900m none "$HOME.new"
cp -a "$HOME/." "$HOME.new"
mount --move "$HOME.new" "$HOME"
used=$(df --output=used -B1 "$HOME" | tail -1)
mount --options-mode ignore -o "remount,size=$((used + FREE))" "$HOME"
cd "$HOME"
$AS_USER "$HOME/starttest" </dev/null &
echo "first $!"
wait $! || status=$?
echo "ended ${status-0}"
read -r _
mount --options-mode ignore -o remount,size=900m "$HOME"
tail -n +1 -F --pid=$$ "$HOME/data/logs/error.log" >&2 2>/dev/null &
exec $AS_USER "$HOME/starttest" </dev/null
"#;

/// How a first start without room ended.
#[derive(Debug)]
enum First {
    /// There was enough.
    Served,
    /// It, or the server it became, ended.
    Ended,
    /// The server waits.
    Waits,
}

fn login(instance: &Instance) -> Option<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(instance.port)
        .prefer_socket(false)
        .user(Some("root"))
        .pass(Some(PASSWORD));
    Conn::new(options).ok()
}

/// What the script prints, line by line.
fn lines(running: &mut Running) -> Receiver<String> {
    let (sender, receiver) = channel();
    let output = BufReader::new(running.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn first(instance: &Instance, lines: &Receiver<String>) -> First {
    let said = |timeout| match lines.recv_timeout(timeout) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Timeout) => None,
        Err(error @ RecvTimeoutError::Disconnected) => panic!("the script: {error}"),
    };
    let pid = said(Duration::from_mins(1)).unwrap();
    let pid = pid.strip_prefix("first ").unwrap().to_owned();
    let begin = std::time::Instant::now();
    loop {
        let end = if login(instance).is_some() {
            First::Served
        } else if begin.elapsed() > PATIENCE {
            let open = TcpStream::connect(("127.0.0.1", instance.port)).is_ok();
            assert!(!open, "it serves, and root cannot log in");
            First::Waits
        } else if let Some(line) = said(Duration::from_millis(20)) {
            assert!(line.starts_with("ended ") && line != "ended 0", "{line}");
            return First::Ended;
        } else {
            continue;
        };
        let kill = Command::new("kill").args(["-KILL", &pid]).status();
        assert!(kill.unwrap().success());
        assert_eq!(said(Duration::from_mins(1)).unwrap(), "ended 137");
        return end;
    }
}

fn next(stdin: &mut Option<ChildStdin>) {
    stdin.take().unwrap().write_all(b"go on\n").unwrap();
}

/// With `free` bytes; what the hook said, and how it ended.
fn full_at(server: Server, free: u64) -> (First, String) {
    let instance = Instance::new(server);
    let log = instance.sandbox.path().join("said");
    let mut command = in_mount_namespace(SCRIPT);
    for (name, value) in instance.hook("starttest").get_envs() {
        command.env(name, value.unwrap());
    }
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .env("FREE", free.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap());
    let mut running = Running(command.spawn().unwrap());
    let lines = lines(&mut running);
    let end = first(&instance, &lines);
    let said = fs::read_to_string(&log).unwrap();
    next(&mut running.0.stdin);
    let mut root = wait_for("a start with room", || {
        let ended = running.0.try_wait().unwrap();
        let said = || fs::read_to_string(&log).unwrap();
        assert!(ended.is_none(), "{end:?}: {ended:?} {}", said());
        login(&instance)
    });
    let nobody: u64 = root
        .query_first("SELECT COUNT(*) FROM mysql.user WHERE User = ''")
        .unwrap()
        .unwrap();
    assert_eq!(nobody, 0);
    (end, said)
}

/// Page by page at first, then ever wider apart: half of the points are within the first megabyte.
fn bytes(fraction: f64) -> u64 {
    let pages = (16.0 * fraction).exp2() - 1.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below 65,536"
    )]
    let pages = pages as u64;
    4096 * pages
}

#[test]
fn g7_full_disk_at_any_moment_of_the_first_start_is_told_and_repaired() {
    on_each(sweep);
}

fn sweep(server: Server) {
    Sweep::new(&format!("disk full at the first start of {server:?}"), 4).each(1, |point| {
        let free = bytes(point.fraction);
        let (end, said) = full_at(server, free);
        let error = said.lines().find(|line| line.contains("error: "));
        println!("{server:?}, {free} bytes: {end:?}, {error:?}");
        match end {
            // Of starttest, or of the server, which has a log of its own.
            First::Ended if error.is_some() => {
                assert!(said.contains("next: make room on the disk"), "{said}");
                let known = [
                    "error 28",
                    "No space left on device",
                    "out of disk space",
                    "' is full",
                    " of room, and a fresh database needs",
                ];
                assert!(known.iter().any(|words| said.contains(words)), "{said}");
            }
            First::Ended | First::Waits => {
                assert!(said.contains("- becoming "), "{said}");
            }
            First::Served => assert!(free > 1 << 20, "{free} bytes cannot be enough"),
        }
    });
}
