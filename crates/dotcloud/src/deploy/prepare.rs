//! The new containers, up to and including postinstall: recorded first, so that a killed
//! deployment can be cleared away, then filled. They own nothing yet.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{DeployError, Deployment, Request};
use crate::build_file::Service;
use crate::handover::slot::Slot;
use crate::host::beneath::Directory;
use crate::host::files::{self, FileError, Target};
use crate::model::application::{Application, Container, Instance, InstanceName, Successor};
use crate::model::port::Port;
use crate::model::port::PortKind;
use crate::network::ports::Ports;
use crate::output::narrator::Narrator;
use crate::service::environment::{self, Identity};
use crate::service::hook_run;
use crate::service::launch;
use crate::state::container::Paths;
use crate::state::snapshot;

/// The instances that get a new container.
pub(super) struct NewContainers {
    pub(super) names: Vec<InstanceName>,
    /// Reserves the new ports until every service has bound its own.
    _ports: Ports,
}

impl Deployment<'_> {
    /// Gives every instance of the build file a successor with ports of its own, on record.
    pub(super) fn record(&mut self) -> Result<NewContainers, DeployError> {
        let (platform, application) = (self.platform, &mut *self.application);
        let Request {
            build_file,
            revision,
            ..
        } = self.request;
        let _lock = platform.store.lock_ports()?;
        let mut ports = Ports::of(&platform.store)?;
        let mut names = Vec::new();
        for service in build_file.services.values() {
            for number in 0..count_instances(application, service, self.log) {
                let name = InstanceName::new(&service.name, number);
                record_one(application, service, &name, revision, &mut ports)?;
                names.push(name);
            }
        }
        application.revision = Some(revision.to_owned());
        application.down = false;
        platform.store.save(application)?;
        Ok(NewContainers {
            names,
            _ports: ports,
        })
    }
}

/// The build file has the initial count only: a service that was scaled, or deployed, keeps what it
/// has.
fn count_instances(application: &mut Application, service: &Service, log: &mut Narrator) -> u32 {
    let Some(record) = application.services.get_mut(&service.name) else {
        return service.instances;
    };
    if let Some(count) = record.scale {
        return count;
    }
    if record
        .instances
        .values()
        .all(|instance| instance.current.is_none())
    {
        // Left by deployments that failed, maybe of another count.
        record
            .instances
            .retain(|&number, _| number < service.instances);
        return service.instances;
    }
    let existing = u32::try_from(record.instances.len()).unwrap_or(u32::MAX);
    if existing != service.instances {
        log.warning(
            &service.name,
            format!(
                "it keeps its {existing} instance(s): 'instances: {count}' counts at its first \
                 deployment only; 'dotcloud scale {name}={count}' changes it",
                count = service.instances,
                name = service.name
            ),
        );
    }
    existing
}

fn record_one(
    application: &mut Application,
    service: &Service,
    name: &InstanceName,
    revision: &str,
    ports: &mut Ports,
) -> Result<(), DeployError> {
    application.generation += 1;
    let generation = application.generation;
    let Some(record) = application.services.get_mut(&service.name) else {
        return Ok(());
    };
    let instance: &mut Instance = record.instances.entry(name.number).or_default();
    let mut bound = BTreeMap::new();
    for (port, &kind) in &service.ports {
        let number = ports.bind()?;
        bound.insert(port.clone(), Port { number, kind });
        let number = match instance.public.get(port) {
            Some(known) => known.number,
            None => ports.public()?,
        };
        instance.public.insert(port.clone(), Port { number, kind });
    }
    instance.successor = Successor::Preparing {
        container: Container {
            generation,
            revision: revision.to_owned(),
            ports: bound,
            checks: service.checks.clone(),
        },
    };
    Ok(())
}

/// The container that is being prepared for an instance.
struct New<'a> {
    paths: Paths,
    container: Container,
    service: &'a Service,
}

impl<'a> New<'a> {
    fn of(slot: &Slot<'_, '_>, request: Request<'a>) -> Option<Self> {
        let service = request.build_file.services.get(&slot.name.service)?;
        match slot.instance().successor {
            Successor::Preparing { container } => Some(Self {
                paths: slot.paths(&container),
                container,
                service,
            }),
            Successor::None | Successor::TakingOver { .. } => None,
        }
    }
}

/// Fills the container: snapshot, code, environment, configuration of supervisord.
pub(super) fn provision(slot: &mut Slot<'_, '_>, request: Request<'_>) -> Result<(), DeployError> {
    let Some(new) = New::of(slot, request) else {
        return Ok(());
    };
    let New { paths, service, .. } = &new;
    let (platform, name) = (slot.platform, slot.name);
    let application = &slot.ledger.snapshot();
    let account = request.runtime.account();
    paths.create(&account)?;
    let snapshot = application
        .services
        .get(&name.service)
        .and_then(|record| record.snapshot.as_ref());
    if let Some(snapshot) = snapshot {
        let archive = platform.store.snapshots(&application.name).join(snapshot);
        snapshot::unpack(&archive, &paths.home(), &account, &platform.stop)?;
    }
    install_code(slot, request, &new)?;
    write_variables(slot, request, &new)?;
    let runtime = request.runtime;
    paths.save_programs(&service.programs)?;
    launch::configure(runtime, paths, &service.programs)?;
    let memory = application
        .services
        .get(&name.service)
        .and_then(|record| record.memory);
    runtime.provision(paths, &name.host(&application.name), memory)?;
    paths.open()?;
    for (port, kind) in &service.ports {
        if *kind == PortKind::Udp {
            slot.log.warning(
                name,
                format!("udp port {port} has no public endpoint here: use the port it binds"),
            );
        }
    }
    slot.log.of(name, "Initialized");
    Ok(())
}

