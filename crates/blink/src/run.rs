//! A run: servers for as long as a command, or somebody, needs them.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hook::{Environment, Report, stop_signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cache::Cache;
use crate::cli::Start;
use crate::command::{Running, Wanted, status_of};
use crate::control::{Control, VARIABLE};
use crate::error::Error;
use crate::parent::Parent;
use crate::place::Places;
use crate::release::Release;
use crate::seed::{Nursery, SeedError, load, save};
use crate::server::{Plan, Server};

/// How often we look ourselves, where nothing wakes us: for a signal that came a moment too early.
const LOOK: Duration = Duration::from_millis(200);

/// How long a command may take to end once whoever started us is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// SIGTERM, SIGKILL and SIGINT.
const TERM: i32 = 15;
const KILL: i32 = 9;
const INT: i32 = 2;

/// Does what the command line says, and tells how to exit.
pub(crate) fn run(
    start: &Start,
    environment: &Environment,
    report: &mut Report,
) -> Result<u8, Error> {
    let parent = Parent::find();
    let command = Wanted::find(&start.command, environment)?;
    let places = Places::find(environment, start.directory.as_deref())?;
    places.sweep(false);
    let cache = Cache::open(environment, start.cache.as_deref(), &places)?;
    let (release, seed) = begin_with(start, &cache, &places, environment, report)?;
    if is_left_alone(start, &parent) {
        return Ok(0);
    }
    let plan = Plan {
        release: &release,
        seed: &seed,
        places: &places,
        durable: start.durable,
    };
    let servers = plan.start(start.servers.into())?;
    let first = servers.first().map_or(places.disk(), Server::home);
    let control = Control::listen(first)?;
    let mut watch = Watch {
        start,
        plan,
        parent,
        control,
        servers,
        report,
    };
    let status = match command {
        Some(command) => watch.command(&command, environment)?,
        None => watch.stay()?,
    };
    let Watch {
        servers, report, ..
    } = watch;
    if let Some(name) = &start.save {
        if status == 0 {
            keep(servers, name, &cache, &release, report)?;
        } else {
            report.warning(format!("the command failed: '{name}' was not saved"));
        }
    }
    places.sweep(true);
    Ok(status)
}

/// The release and the data directory to begin with.
fn begin_with(
    start: &Start,
    cache: &Cache,
    places: &Places,
    environment: &Environment,
    report: &mut Report,
) -> Result<(Release, PathBuf), Error> {
    let fetch = |wanted: &str, directory: &std::path::Path| {
        let sources = repack::Sources {
            mirror: text(environment, "REPACK_MIRROR"),
            http_proxy: environment
                .get("http_proxy")
                .or_else(|| environment.get("HTTP_PROXY"))
                .map(OsString::from),
        };
        repack::fetch_release(wanted, directory, sources)
    };
    let Some(name) = &start.seed else {
        let release = Release::find(start.release.as_deref(), cache, &fetch, report)?;
        let nursery = Nursery {
            cache,
            places,
            release: &release,
        };
        let seed = nursery.seed(start.init.as_deref(), report)?;
        return Ok((release, seed));
    };
    let (data, note) = load(cache, name)?;
    let release = start.release.as_ref().unwrap_or(&note.basedir);
    let release = Release::find(Some(release), cache, &fetch, report)?;
    let wanted = release.server.to_string();
    if wanted != note.server {
        return Err(SeedError::OtherServer {
            name: name.clone(),
            saved: note.server,
            wanted,
        }
        .into());
    }
    Ok((release, data))
}

fn text(environment: &Environment, name: &str) -> Option<String> {
    environment.get(name)?.to_str().map(str::to_owned)
}

/// Stops the first of `servers` and keeps its data.
fn keep(
    servers: Vec<Server>,
    name: &str,
    cache: &Cache,
    release: &Release,
    report: &mut Report,
) -> Result<(), Error> {
    let Some(server) = servers.into_iter().next() else {
        return Ok(());
    };
    server.stop_then(|data| save(cache, release, data, name))??;
    report.bullet(format!("saved: 'blink --seed {name}' begins with it"));
    Ok(())
}

/// Why to look up from waiting.
struct Woken {
    asked: bool,
    parent_gone: bool,
    input: bool,
}

/// Waiting for what ends a run, and doing what is asked for meanwhile.
struct Watch<'a> {
    start: &'a Start,
    plan: Plan<'a>,
    parent: Parent,
    control: Control,
    servers: Vec<Server>,
    report: &'a mut Report,
}

