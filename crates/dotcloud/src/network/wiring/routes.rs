//! The routes of public ports: which instances serve at each, and whether who connects waits. Only we
//! write them; each gateway obeys as soon as it sees a new one, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{WiringError, gateway_name, gateway_state, keeper};
use crate::host::account::Account;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, Container, Instance, InstanceName};
use crate::model::port::Port;
use crate::model::port::PortKind;
use crate::network::gateway::{self, Answer, Check, Hold, Route, Shortcut, Target};
use crate::service::platform::Platform;
use crate::state::container::Paths;

/// For the previous instance to stop; the launch limit is for the next one alone.
const STOPPING: Duration = Duration::from_mins(1);
/// For gateways to say that they obey; they leave connections that are about to end 2 s.
const OBEDIENCE: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(5);

/// Points the public ports of `name` at its current container. When it returns nobody is sent
/// anywhere else any more.
pub(crate) fn point(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
) -> Result<(), WiringError> {
    write(platform, application, name, Stage::Settled)
}

/// The same for an instance that may not answer yet: who connects waits for it.
pub(crate) fn point_patiently(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
) -> Result<(), WiringError> {
    write(platform, application, name, Stage::Coming)
}

/// Leads nobody to the current container of `name` any more, which is about to be stopped: who
/// connects waits. When it returns those who came a moment before have ended, or had time to.
pub(crate) fn hold(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
) -> Result<(), WiringError> {
    write(platform, application, name, Stage::Leaving)
}

/// Points the checked ports of every service, which lead to all instances, once none of them changes
/// any more.
pub(crate) fn settle(platform: &Platform, application: &Application) -> Result<(), WiringError> {
    for (service, record) in &application.services {
        let checked = |container: &Container| !container.checks.is_empty();
        let found = record
            .instances
            .iter()
            .find(|(_, instance)| instance.current.as_ref().is_some_and(checked));
        if let Some((&number, _)) = found {
            point(platform, application, &InstanceName::new(service, number))?;
        }
    }
    Ok(())
}

/// Has nobody wait for anything: the application is being stopped.
pub(crate) fn close(platform: &Platform, application: &Application) -> Result<(), WiringError> {
    let paths = platform.store.public(&application.name);
    if files::look(&directory(&paths))?.is_none() {
        return Ok(());
    }
    for (name, instance) in application.instances() {
        for port in relayed(instance) {
            replace(&file(&paths, &name, port), &Route::default())?;
        }
    }
    Ok(())
}

/// What becomes of the instance whose routes are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Settled,
    Coming,
    Leaving,
}

fn write(
    platform: &Platform,
    application: &Application,
    name: &InstanceName,
    stage: Stage,
) -> Result<(), WiringError> {
    let paths = platform.store.public(&application.name);
    let Some(service) = application.services.get(&name.service) else {
        return Ok(());
    };
    let limit = platform.limits.launch;
    let hold = match stage {
        Stage::Settled => None,
        Stage::Coming => Some(Hold::new(limit, limit)),
        Stage::Leaving => Some(Hold::new(limit, limit + STOPPING)),
    };
    let leaving = (stage == Stage::Leaving).then_some(name.number);
    let token = token();
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for (&number, instance) in &service.instances {
        let other = InstanceName::new(&name.service, number);
        for port in relayed(instance) {
            // Every address of a checked port may lead to any instance.
            if number != name.number && !is_checked(instance, port) {
                continue;
            }
            let route = Route {
                token,
                targets: targets(&service.instances, number, port, leaving),
                hold,
                shortcut: (leaving.is_none() && !is_checked(instance, port))
                    .then(|| shortcut(application, instance.public[port]))
                    .flatten(),
            };
            replace(&file(&paths, &other, port), &route)?;
            written.push(gateway_state(&paths, &other, port));
            kept.push(keeper::directory(&paths).join(gateway_name(&other, port)));
        }
    }
    // Asked after the routes were written: one that is started now reads them as they are.
    if keeper::is_there(&paths) {
        written.append(&mut kept);
    }
    let written: Vec<PathBuf> = written.iter().map(|state| gateway::obeyed(state)).collect();
    wait_until_obeyed(&written, token);
    Ok(())
}

/// Past the relay of the port `public`, where root may have that.
fn shortcut(application: &Application, public: Port) -> Option<Shortcut> {
    let (relays, services) = (
        Account::of_gateways(),
        Account::of_services(application.uid),
    );
    services.drops().then_some(Shortcut {
        public: public.number,
        relay: relays.uid,
        service: services.uid,
    })
}

