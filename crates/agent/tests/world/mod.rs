//! What the tests of the agent share: a service, the agent beside it, and a client that believes nothing.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::openmetrics;
use crate::real::{Instance, Running, Server, free_port};
use crate::sandbox::wait_for;

pub const PASSWORD: &str = "of the tests";

/// A home directory of `server` without a database.
pub fn home(server: Server) -> Instance {
    let instance = Instance::new(server);
    let mut install = Command::new("install");
    install.args(["-m", "755", env!("CARGO_BIN_EXE_agent")]);
    let installed = install.arg(instance.home().join("agent")).status();
    assert!(installed.unwrap().success());
    instance.sandbox.hand_over();
    instance
}

/// Its server, which may not be there yet.
pub fn start(instance: &Instance, options: &[&str]) -> Running {
    let mut command = instance.hook("starttest");
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .env("MYSQL_MEMORY", "600M")
        .args(options);
    instance.start(&mut command)
}

/// `agent check`: its status and what it says.
pub fn check(instance: &Instance, question: &str) -> (i32, String) {
    let mut command = instance.hook("agent");
    let output = command.args(["check", question]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

/// `agent serve`.
pub struct Agent {
    pub process: Child,
    pub port: u16,
}

impl Agent {
    pub fn start(instance: &Instance) -> Self {
        Self::spawn(&mut instance.hook("agent"), free_port())
    }

    /// `agent` without its arguments, in whichever surroundings.
    pub fn spawn(command: &mut Command, port: u16) -> Self {
        let process = command
            .arg("serve")
            .env("PORT_AGENT", port.to_string())
            .env("MYSQL_MEMORY", "600M")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, port };
        wait_for("the agent's first look", || {
            let connected = TcpStream::connect(("127.0.0.1", port)).is_ok();
            (connected && agent.state() != "unknown").then_some(())
        });
        agent
    }

    /// A whole exchange.
    pub fn exchange(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // One that refuses does not read to the end.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    /// Status and body.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        let answer = self.exchange(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{answer:?}"));
        let length = format!("Content-Length: {}", body.len());
        assert!(head.lines().any(|line| line == length), "{answer}");
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    /// As `/state` calls it.
    pub fn state(&self) -> String {
        let (status, text) = self.get("/state");
        assert_eq!(status, 200);
        let state = text.split("\"state\":\"").nth(1).unwrap();
        state.split('"').next().unwrap().to_owned()
    }

    /// Every sample without its labels; the text is what it has to be.
    #[track_caller]
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200);
        openmetrics::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// By TERM, with the status of one that was asked to.
    #[track_caller]
    pub fn stop(mut self) {
        let mut kill = Command::new("kill");
        assert!(
            kill.arg(self.process.id().to_string())
                .status()
                .unwrap()
                .success()
        );
        let status = wait_for("the agent's end", || self.process.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Until it serves.
#[track_caller]
pub fn ready(agent: &Agent) {
    wait_for("ready", || (agent.get("/ready").0 == 200).then_some(()));
}