impl Watch<'_> {
    /// Runs `command` to its end.
    fn command(&mut self, command: &Wanted, environment: &Environment) -> Result<u8, Error> {
        let mut running = command.start(environment, &self.variables())?;
        let (mut forwarded, mut alone) = (false, None::<Instant>);
        loop {
            if let Some(status) = running.ended() {
                return Ok(status_of(status));
            }
            if let Some(signal) = stop_signal().filter(|_| !forwarded) {
                forwarded = true;
                // A terminal has sent it the same.
                if signal != INT || !on_terminal() {
                    running.signal(signal);
                }
            }
            let woken = self.wait(running.descriptor())?;
            self.look_after(&woken);
            if woken.parent_gone {
                end(&mut running, &mut alone);
            }
        }
    }

    /// Says how to connect, and stays until it is told to end.
    fn stay(&mut self) -> Result<u8, Error> {
        let all = self.servers.iter().map(Server::variables);
        let text: String = if self.start.json {
            all.map(|variables| variables.json()).collect()
        } else {
            all.map(|variables| variables.lines()).collect()
        };
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
        loop {
            if stop_signal().is_some() {
                return Ok(0);
            }
            let woken = self.wait(None)?;
            if woken.parent_gone || (woken.input && input_has_ended()) {
                return Ok(0);
            }
            self.look_after(&woken);
        }
    }

    /// What the command's environment has besides ours.
    fn variables(&self) -> Vec<(String, OsString)> {
        let mut variables = Vec::new();
        for (number, server) in self.servers.iter().enumerate() {
            for (name, value) in server.variables().pairs() {
                if number == 0 {
                    variables.push((name.to_owned(), value.clone()));
                }
                if self.servers.len() > 1 {
                    variables.push((format!("{name}_{number}"), value));
                }
            }
        }
        let socket = self.control.path().as_os_str().to_owned();
        variables.push((VARIABLE.to_owned(), socket));
        variables
    }

    /// Waits until there is something to do, or a moment.
    fn wait(&self, end: Option<BorrowedFd<'_>>) -> Result<Woken, Error> {
        if self.parent.was_gone() {
            return Ok(Woken {
                asked: false,
                parent_gone: true,
                input: false,
            });
        }
        let (stdin, control) = (io::stdin(), self.control.descriptor());
        let input = self.start.until_eof.then(|| stdin.as_fd());
        let wanted = [Some(control), self.parent.descriptor(), input, end];
        let mut polled: Vec<_> = wanted
            .iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(LOOK).unwrap_or_default();
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::Wait(errno.into())),
        }
        let mut events = polled.iter().map(|polled| !polled.revents().is_empty());
        let mut of =
            |wanted: Option<BorrowedFd<'_>>| wanted.is_some() && events.next() == Some(true);
        Ok(Woken {
            asked: of(wanted[0]),
            parent_gone: of(wanted[1]),
            input: of(wanted[2]),
        })
    }

    /// Starts what is asked for, and tells of servers that end by themselves.
    fn look_after(&mut self, woken: &Woken) {
        if woken.asked {
            let (plan, servers) = (&self.plan, &mut self.servers);
            self.control.answer(|| {
                let mut started = plan.start(1).map_err(|error| error.to_string())?;
                let server = started.pop().ok_or_else(String::new)?;
                let variables = server.variables();
                let answer = (variables.lines(), variables.json());
                servers.push(server);
                Ok(answer)
            });
        }
        for server in &mut self.servers {
            if let Some(words) = server.last_words() {
                self.report.warning(format!("a server has ended: {words}"));
            }
        }
    }
}

/// Whether nobody wants a server any more: a first run may have taken a while until here.
fn is_left_alone(start: &Start, parent: &Parent) -> bool {
    let stdin = io::stdin();
    let is_ready = |descriptor: BorrowedFd<'_>| {
        let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    };
    parent.was_gone()
        || parent.descriptor().is_some_and(is_ready)
        || (start.until_eof && is_ready(stdin.as_fd()) && input_has_ended())
}

/// Reads what there is, which is for nobody.
fn input_has_ended() -> bool {
    matches!(io::stdin().read(&mut [0; 64]), Ok(0) | Err(_))
}

/// Tells a command to end, then sees to it.
fn end(running: &mut Running, alone: &mut Option<Instant>) {
    match alone {
        None => {
            running.signal(TERM);
            *alone = Some(Instant::now());
        }
        Some(since) if since.elapsed() > PATIENCE => running.signal(KILL),
        // Its end wakes us no more than the parent's did: a moment.
        Some(_) => std::thread::sleep(Duration::from_millis(10)),
    }
}

fn on_terminal() -> bool {
    use std::io::IsTerminal;
    io::stdin().is_terminal() || io::stderr().is_terminal()
}
