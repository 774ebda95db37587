//! The tests in which a runtime has a part, in containers; and of what only containers have.

pub(crate) const RUNTIME: crate::world::Runtime = crate::world::Runtime::Oci;

#[path = "apart.rs"]
mod apart;
#[path = "backup.rs"]
mod backup;
#[path = "backup_killed.rs"]
mod backup_killed;
#[path = "crun.rs"]
mod crun;
#[path = "data.rs"]
mod data;
#[path = "env.rs"]
mod env;
#[path = "failures.rs"]
mod failures;
#[path = "first_push.rs"]
mod first_push;
#[path = "hostile.rs"]
mod hostile;
#[path = "isolation.rs"]
mod isolation;
#[path = "killed.rs"]
mod killed;
#[path = "leftovers.rs"]
mod leftovers;
#[path = "moved.rs"]
mod moved;
#[path = "operations.rs"]
mod operations;
#[path = "output.rs"]
mod output;
#[path = "packages.rs"]
mod packages;
#[path = "public.rs"]
mod public;
#[path = "rollback.rs"]
mod rollback;
#[path = "scale.rs"]
mod scale;
#[path = "shortcuts.rs"]
mod shortcuts;
#[path = "side_by_side.rs"]
mod side_by_side;
#[path = "up.rs"]
mod up;
#[path = "variables.rs"]
mod variables;
