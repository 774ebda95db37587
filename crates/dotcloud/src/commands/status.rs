//! `status`: whether the programs of every instance run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Call, backed_up, check_service};
use crate::cli;
use crate::error::Error;
use crate::model::application::{Application, Instance, InstanceName};
use crate::network::gateway::Answer;
use crate::network::wiring::{self, Problem, WiringError};
use crate::output::console;
use crate::service::launch;
use crate::service::supervisor::{ProgramState, ProgramStatus, SupervisorError};

/// Between two looks at what comes up.
const TICK: Duration = Duration::from_millis(200);

/// `svc.N:  up` or `down`, and the state of every program.
pub(super) fn status(call: &Call, arguments: &cli::Status) -> Result<(), Error> {
    let (mut application, form) = (call.application()?, arguments.form);
    if let Some(selection) = &arguments.service {
        check_service(&application, selection)?;
    }
    let covers = |name: &InstanceName| {
        let selection = arguments.service.as_ref();
        selection.is_none_or(|selection| selection.covers(name))
    };
    if let Some(limit) = arguments.wait {
        wait(call, limit, &covers)?;
        application = call.application()?;
    }
    // What listens at the ports of a copy is the original's, and that is right.
    application.down |= is_copy(call)?;
    let mut found = Vec::new();
    let problems = problems(call, &application)?;
    let mut not_served = Vec::new();
    for (name, instance) in application.instances() {
        if !covers(&name) {
            continue;
        }
        let (programs, problem) = match programs(call, &application.name, &name, instance) {
            Ok(programs) => (programs, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let problems = texts_of(&problems, &name);
        let checks = wiring::ask(instance);
        if form.json {
            let mut described = json!({
                "instance": name.to_string(),
                "up": is_up(&programs),
                "ports_not_served": problems,
                "programs": programs.iter().map(describe).collect::<Vec<Value>>(),
                "backup": backed_up::value(call, &application, &name),
                "checks": checks.iter().map(describe_check).collect::<Vec<Value>>(),
            });
            if let Some(problem) = problem {
                described["problem"] = problem.into();
            }
            found.push(described);
        } else {
            show(&name, programs, &checks);
            let backups = backed_up::lines(call, &application, &name);
            for line in backups.into_iter().chain(problem) {
                console::print(format!("  {line}"));
            }
            not_served.extend(problems);
        }
    }
    if form.json {
        super::json::print(&found.into());
    }
    if not_served.is_empty() {
        return Ok(());
    }
    Err(WiringError::NotServed {
        problems: not_served,
    }
    .into())
}

/// Whether the state directory is a copy whose original is still there, which is told.
fn is_copy(call: &Call) -> Result<bool, Error> {
    let original = call.platform.store.original()?;
    if let Some(original) = &original {
        console::info(format!(
            "This state directory is a copy of {}: nothing of it runs ('dotcloud up --as-copy' gives it \
             ports of its own)",
            original.display()
        ));
    }
    Ok(original.is_some())
}

/// Ports at which clients reach nobody, or somebody else, although the application is meant to run.
fn problems(call: &Call, application: &Application) -> Result<Vec<Problem>, Error> {
    let mut deployed = application
        .instances()
        .filter(|(_, instance)| instance.current.is_some());
    if application.down || deployed.next().is_none() {
        return Ok(Vec::new());
    }
    Ok(wiring::problems(&call.platform, application)?)
}

/// Waits until everything that is covered serves. What fails may be mended, or pushed again, while
/// there is time.
fn wait(call: &Call, limit: Duration, covers: &dyn Fn(&InstanceName) -> bool) -> Result<(), Error> {
    let (begin, mut said) = (Instant::now(), String::new());
    while let Some((instance, waiting_for)) = waits_for(call, covers)? {
        if begin.elapsed() >= limit {
            return Err(Error::StillWaiting {
                instance,
                waiting_for,
                limit,
            });
        }
        let text = format!("Waiting for {instance}: {waiting_for}");
        if text != said {
            console::info(&text);
            said = text;
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// The first instance that does not serve, and why.
fn waits_for(
    call: &Call,
    covers: &dyn Fn(&InstanceName) -> bool,
) -> Result<Option<(InstanceName, String)>, Error> {
    let application = call.application()?;
    for (name, instance) in application.instances().filter(|(name, _)| covers(name)) {
        let waiting_for = match &instance.current {
            None => Some("its first deployment".to_owned()),
            Some(container) => {
                let store = &call.platform.store;
                let paths = store.container(&application.name, &name, container.generation);
                launch::waits_for(&call.platform, &paths, container)
                    .unwrap_or_else(|error| Some(error.to_string()))
            }
        };
        if let Some(waiting_for) = waiting_for {
            return Ok(Some((name, waiting_for)));
        }
        let mut problems = wiring::problems(&call.platform, &application)?.into_iter();
        if let Some(problem) = problems.find(|problem| problem.instance == name) {
            return Ok(Some((name, problem.text)));
        }
    }
    Ok(None)
}

fn programs(
    call: &Call,
    application: &str,
    name: &InstanceName,
    instance: &Instance,
) -> Result<Vec<ProgramStatus>, Error> {
    let Some(container) = &instance.current else {
        return Ok(Vec::new());
    };
    let store = &call.platform.store;
    let paths = store.container(application, name, container.generation);
    match call.platform.supervisor_of(&paths)?.status_at_once() {
        // Of what does not run there are no programs.
        Err(SupervisorError::NotRunning { .. }) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

fn is_up(programs: &[ProgramStatus]) -> bool {
    !programs.is_empty()
        && programs
            .iter()
            .all(|program| program.state == ProgramState::Running)
}

fn state(program: &ProgramStatus) -> String {
    format!("{:?}", program.state).to_uppercase()
}

fn describe(program: &ProgramStatus) -> Value {
    json!({
        "name": program.name,
        "state": state(program),
        "text": program.text,
    })
}

fn texts_of(problems: &[Problem], name: &InstanceName) -> Vec<String> {
    let own = problems.iter().filter(|problem| problem.instance == *name);
    own.map(|problem| problem.text.clone()).collect()
}

fn describe_check((port, answer): (&String, &Answer)) -> Value {
    json!({
        "port": port,
        "passes": answer.passes,
        "says": answer.says,
    })
}

fn show(name: &InstanceName, programs: Vec<ProgramStatus>, checks: &BTreeMap<String, Answer>) {
    let state_of_all = if is_up(&programs) { "up" } else { "down" };
    console::print(format!("{name}:  {state_of_all}"));
    for program in programs {
        let state = state(&program);
        console::print(format!("  {} -> {state} {}", program.name, program.text));
    }
    for (port, answer) in checks {
        let word = if answer.passes { "PASSES" } else { "FAILS" };
        console::print(format!("  check of {port} -> {word} {}", answer.says));
    }
}
