//! A container as an OCI bundle, run by whichever of runc, crun and youki works here: a user
//! without rights, a read-only system, its own processes, limits of memory and processes as far as
//! we have the right to set any. It shares this machine's network, because its ports are this
//! machine's.

mod bundle;
mod groups;
mod mounts;
mod oom;
mod rootless;
mod seccomp;
mod session;
mod trial;

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hook::CommandError;
use oci_spec::runtime::{Process as ProcessSpec, Spec};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Beside, Call, ENVIRONMENT, Limited, Runtime, RuntimeError};
use crate::host::account::Account;
use crate::host::files::{self, FileError};
use crate::host::stage::{self, Apart};
use crate::model::memory::Memory;
use crate::output::tail;
use crate::runtime::stray_processes::{self, MARKER, Process, ProcessError};
use crate::state::container::{Paths, Variables};
use oom::OomScores;
use rootless::Rights;
pub(in crate::runtime) use trial::{discard, probe};

/// What somebody types is killed before the service is. Not every engine passes a score on to a
/// process beside the first.
const KILLED_FIRST: &str = "echo 1000 >/proc/self/oom_score_adj; exec \"$@\"";
/// Of an engine that fails.
const LAST_WORDS: usize = 5;
/// The container's home, below its root.
const HOME_BELOW: &str = "home/dotcloud";

/// One OCI runtime.
#[derive(Debug)]
pub(crate) struct OciRuntime {
    engine: PathBuf,
    /// To be seen by the container, wherever it is.
    supervisord: Option<PathBuf>,
    account: Account,
    rights: Rights,
    /// Whether it limits system calls.
    filters: bool,
}

impl OciRuntime {
    /// The runtime that `container` was made with, if one of these.
    pub(super) fn of(account: Account, container: &Paths) -> Result<Option<Self>, RuntimeError> {
        let path = config(container);
        if files::look(&path)?.is_none() {
            return Ok(None);
        }
        let spec = load(container)?;
        Ok(bundle::engine(&spec).map(|engine| Self {
            engine,
            supervisord: None,
            account,
            rights: Rights::of(&spec),
            filters: bundle::filters(&spec),
        }))
    }

    /// `ENGINE --root STATE`, to which a verb is to be added.
    fn engine(&self, container: &Paths) -> Command {
        self.begin(Command::new(&self.engine), container)
    }

    fn begin(&self, mut command: Command, container: &Paths) -> Command {
        command
            .env_clear()
            .envs(ENVIRONMENT)
            // Signals with which Go interrupts itself: runc before 1.1.8 passes them on to the program.
            .env("GODEBUG", "asyncpreemptoff=1")
            // By which we find one that goes on although we were killed.
            .env(MARKER, container.root());
        if self.rights == Rights::Session {
            command
                .env("XDG_RUNTIME_DIR", session::directory(&self.account))
                .arg("--systemd-cgroup");
        }
        command.arg("--root").arg(container.engine_state());
        command
    }

    /// The engine that runs `call` as the first program of the container, with the kernel's
    /// `oom_score_adj`.
    fn run(
        &self,
        container: &Paths,
        call: &Call<'_>,
        oom_score: Option<i32>,
    ) -> Result<Command, RuntimeError> {
        self.forget(container)?;
        let mut spec = load(container)?;
        // It may have been moved since it was made.
        bundle::relocate(&mut spec, container, self.rights);
        let process = spec.process().clone().unwrap_or_default();
        let mut process = fill(process, container, call);
        let words = process.args().clone().unwrap_or_default();
        process
            .set_args(Some(self.rights.first(words)))
            .set_oom_score_adj(oom_score);
        spec.set_process(Some(process));
        save(container, &spec)?;
        let mut command = self.engine(container);
        command.arg("run").arg("--bundle").arg(container.bundle());
        Ok(command)
    }

    /// Makes the engine forget the container; it ends what runs in it.
    fn forget(&self, container: &Paths) -> Result<(), RuntimeError> {
        let id = bundle::id(container);
        Self::forget_others(container, &id)?;
        if files::look(&container.engine_state().join(&id))?.is_none() {
            return Ok(());
        }
        let mut command = self.engine(container);
        command.args(["delete", "--force", &id]);
        stage::run(&mut command, b"")
            .map(drop)
            .map_err(|source| Self::failed("remove", container, source))
    }

    /// Removes what an engine remembers of the container in another place. The engine is not asked: of
    /// a copied container, it would end what runs in the original.
    fn forget_others(container: &Paths, id: &str) -> Result<(), FileError> {
        let Ok(entries) = fs::read_dir(container.engine_state()) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(bundle::ID_PREFIX) && *name != *id {
                files::remove(&entry.path())?;
                groups::remove_empty(&name.to_string_lossy());
            }
        }
        Ok(())
    }

    fn failed(action: &'static str, container: &Paths, source: CommandError) -> RuntimeError {
        RuntimeError::Engine {
            action,
            container: container.root().to_owned(),
            source: Box::new(source),
        }
    }
}

