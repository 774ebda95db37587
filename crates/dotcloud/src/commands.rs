//! From the command line to a verb and back to an exit status.

mod applications;
mod backed_up;
mod backup;
mod backups;
mod connection;
mod copy;
mod create;
mod deploy;
mod deployment;
mod deployments;
mod destroy;
mod down;
mod env;
mod generate;
mod image;
mod info;
mod json;
mod logs;
mod memory;
mod names;
mod open;
mod push;
mod rehearse;
mod restart;
mod restore;
mod run;
mod scale;
mod schedule;
mod status;
mod table;
mod traffic;
mod up;

use std::ffi::OsString;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hook::{Environment, ExitStatus};

use crate::cli::{Cli, Global, Verb};
use crate::error::Error;
use crate::host::lock::Lock;
use crate::host::ownership::Owners;
use crate::host::stage;
use crate::host::timer::Caller;
use crate::model::application::{Application, InstanceName, Selection};
use crate::network::gateway;
use crate::output::console;
use crate::service::platform::Platform;
use crate::state::store::{Store, StoreError};
use crate::upload::project::Project;

/// The executable: does what the arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(status) = stage::enter(&arguments) {
        return status.into();
    }
    hook::keep_descriptors();
    stage::raise_limits();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // The form of the platform's own client.
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayVersion => {
            console::print(concat!("dotcloud/", env!("CARGO_PKG_VERSION")));
            return console::failure()
                .map_or(ExitStatus::Ok, |_| ExitStatus::Failed)
                .into();
        }
        Err(error) => return refuse(&error),
    };
    hook::watch_for_defects("dotcloud");
    // What we make for others to pass through or to run must be so whatever we were started with.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let debug = cli.global.debug;
    match dispatch(cli, &Environment::of_process()).and_then(|()| check_output()) {
        Ok(()) => ExitStatus::Ok.into(),
        Err(error @ Error::Output { .. }) => {
            hook::render("dotcloud", &error, &mut std::io::stderr()).into()
        }
        Err(error) => {
            if debug {
                console::info(format!("{error:?}"));
            }
            // Standard output, like the platform's own client: a deployment's log ends with it.
            hook::render("dotcloud", &error, &mut std::io::stdout()).into()
        }
    }
}

/// Shows the help that was asked for, or what is wrong with the arguments.
fn refuse(error: &clap::Error) -> ExitCode {
    let plain = error.render().to_string();
    // It repeats arguments, which a script may have from anywhere.
    let fit = hook::escape_controls(&plain, &['\n', '\t']);
    let shown = if fit == plain {
        error.print()
    } else {
        std::io::Write::write_all(&mut std::io::stderr(), fit.as_bytes())
    };
    // The platform's client ended with 1, its 2 means a failed deployment.
    if error.use_stderr() || console::written(shown).is_err() && console::failure().is_some() {
        ExitStatus::Failed.into()
    } else {
        ExitStatus::Ok.into()
    }
}

/// Who asked for a result and got half of it must learn of it.
fn check_output() -> Result<(), Error> {
    match console::failure() {
        None => Ok(()),
        Some(error) => Err(Error::Output {
            source: error
                .raw_os_error()
                .map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error),
        }),
    }
}

fn dispatch(cli: Cli, environment: &Environment) -> Result<(), Error> {
    match &cli.verb {
        Verb::Gateway(options) => return Ok(gateway::serve(options)?),
        Verb::Shortcuts(options) => return Ok(gateway::serve_shortcuts(options)?),
        // Packagers have no state.
        Verb::Completions { shell } => {
            generate::completions(*shell);
            return Ok(());
        }
        Verb::Man { verb } => return generate::man(verb),
        _ => {}
    }
    let platform = Platform::new(environment)?;
    let mut call = Call {
        platform,
        owners: Owners::of(environment),
        global: cli.global,
        caller: Caller::find(environment),
        directory: std::env::current_dir().map_err(|source| Error::WorkingDirectory { source })?,
    };
    match cli.verb {
        Verb::List(form) => applications::list(&call, form),
        Verb::App => applications::app(&call),
        Verb::Create(arguments) => create::create(&call, &arguments),
        Verb::Connect { name, protocol } => connection::connect(&call, &name, &protocol),
        Verb::Disconnect => connection::disconnect(&call),
        Verb::Push(arguments) => push::push(&call, &arguments),
        Verb::Info { service, form } => info::info(&call, service.as_ref(), form),
        Verb::Status(arguments) => status::status(&call, &arguments),
        Verb::Url { service, form } => info::url(&call, service.as_ref(), form),
        Verb::Traffic {
            instance,
            period,
            form,
        } => traffic::traffic(&call, &instance, period, form),
        Verb::Memory { instance, form } => memory::memory(&call, &instance, form),
        Verb::Logs(arguments) => logs::logs(&call, &arguments),
        Verb::Run(arguments) => run::run(&call, &arguments, environment),
        Verb::Image(arguments) => image::image(&call, &arguments),
        Verb::Restart { instance } => restart::restart(&call, &instance),
        Verb::Scale { scalings } => scale::scale(&call, &scalings),
        Verb::Revisions(form) => deploy::revisions(&call, form),
        Verb::Deploy(arguments) => deploy::deploy(&call, &arguments),
        Verb::Dlist(form) => deployments::dlist(&call, form),
        Verb::Dlogs(arguments) => deployments::dlogs(&call, &arguments),
        Verb::Env(action) => env::env(&call, action),
        Verb::Open { service } => open::open(&call, service.as_ref()),
        Verb::Up(arguments) => up::verb(&call, &arguments),
        Verb::Down => down::down(&call),
        Verb::Backup(arguments) => backed_up::after(&call, backup::backup(&call, &arguments)),
        Verb::Backups(arguments) => backups::backups(&call, &arguments),
        Verb::Restore(arguments) => restore::restore(&call, &arguments),
        Verb::Destroy { service } => destroy::destroy(&call, service.as_ref()),
        Verb::Names { index, words } => {
            names::names(&mut call, index, &words);
            Ok(())
        }
        Verb::Gateway(_) | Verb::Shortcuts(_) | Verb::Completions { .. } | Verb::Man { .. } => {
            Ok(())
        }
    }
}