/// Removes the routes of ports that `application` has not any more: nobody follows or writes them.
pub(super) fn prune(paths: &Paths, application: &Application) -> Result<(), FileError> {
    let mut known = BTreeSet::new();
    for (name, instance) in application.instances() {
        known.extend(relayed(instance).map(|port| gateway_name(&name, port)));
    }
    let directory = directory(paths);
    let read = |source| files::failed("read", &directory)(source);
    for entry in fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let is_known = |name: &str| known.contains(name);
        if !entry.file_name().to_str().is_some_and(is_known) {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Where the port of the instance `own` leads: to it, and if it is checked to the others, too.
fn targets(
    instances: &BTreeMap<u32, Instance>,
    own: u32,
    port: &str,
    leaving: Option<u32>,
) -> Vec<Target> {
    let of = |instance: &Instance| target(instance.current.as_ref()?, port);
    let first = instances.get(&own).filter(|_| leaving != Some(own));
    let mut targets: Vec<Target> = first.and_then(of).into_iter().collect();
    if instances.get(&own).is_some_and(|own| is_checked(own, port)) {
        let others = instances
            .iter()
            .filter(|&(&number, _)| number != own && leaving != Some(number));
        let checked = others.filter_map(|(_, other)| of(other).filter(|it| it.check.is_some()));
        targets.extend(checked);
    }
    targets
}

fn target(container: &Container, port: &str) -> Option<Target> {
    let address = |port: &str| {
        let number = container.ports.get(port)?.number;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, number)))
    };
    let check = container.checks.get(port).and_then(|check| {
        Some(Check {
            address: address(&check.port)?,
            path: check.path.clone(),
            milliseconds: check.milliseconds,
        })
    });
    Some(Target {
        address: address(port)?,
        check,
    })
}

/// What the instance answers to the check of each port that has one, asked now.
pub(crate) fn ask(instance: &Instance) -> BTreeMap<String, Answer> {
    let Some(container) = &instance.current else {
        return BTreeMap::new();
    };
    let asked = container.checks.keys().filter_map(|port| {
        let check = target(container, port)?.check?;
        Some((port.clone(), gateway::ask(&check)))
    });
    asked.collect()
}

fn is_checked(instance: &Instance, port: &str) -> bool {
    let current = instance.current.as_ref();
    current.is_some_and(|container| container.checks.contains_key(port))
}

/// The names of the ports that a gateway serves.
fn relayed(instance: &Instance) -> impl Iterator<Item = &String> {
    let relayed = |(name, port): (_, &Port)| (port.kind != PortKind::Udp).then_some(name);
    instance.public.iter().filter_map(relayed)
}

pub(super) fn directory(paths: &Paths) -> PathBuf {
    paths.root().join("routes")
}

pub(super) fn file(paths: &Paths, name: &InstanceName, port: &str) -> PathBuf {
    directory(paths).join(gateway_name(name, port))
}

fn replace(path: &Path, route: &Route) -> Result<(), FileError> {
    let text =
        serde_json::to_vec(route).map_err(|error| files::failed("write", path)(error.into()));
    files::replace(path, &text?, 0o644)
}

/// Greater at every call, on this machine.
fn token() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_nanos()).unwrap_or_default()
    })
}

/// A gateway that is not there obeys nothing, and sends nobody anywhere.
fn wait_until_obeyed(written: &[PathBuf], token: u64) {
    let begin = Instant::now();
    let obeyed = |path: &PathBuf| {
        let told = fs::read_to_string(path).unwrap_or_default();
        // A later one is another's, who works on another instance of the same service.
        told.trim().parse().is_ok_and(|told: u64| told >= token)
    };
    while !written.iter().all(obeyed) && begin.elapsed() < OBEDIENCE {
        std::thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::port::PortCheck;

    fn instance(number: u16, checked: bool) -> Instance {
        let port = |number, kind| Port { number, kind };
        let check = PortCheck {
            port: "agent".to_owned(),
            path: "/primary".to_owned(),
            milliseconds: 2000,
        };
        let ports = [("db", number), ("agent", number + 1)];
        Instance {
            current: Some(Container {
                generation: 1,
                revision: "r".to_owned(),
                ports: ports
                    .map(|(name, number)| (name.to_owned(), port(number, PortKind::Tcp)))
                    .into(),
                checks: checked
                    .then(|| ("db".to_owned(), check))
                    .into_iter()
                    .collect(),
            }),
            ..Instance::default()
        }
    }

    fn addresses(targets: &[Target]) -> Vec<u16> {
        targets.iter().map(|target| target.address.port()).collect()
    }

    #[test]
    fn targets_of_a_checked_port_are_all_instances_its_own_first() {
        let instances = BTreeMap::from([
            (0, instance(42_800, true)),
            (1, instance(42_810, true)),
            (2, instance(42_820, true)),
        ]);
        let all = targets(&instances, 1, "db", None);
        assert_eq!(addresses(&all), [42_810, 42_800, 42_820]);
        let check = all[1].check.as_ref().unwrap();
        assert_eq!((check.address.port(), &*check.path), (42_801, "/primary"));
        let without = |leaving| addresses(&targets(&instances, 1, "db", Some(leaving)));
        assert_eq!(without(1), [42_800, 42_820]);
        assert_eq!(without(0), [42_810, 42_820]);
        assert_eq!(addresses(&targets(&instances, 1, "agent", None)), [42_811]);
    }

    #[test]
    fn targets_of_a_plain_port_are_its_own_instance() {
        let instances =
            BTreeMap::from([(0, instance(42_800, false)), (1, instance(42_810, false))]);
        assert_eq!(addresses(&targets(&instances, 1, "db", None)), [42_810]);
        assert_eq!(targets(&instances, 1, "db", Some(1)), []);
    }
}
