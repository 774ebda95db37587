//! Whether clients of the public ports reach our gateways: somebody else may listen there, or nobody.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::WiringError;
use crate::host::listeners;
use crate::model::application::{Application, InstanceName, PUBLIC_HOST, Successor};
use crate::model::port::PortKind;
use crate::service::launch::LaunchError;
use crate::service::platform::Platform;

/// For a gateway to begin to listen, on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(20);
/// For whoever has the port to go: it may be a gateway of ours that ends.
const GRACE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(20);

/// A public port whose clients do not reach us.
pub(crate) struct Problem {
    pub(crate) instance: InstanceName,
    /// What is wrong with which port, for people.
    pub(crate) text: String,
    is_taken: bool,
}

/// Waits until every public port of `application` is served by its gateway.
pub(crate) fn wait(platform: &Platform, application: &Application) -> Result<(), WiringError> {
    let begin = Instant::now();
    let mut taken_since = None;
    loop {
        let problems = problems(platform, application)?;
        if problems.is_empty() {
            return Ok(());
        }
        if problems.iter().any(|problem| problem.is_taken) {
            taken_since.get_or_insert_with(Instant::now);
        } else {
            taken_since = None;
        }
        let taken = taken_since.is_some_and(|since| since.elapsed() > GRACE);
        if taken || begin.elapsed() > LIMIT {
            let problems = problems.into_iter().map(|problem| problem.text).collect();
            return Err(WiringError::NotServed { problems });
        }
        std::thread::sleep(TICK);
    }
}

/// Every public port of `application` whose clients do not reach its gateway now.
pub(crate) fn problems(
    platform: &Platform,
    application: &Application,
) -> Result<Vec<Problem>, WiringError> {
    // Before our own are looked for: a gateway that begins to listen in between would be a stranger.
    let all =
        listeners::all(Ipv4Addr::LOCALHOST).map_err(|source| WiringError::Listeners { source })?;
    let paths = platform.store.public(&application.name);
    let runtime = platform.runtime_of(&paths).map_err(LaunchError::from)?;
    let processes = runtime.processes(&paths).map_err(LaunchError::from)?;
    let own: BTreeSet<u64> = processes
        .iter()
        .flat_map(|process| listeners::sockets(process.pid))
        .collect();
    let mut problems = Vec::new();
    for (name, instance) in application.instances() {
        if instance.current.is_none() && matches!(instance.successor, Successor::None) {
            continue;
        }
        for (port, public) in &instance.public {
            let number = public.number;
            if public.kind == PortKind::Udp || listeners::is_ours(&all, number, &own) {
                continue;
            }
            let holder = listeners::holder(&all, number);
            let what = match &holder {
                Some(holder) => format!("{PUBLIC_HOST}:{number} is taken by {holder}"),
                None => format!("nobody listens at {PUBLIC_HOST}:{number}"),
            };
            problems.push(Problem {
                text: format!("port {port} of {name} is not served: {what}"),
                instance: name.clone(),
                is_taken: holder.is_some(),
            });
        }
    }
    Ok(problems)
}
