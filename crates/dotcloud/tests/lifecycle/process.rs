//! Every test, on plain processes.

pub(crate) const RUNTIME: crate::world::Runtime = crate::world::Runtime::Process;

#[path = "apart.rs"]
mod apart;
#[path = "apt.rs"]
mod apt;
#[path = "backup.rs"]
mod backup;
#[path = "backup_killed.rs"]
mod backup_killed;
#[path = "choice.rs"]
mod choice;
#[path = "completion.rs"]
mod completion;
#[path = "data.rs"]
mod data;
#[path = "env.rs"]
mod env;
#[path = "failures.rs"]
mod failures;
#[path = "first_push.rs"]
mod first_push;
#[path = "git.rs"]
mod git;
#[path = "hostile.rs"]
mod hostile;
#[path = "json.rs"]
mod json;
#[path = "killed.rs"]
mod killed;
#[path = "leftovers.rs"]
mod leftovers;
#[path = "moved.rs"]
mod moved;
#[path = "operations.rs"]
mod operations;
#[path = "ordinary.rs"]
mod ordinary;
#[path = "output.rs"]
mod output;
#[path = "packages.rs"]
mod packages;
#[path = "public.rs"]
mod public;
#[path = "revisions.rs"]
mod revisions;
#[path = "rollback.rs"]
mod rollback;
#[path = "scale.rs"]
mod scale;
#[path = "shortcuts.rs"]
mod shortcuts;
#[path = "side_by_side.rs"]
mod side_by_side;
#[path = "state.rs"]
mod state;
#[path = "up.rs"]
mod up;
#[path = "variables.rs"]
mod variables;
#[path = "waiting.rs"]
mod waiting;