/// What every verb is called with.
struct Call {
    platform: Platform,
    /// Whose files decide what we do.
    owners: Owners,
    global: Global,
    /// Who would call us later.
    caller: Option<Caller>,
    /// Where the user is.
    directory: PathBuf,
}

impl Call {
    /// The project around the working directory.
    fn project(&self) -> Result<Option<Project>, Error> {
        self.project_of(&self.directory)
    }

    /// The project around `directory`.
    fn project_of(&self, directory: &Path) -> Result<Option<Project>, Error> {
        Ok(Project::find(directory, &self.owners)?)
    }

    /// The name that was given, else of the project around us.
    fn application_name(&self) -> Result<String, Error> {
        if let Some(name) = &self.global.application {
            crate::model::application::check_application_name(name)?;
            return Ok(name.clone());
        }
        let project = self.project()?.ok_or_else(|| Error::NotConnected {
            directory: self.directory.clone(),
        })?;
        let name = project.application;
        crate::model::application::check_application_name(&name)?;
        if project.directory != self.directory {
            let connected = project.directory.display();
            console::info(format!(
                "Working on the application \"{name}\", which {connected} is connected to"
            ));
        }
        Ok(name)
    }

    /// The record of that application.
    fn application(&self) -> Result<Application, Error> {
        Ok(self.platform.store.load(&self.application_name()?)?)
    }

    /// The application `name` for changes, which may have to be waited for.
    fn locked(&self, name: &str) -> Result<Locked<'_>, Error> {
        let lock = self.lock(name)?;
        self.load_locked(name, lock)
    }

    /// The same for what starts anything, which a copied state directory must not.
    fn locked_to_start(&self, name: &str) -> Result<Locked<'_>, Error> {
        let lock = self.lock_to_start(name)?;
        self.load_locked(name, lock)
    }

    /// Only now: it may have been destroyed, or changed, while we waited.
    fn load_locked(&self, name: &str, lock: Lock) -> Result<Locked<'_>, Error> {
        let store = &self.platform.store;
        Ok(Locked {
            application: store.load(name)?,
            store,
            _lock: lock,
        })
    }

    /// The right to change the application, or to create it.
    fn lock(&self, application: &str) -> Result<Lock, Error> {
        let busy = || {
            console::info(format!(
                "Another command works on the application \"{application}\": waiting until it is \
                 done"
            ));
        };
        Ok(self.platform.store.lock(application, busy)?)
    }

    /// The same for what starts anything, which a copied state directory must not.
    fn lock_to_start(&self, application: &str) -> Result<Lock, Error> {
        self.settle_place()?;
        self.lock(application)
    }

    /// Refuses a copied state directory; says that a moved one was moved.
    fn settle_place(&self) -> Result<(), Error> {
        if let Some(from) = self.platform.store.settle_place()? {
            console::info(format!(
                "The state directory was moved here from {}: everything goes on where it is now",
                from.display()
            ));
        }
        Ok(())
    }

    /// From here on a request to end is a flag, which hooks and waits obey.
    fn defer_signals(&self) -> Result<(), Error> {
        for signal in [
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ] {
            signal_hook::flag::register(signal, Arc::clone(&self.platform.stop))
                .map_err(|source| Error::Signals { source })?;
        }
        Ok(())
    }
}

/// The record of an application that nobody else changes for as long as this value lives.
struct Locked<'a> {
    application: Application,
    store: &'a Store,
    _lock: Lock,
}

impl Locked<'_> {
    /// Puts it on record as it is now.
    fn save(&self) -> Result<(), StoreError> {
        self.store.save(&self.application)
    }
}

impl Deref for Locked<'_> {
    type Target = Application;

    fn deref(&self) -> &Application {
        &self.application
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Application {
        &mut self.application
    }
}

/// Refuses a service that the application does not have.
fn check_service(application: &Application, selection: &Selection) -> Result<(), Error> {
    if application.services.contains_key(&selection.service) {
        Ok(())
    } else {
        Err(Error::NoService {
            application: application.name.clone(),
            service: selection.service.clone(),
            known: application.services.keys().cloned().collect(),
        })
    }
}

/// The one instance that `selection` names; a service's name will do if it has one only.
fn one_instance(application: &Application, selection: &Selection) -> Result<InstanceName, Error> {
    check_service(application, selection)?;
    let found: Vec<InstanceName> = application
        .instances()
        .map(|(name, _)| name)
        .filter(|name| selection.covers(name))
        .collect();
    match (&found[..], selection.number) {
        ([one], _) => Ok(one.clone()),
        ([], _) => Err(Error::NoInstance {
            instance: selection.to_string(),
        }),
        (_, _) => Err(Error::SeveralInstances {
            service: selection.service.clone(),
            count: found.len(),
        }),
    }
}
