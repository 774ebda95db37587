//! Against a real supervisord.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use hook::Environment;
use rustix::process::kill_process;
use tempfile::TempDir;

use super::super::{Container, Impostor, start_command, write_config};
use super::*;
use crate::host::account::Account;
use crate::host::supervisord::find;
use crate::runtime::ProcessRuntime;
use crate::runtime::stray_processes::MARKER;

/// A container's directories with a real supervisord; none is left behind.
struct Running {
    supervisor: Supervisor,
    config: PathBuf,
    directory: TempDir,
    child: Child,
}

impl Running {
    fn start(programs: &[(&str, &str)], profile: &str) -> Self {
        let supervisord = find(&Environment::of_process())
            .expect("these tests need a real supervisord: apt-get install supervisor");
        // The blank is part of the test.
        let directory = TempDir::with_prefix("a b").unwrap();
        let [run_dir, log_dir, home] = ["run", "log", "home"].map(|name| {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        });
        fs::write(home.join("profile"), profile).unwrap();
        let programs: BTreeMap<String, String> = programs
            .iter()
            .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
            .collect();
        let config = write_config(&Container {
            config: &directory.path().join("supervisord.conf"),
            socket: &run_dir.join("supervisor.sock"),
            run_dir: &run_dir,
            log_dir: &log_dir,
            home: &home,
            oom_score: None,
            programs: &programs,
        })
        .unwrap();
        let child = start_command(&supervisord, &config)
            .env_clear()
            .env("HOME", &home)
            .env(MARKER, directory.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let container = Paths::new(directory.path().to_owned());
        let runtime = Box::new(ProcessRuntime::new(Account::current()));
        Self {
            supervisor: Supervisor::new(runtime, &container),
            config,
            directory,
            child,
        }
    }

    fn states(&self) -> Vec<(String, ProgramState)> {
        let programs = self.supervisor.status().unwrap_or_default();
        programs.into_iter().map(|p| (p.name, p.state)).collect()
    }

    fn wait_for(&self, expected: &[(&str, ProgramState)]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let states = self.states();
            if states
                .iter()
                .map(|(name, state)| (&**name, *state))
                .eq(expected.iter().copied())
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{states:?} instead of {expected:?}"
            );
            std::thread::sleep(TICK);
        }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join("log").join(name)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.supervisor.shutdown(Duration::from_secs(20));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn supervisord_runs_restarts_and_goes() {
    let speak = r#"sh -c 'echo "$MARK 100% ;ok #x \ $0"; echo oops >&2; exec sleep 600' "a b""#;
    let running = Running::start(
        &[("web", speak), ("worker", "~/run")],
        "export MARK=marked\n",
    );
    running.wait_for(&[
        ("web", ProgramState::Running),
        ("worker", ProgramState::Fatal),
    ]);
    assert_eq!(running.log("web.log"), "marked 100% ;ok #x \\ a b\n");
    assert_eq!(running.log("web_error.log"), "oops\n");
    assert!(running.log("worker_error.log").contains("No such file"));

    let (supervisor, config) = (&running.supervisor, &running.config);
    let answers = supervisor.pid().unwrap();
    assert_eq!(answers, Some(Pid::from_child(&running.child)));
    let web = || supervisor.status().unwrap().remove(0);
    let before = web();
    let pid = |web: &ProgramStatus| {
        let (pid, _uptime) = web.text.strip_prefix("pid ")?.split_once(',')?;
        Some(pid.to_owned())
    };
    let process = PathBuf::from("/proc").join(pid(&before).unwrap());
    let command = fs::read(process.join("cmdline")).unwrap();
    assert_eq!(
        command, b"sleep\x00600\0",
        "exec, without a shell in between"
    );
    let home = running.directory.path().join("home");
    let cwd = fs::read_link(process.join("cwd")).unwrap();
    assert_eq!(cwd, home);

    supervisor.stop_all().unwrap();
    assert_eq!(web().state, ProgramState::Stopped);
    let text = format!(
        "cannot start with {}: SPAWN_ERROR: worker",
        config.display()
    );
    assert_eq!(supervisor.restart().unwrap_err().to_string(), text);
    let after = web();
    assert_eq!(after.state, ProgramState::Running);
    assert_ne!(pid(&after), pid(&before));

    supervisor.shutdown(Duration::from_secs(20)).unwrap();
    assert_eq!(supervisor.pid().unwrap(), None);
    supervisor.shutdown(Duration::from_secs(20)).unwrap();
    for result in [supervisor.stop_all(), supervisor.status().map(drop)] {
        let text = result.unwrap_err().to_string();
        assert_eq!(
            text,
            format!("no supervisord answers for {}", config.display())
        );
    }
}

#[test]
fn shutdown_past_its_deadline_is_an_error() {
    let running = Running::start(&[("deaf", "sh -c 'trap \"\" TERM; exec sleep 600'")], "");
    running.wait_for(&[("deaf", ProgramState::Running)]);
    let error = running.supervisor.shutdown(Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "supervisord (pid {}) is still there 0 s after it was told to shut down",
            running.child.id()
        )
    );
}