/// `~/REVISION`, `~/code` and `~/current`.
fn install_code(
    slot: &mut Slot<'_, '_>,
    request: Request<'_>,
    new: &New<'_>,
) -> Result<(), FileError> {
    let New {
        paths,
        container,
        service,
    } = new;
    let account = &request.runtime.account();
    let target = Target {
        root: paths.root(),
        below: &Path::new("home").join(&container.revision),
        account,
    };
    files::copy_tree(request.code, target, &slot.platform.stop)?;
    let current: PathBuf = Path::new("code")
        .join(&service.approot)
        .components()
        .filter(|component| !matches!(component, std::path::Component::CurDir))
        .collect();
    let home = Directory::open(paths.root())
        .and_then(|root| root.directory("home"))
        .map_err(files::failed("look at", &paths.home()))?;
    for (link, target) in [
        ("code", Path::new(&container.revision)),
        ("current", &*current),
    ] {
        let failed = |source| files::failed("create", &paths.home().join(link))(source);
        match home.find(link).map_err(failed)? {
            // Of the service's own making: the platform must not take it away.
            Some(found) if !found.is_symlink() => {
                slot.log.warning(
                    slot.name,
                    format!("~/{link} is the service's own: left as it is"),
                );
                continue;
            }
            Some(_) => home.remove(link).map_err(failed)?,
            None => {}
        }
        home.link(target, link, account).map_err(failed)?;
    }
    Ok(())
}

fn write_variables(
    slot: &Slot<'_, '_>,
    request: Request<'_>,
    new: &New<'_>,
) -> Result<(), DeployError> {
    let New {
        paths,
        container,
        service,
    } = new;
    let (platform, name) = (slot.platform, slot.name);
    let application = &slot.ledger.snapshot();
    let identity = Identity {
        application: application.identity(&platform.username),
        service: &name.service,
        instance: name.number,
    };
    let bound = container
        .ports
        .iter()
        .map(|(port, bound)| (port.clone(), bound.number))
        .collect();
    let all = environment::platform_variables(
        &identity,
        &bound,
        &application.endpoints(),
        &application.variables.over(&service.environment),
    );
    environment::write_files(paths, &request.runtime.account(), &all)?;
    let mut variables = environment::service_variables(service);
    variables.extend(environment::unix_variables(&all));
    variables.insert("HOSTNAME".to_owned(), name.host(&application.name));
    Ok(paths.save_variables(&variables)?)
}

/// Runs the service's postinstall, if it has one.
pub(super) fn postinstall(
    slot: &mut Slot<'_, '_>,
    request: Request<'_>,
) -> Result<(), DeployError> {
    let Some(new) = New::of(slot, request) else {
        return Ok(());
    };
    let New {
        paths,
        container,
        service,
    } = &new;
    let (platform, name, log) = (slot.platform, slot.name, &mut slot.log);
    log.of(name, format!("Deploying revision {}", container.revision));
    let directory = paths
        .home()
        .join(&container.revision)
        .join(&service.approot);
    let runtime = request.runtime;
    let Some(script) = postinstall_script(&directory, &paths.home(), service, name, log) else {
        return Ok(());
    };
    let words: Vec<OsString> = match script {
        Script::Line(line) => vec![line.into()],
        Script::File(path) => vec![
            "exec \"$0\"".into(),
            runtime.inside(paths, &path).into_os_string(),
        ],
    };
    log.of(name, "Running postinstall");
    let variables = paths.load_variables()?;
    let call = hook_run::login_shell(words, &directory, &variables);
    let until = hook_run::Until {
        limit: platform.limits.postinstall,
        stop: &platform.stop,
    };
    hook_run::run(runtime, paths, &call, until, &mut |line| {
        log.hook(name, line);
    })
    .map_err(|source| DeployError::Postinstall {
        instance: name.clone(),
        source,
    })?;
    Ok(launch::end_processes(
        runtime,
        paths,
        &name.to_string(),
        log,
    )?)
}

enum Script {
    Line(String),
    File(PathBuf),
}

/// The key of the build file, else the file of that name in approot, else in `$HOME`.
fn postinstall_script(
    directory: &Path,
    home: &Path,
    service: &Service,
    name: &InstanceName,
    log: &mut Narrator,
) -> Option<Script> {
    if let Some(line) = &service.postinstall {
        return Some(Script::Line(line.clone()));
    }
    for path in [directory.join("postinstall"), home.join("postinstall")] {
        let Ok(metadata) = path.metadata() else {
            continue;
        };
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            return Some(Script::File(path));
        }
        log.warning(
            name,
            format!("{} is not an executable file: not run", path.display()),
        );
    }
    None
}
