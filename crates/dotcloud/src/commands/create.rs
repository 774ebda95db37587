//! `create`: a new application, without services until its first push.

use super::{Call, connection};
use crate::cli;
use crate::error::Error;
use crate::host::account::Account;
use crate::host::files;
use crate::model::application::{Application, check_application_name};
use crate::output::console;
use crate::state::store::StoreError;
use crate::state::uids;
use crate::upload::project::Project;

/// Creates the application and offers to connect this directory.
pub(super) fn create(call: &Call, arguments: &cli::Create) -> Result<(), Error> {
    let name = &arguments.name;
    check_application_name(name)?;
    let store = &call.platform.store;
    console::info(format!(
        "Creating a {} application named \"{name}\"",
        arguments.flavor
    ));
    store.prepare(&[Account::of_gateways()])?;
    call.settle_place()?;
    {
        let _lock = store.lock(name, || ())?;
        match store.load(name) {
            Err(StoreError::Unknown { .. }) => {}
            Ok(_) => return Err(Error::Exists { name: name.clone() }),
            Err(error) => return Err(error.into()),
        }
        let mut application = Application::new(name, &arguments.flavor);
        application.runtime = arguments.runtime;
        // Nobody else is given the same until it is on record.
        let _given = store.lock_ports()?;
        application.uid = uids::next(store)?;
        store.prepare(&[Account::of_services(application.uid)])?;
        files::create_directory(&store.directory(name), 0o755)?;
        store.save(&application)?;
    }
    console::success(format!("Application \"{name}\" created."));
    if let Err(why) = Project::check(&call.directory, &call.owners) {
        console::warning(format!("this directory is not connected to it: {why}"));
        return Ok(());
    }
    let question = format!("Connect the current directory to \"{name}\"?");
    if console::ask(&question, true, call.global.assume()) {
        connection::connect(call, name, &arguments.protocol)?;
    }
    Ok(())
}