#[test]
fn ask_frozen_supervisord_is_given_up() {
    let running = Running::start(&[("a", "sleep 600")], "");
    running.wait_for(&[("a", ProgramState::Running)]);
    let supervisord = Pid::from_child(&running.child);
    kill_process(supervisord, Signal::STOP).unwrap();
    let limit = Duration::from_secs(1);
    let answer = running.supervisor.ask_within(limit, "getState", &[], "ask");
    kill_process(supervisord, Signal::CONT).unwrap();
    let error = answer.unwrap_err();
    assert!(matches!(error, SupervisorError::Silent { .. }), "{error}");
}

#[test]
fn peer_that_is_not_the_containers_is_refused() {
    let running = Running::start(&[("a", "sleep 600")], "");
    running.wait_for(&[("a", ProgramState::Running)]);
    let other = tempfile::tempdir().unwrap();
    let run = other.path().join("run");
    fs::create_dir(&run).unwrap();
    let socket = run.join("supervisor.sock");
    let runtime = Box::new(ProcessRuntime::new(Account::current()));
    let supervisor = Supervisor::new(runtime, &Paths::new(other.path().to_owned()));
    let reason = || match supervisor.status().unwrap_err() {
        SupervisorError::Foreign { reason, .. } => Some(reason),
        SupervisorError::NotRunning { .. } => None,
        error => panic!("{error}"),
    };
    let theirs = running.directory.path().join("run/supervisor.sock");
    let stranger = Some(Impostor::Stranger {
        pid: running.child.id().cast_signed(),
        uid: Account::current().uid,
    });

    assert_eq!(reason(), None);
    symlink(&theirs, &socket).unwrap();
    assert_eq!(reason(), Some(Impostor::Link));
    fs::remove_file(&socket).unwrap();
    // Another name of the same socket.
    fs::hard_link(&theirs, &socket).unwrap();
    assert_eq!(reason(), stranger);
    fs::remove_file(&socket).unwrap();
    fs::create_dir(&socket).unwrap();
    assert_eq!(reason(), Some(Impostor::NoSocket));
    fs::remove_dir(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    assert_eq!(reason(), Some(Impostor::NoSocket));
    fs::remove_file(&socket).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &socket,
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert_eq!(reason(), Some(Impostor::NoSocket));
    fs::remove_file(&socket).unwrap();
    let ours = UnixListener::bind(&socket).unwrap();
    assert!(matches!(reason(), Some(Impostor::Stranger { .. })));
    drop(ours);
    assert_eq!(reason(), None);
    fs::remove_dir_all(&run).unwrap();
    assert_eq!(reason(), None);
    symlink(theirs.parent().unwrap(), &run).unwrap();
    assert_eq!(reason(), Some(Impostor::Link));
    supervisor.shutdown(Duration::ZERO).unwrap_err();
    assert_eq!(running.states(), [("a".to_owned(), ProgramState::Running)]);
}