impl Runtime for OciRuntime {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn describe(&self) -> String {
        let engine = self.engine.display();
        let mut text = match self.rights {
            Rights::Root => format!("oci, by {engine}"),
            Rights::Session => format!("oci, by {engine}, rootless"),
            Rights::Namespaces => format!("oci, by {engine}, rootless: {}", rootless::unlimited()),
        };
        if !self.filters {
            text.push_str("; it has no seccomp: every system call is allowed");
        }
        text
    }

    fn inside(&self, container: &Paths, path: &Path) -> PathBuf {
        bundle::inside(container, path)
    }

    fn oom_score(&self) -> Option<i32> {
        // Without a limit of its own the container is no worse than the rest of this machine.
        self.rights
            .limit_memory()
            .then(|| OomScores::here().programs)
    }

    fn provision(
        &self,
        container: &Paths,
        host: &str,
        memory: Option<Memory>,
    ) -> Result<(), RuntimeError> {
        files::create_private(&container.temporary(), &self.account)?;
        let contents = bundle::Contents {
            engine: &self.engine,
            supervisord: self.supervisord.as_deref(),
            host,
            memory,
            account: &self.account,
            rights: self.rights,
            filters: self.filters,
        };
        let spec = bundle::make(container, &contents)?;
        save(container, &spec)
    }

    fn hook(&self, container: &Paths, call: &Call<'_>) -> Result<Command, RuntimeError> {
        let mut command = self.run(container, call, None)?;
        command.arg(bundle::id(container));
        Ok(stage::apart(&command, None, None, Apart::Session))
    }

    fn beside(&self, container: &Paths, call: &Call<'_>) -> Result<Beside, RuntimeError> {
        let not_running = || RuntimeError::NotRunning {
            container: container.root().to_owned(),
        };
        if self.processes(container)?.is_empty() {
            return Err(not_running());
        }
        let spec = load(container)?;
        let mut process = fill(spec.process().clone().unwrap_or_default(), container, call);
        process.set_oom_score_adj(None);
        let mut words = ["/bin/sh", "-c", KILLED_FIRST, "sh"]
            .map(str::to_owned)
            .to_vec();
        words.extend(process.args().clone().unwrap_or_default());
        let words = self.rights.beside(read_pid(container)?, words);
        process.set_args(Some(words.ok_or_else(not_running)?));
        let engine = match self.rights {
            Rights::Session => session::scope(&self.engine),
            Rights::Root | Rights::Namespaces => Command::new(&self.engine),
        };
        let mut command = self.begin(engine, container);
        command
            // What somebody types ends when they are done, not with the container's deployment.
            .env_remove(MARKER)
            .arg("exec")
            .arg("--process")
            .arg(in_memory(container, &process)?)
            .arg(bundle::id(container));
        Ok(if call.terminal {
            Beside::Joined(command)
        } else {
            // Not every engine puts pipes between our streams and the program's.
            Beside::Streams(stage::apart(&command, None, None, Apart::Session))
        })
    }

    fn own_terminal(&self) -> bool {
        true
    }

