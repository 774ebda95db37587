//! What every verb that deploys does: the record of the deployment, its log, and the words at the
//! end.

use std::ffi::OsString;

use super::Call;
use crate::build_file::BuildFile;
use crate::deploy::{Deployment, Options, Request};
use crate::error::Error;
use crate::host::files;
use crate::model::application::{Application, Outcome};
use crate::model::page;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::runtime::Chosen;
use crate::state::revisions;

/// Deploys the code of `revision` in containers of `runtime`.
pub(super) fn run(
    call: &Call,
    application: &mut Application,
    revision: &str,
    options: Options,
    runtime: Chosen,
) -> Result<(), Error> {
    let store = &call.platform.store;
    let code = store.revision(&application.name, revision);
    let build_file = BuildFile::read(&code.join("dotcloud.yml"))?;
    console::info(format!(
        "Submitting a deployment of revision {revision} for application {}",
        application.name
    ));
    call.defer_signals()?;
    let mut log = begin_log(call, application, revision)?;
    log.set_details(options.details);
    log.platform(format!("Deployment of revision {revision} started"));
    let Chosen { runtime, warning } = runtime;
    log.platform(format!("Runtime: {}", runtime.describe()));
    if let Some(warning) = warning {
        log.warning("platform", warning);
    }
    let request = Request {
        build_file: &build_file,
        revision,
        code: &code,
        options,
        runtime: &*runtime,
    };
    let deployment = Deployment {
        platform: &call.platform,
        application,
        request,
        log: &mut log,
    };
    let result = deployment.run();
    let outcome = match &result {
        Ok(()) => {
            log.platform("Deployment finished successfully");
            Outcome::Succeeded
        }
        Err(error) => {
            log.failure(format!("Deployment failed: {error}"));
            Outcome::Failed
        }
    };
    log.mention_details();
    application.history.end(outcome);
    let saved = store.save(application);
    // Why it failed is the more important of the two.
    result?;
    saved?;
    announce(application);
    Ok(())
}

/// Deploys what was pushed last, if anything was. `kept` is what the verb has changed for good.
pub(super) fn run_newest(call: &Call, application: &mut Application, kept: &str) {
    let Some(revision) = application.revisions.last().cloned() else {
        console::success(format!("{kept}, for the first push"));
        return;
    };
    if let Some(running) = revisions::newest_deployed(application)
        && running != revision
    {
        console::warning(format!(
            "{running} runs, but what is deployed now is the code that was pushed last, {revision}"
        ));
    }
    if run_leniently(call, application, &revision, Options::default()) {
        console::success(kept);
    } else {
        console::warning(format!("{kept}, for the next deployment"));
    }
}

/// For a verb that ends well even if its deployment fails, as the platform's own client does; a
/// script has only the output to tell. Whether it worked.
pub(super) fn run_leniently(
    call: &Call,
    application: &mut Application,
    revision: &str,
    options: Options,
) -> bool {
    let chosen = call.platform.choose_runtime(application);
    let deployed = chosen
        .map_err(Error::from)
        .and_then(|runtime| run(call, application, revision, options, runtime));
    let Err(error) = deployed else {
        return true;
    };
    hook::render("dotcloud", &error, &mut std::io::stdout());
    console::warning(
        "THE DEPLOYMENT FAILED. The exit status is 0 all the same, as with the platform's client",
    );
    false
}

/// Puts the deployment on record, and removes the logs of those that fell off it.
fn begin_log(
    call: &Call,
    application: &mut Application,
    revision: &str,
) -> Result<Narrator, Error> {
    let store = &call.platform.store;
    let directory = store.deployments(&application.name);
    // Hooks print what they like, secrets too.
    files::create_directory(&directory, 0o700)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let id = application.history.begin(revision, now);
    let kept: Vec<OsString> = application
        .history
        .deployments()
        .iter()
        .filter(|deployment| deployment.id != id)
        .map(|deployment| format!("{}.log", deployment.id).into())
        .collect();
    let read = |source| files::failed("read", &directory)(source);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        if !kept.contains(&entry.file_name()) {
            files::remove(&entry.path())?;
        }
    }
    store.save(application)?;
    let path = store.deployment_log(&application.name, id);
    Ok(Narrator::begin(&path)?)
}

fn announce(application: &Application) {
    let urls: Vec<String> = application
        .instances()
        .flat_map(|(_, instance)| page::urls(instance))
        .map(|(_, url)| url)
        .collect();
    if urls.is_empty() {
        console::success("Application is live");
    } else {
        console::success(format!("Application is live at {}", urls.join(" ; ")));
    }
}
