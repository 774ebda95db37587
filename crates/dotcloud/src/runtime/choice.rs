//! Which runtime a new container gets, and which one an existing container has.

use hook::Environment;

use super::oci::{self, OciRuntime};
use super::{ProcessRuntime, Runtime, RuntimeError};
use crate::host::account::Account;
use crate::model::runtime_choice::RuntimeChoice;
use crate::state::container::Paths;

/// The runtime of new containers, and why it is not what one could hope for.
pub(crate) struct Chosen {
    pub(crate) runtime: Box<dyn Runtime>,
    pub(crate) warning: Option<String>,
}

/// The runtime for new containers. `oci` is tried out, in the container `trial`.
pub(crate) fn choose(
    choice: RuntimeChoice,
    account: Account,
    environment: &Environment,
    trial: &Paths,
) -> Result<Chosen, RuntimeError> {
    let process = || Box::new(ProcessRuntime::new(account));
    if choice == RuntimeChoice::Process {
        return Ok(Chosen {
            runtime: process(),
            warning: None,
        });
    }
    oci::discard(account, trial)?;
    match (oci::probe(account, environment, trial), choice) {
        (Ok((runtime, unlimited)), _) => Ok(Chosen {
            runtime: Box::new(runtime),
            warning: unlimited.map(|reasons| {
                format!(
                    "nothing limits the memory of the services: {}",
                    in_one_line(&reasons)
                )
            }),
        }),
        (Err(error), RuntimeChoice::Auto) => match error.why_none_works() {
            Some(reasons) => Ok(Chosen {
                runtime: process(),
                warning: Some(format!(
                    "no OCI runtime works here, so nothing isolates or limits the services: {}",
                    in_one_line(&reasons)
                )),
            }),
            None => Err(error),
        },
        (Err(error), _) => Err(error),
    }
}

fn in_one_line(reasons: &str) -> String {
    reasons.replace('\n', "; ")
}

/// The runtime that `container` was made with.
pub(crate) fn of_container(
    account: Account,
    container: &Paths,
) -> Result<Box<dyn Runtime>, RuntimeError> {
    // Without a bundle nothing can have been run by an OCI runtime.
    Ok(match OciRuntime::of(account, container)? {
        Some(runtime) => Box::new(runtime),
        None => Box::new(ProcessRuntime::new(account)),
    })
}