    fn start(
        &self,
        container: &Paths,
        call: &Call<'_>,
        errors: File,
    ) -> Result<Option<OwnedFd>, RuntimeError> {
        let failed = |source| RuntimeError::Start {
            program: self.engine.clone(),
            source,
        };
        let mut command = self.run(container, call, OomScores::here().supervisord)?;
        command
            .arg("--detach")
            .arg("--pid-file")
            .arg(pid_file(container))
            .arg(bundle::id(container));
        let mut command = stage::apart(&command, None, None, Apart::Daemon);
        command.stdin(Stdio::null()).stderr(errors);
        let status = stage::spawn(&mut command)
            .and_then(|mut engine| engine.wait())
            .map_err(failed)?;
        if !status.success() {
            let source = CommandError::Fail {
                program: self.engine.clone().into(),
                status,
                last_words: tail::last_lines(&container.errors(), LAST_WORDS),
            };
            return Err(Self::failed("start", container, source));
        }
        let Some(pid) = read_pid(container)?.and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => {
                if self.rights != Rights::Root {
                    rootless::wait_for_entry(pid.as_raw_nonzero().get());
                }
                Ok(Some(process))
            }
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    fn account(&self) -> Account {
        self.account
    }

    fn runs(&self, container: &Paths, pid: i32) -> bool {
        Inside::of(container).has(&stray_processes::directory(pid))
    }

    fn processes(&self, container: &Paths) -> Result<Vec<Process>, ProcessError> {
        let inside = Inside::of(container);
        let marker = stray_processes::marker(container);
        stray_processes::scan(|process| {
            !stray_processes::is_zombie(process)
                && (inside.has(process) || stray_processes::is_marked(process, &marker))
        })
    }

    fn group_name(&self, container: &Paths) -> Option<String> {
        self.rights.limit_memory().then(|| bundle::id(container))
    }

    fn end(&self, container: &Paths, tell: &mut dyn FnMut(&Process)) -> Result<(), RuntimeError> {
        // The first process of a container takes all others along, and heeds nothing but KILL.
        stray_processes::kill(|| self.processes(container), tell)?;
        self.forget(container)?;
        groups::remove(&bundle::id(container));
        Ok(())
    }

    fn limit(&self, container: &Paths, memory: Option<Memory>) -> Result<Limited, RuntimeError> {
        if !self.rights.limit_memory() {
            return Ok(Limited::Recorded);
        }
        if !self.processes(container)?.is_empty() {
            let bytes = memory.map_or("-1".to_owned(), |memory| memory.bytes().to_string());
            let mut command = self.engine(container);
            command.args(["update", "--memory", &bytes, "--memory-swap", &bytes]);
            command.arg(bundle::id(container));
            stage::run(&mut command, b"")
                .map_err(|source| Self::failed("limit the memory of", container, source))?;
        }
        let mut spec = load(container)?;
        if let Some(linux) = spec.linux_mut()
            && let Some(resources) = linux.resources_mut()
        {
            resources.set_memory(memory.map(bundle::limit));
        }
        save(container, &spec)?;
        Ok(Limited::Enforced)
    }
}

/// What tells the processes in a container, but not the engine that starts them.
struct Inside {
    id: String,
    home: Option<Metadata>,
}

impl Inside {
    fn of(container: &Paths) -> Self {
        Self {
            id: bundle::id(container),
            home: container.home().metadata().ok(),
        }
    }

    fn has(&self, process: &Path) -> bool {
        let in_group =
            || fs::read_to_string(process.join("cgroup")).is_ok_and(|text| text.contains(&self.id));
        // Without rights over control groups: who calls the same directory home.
        let at_home = || {
            let seen = process.join("root").join(HOME_BELOW).metadata().ok();
            seen.zip(self.home.as_ref())
                .is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
        };
        in_group() || at_home()
    }
}

/// Makes `process` the one of `call`.
fn fill(mut process: ProcessSpec, container: &Paths, call: &Call<'_>) -> ProcessSpec {
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let mut variables: Variables = ENVIRONMENT
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    variables.extend(call.variables.clone());
    variables.insert("HOME".to_owned(), bundle::HOME.to_owned());
    let environment = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let words = std::iter::once(&call.program).chain(&call.arguments);
    process
        .set_args(Some(words.map(text).collect()))
        .set_env(Some(environment))
        .set_cwd(bundle::inside(container, call.directory))
        .set_terminal(Some(call.terminal));
    process
}

/// A file that nobody else can read, and that ends with whom we start: `process` has the variables
/// of the service.
fn in_memory(container: &Paths, process: &ProcessSpec) -> Result<String, RuntimeError> {
    let failed = |source| files::failed("describe a process for", container.root())(source);
    let descriptor = rustix::fs::memfd_create("process", MemfdFlags::empty())
        .map_err(|error| failed(error.into()))?;
    let mut file = File::from(descriptor);
    serde_json::to_writer(&file, process).map_err(|error| failed(error.into()))?;
    file.flush().map_err(failed)?;
    // It stays open until the engine has read it, and the engine is what we become.
    Ok(format!("/proc/self/fd/{}", file.into_raw_fd()))
}

fn pid_file(container: &Paths) -> PathBuf {
    container.bundle().join("pid")
}

/// The first process that the engine started last.
fn read_pid(container: &Paths) -> Result<Option<i32>, FileError> {
    let path = pid_file(container);
    let text = fs::read_to_string(&path).map_err(files::failed("read", &path))?;
    Ok(text.trim().parse().ok())
}

fn config(container: &Paths) -> PathBuf {
    container.bundle().join("config.json")
}

fn load(container: &Paths) -> Result<Spec, RuntimeError> {
    let path = config(container);
    let text = fs::read(&path).map_err(files::failed("read", &path))?;
    serde_json::from_slice(&text).map_err(|source| RuntimeError::Read { path, source })
}

/// Readable by us only: it has the variables of the service.
fn save(container: &Paths, spec: &Spec) -> Result<(), RuntimeError> {
    let path = config(container);
    let text = serde_json::to_vec_pretty(spec)
        .map_err(|error| files::failed("write", &path)(error.into()))?;
    Ok(files::replace(&path, &text, 0o600)?)
}
