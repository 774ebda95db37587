//! One running service: what it is told, its hooks, its supervisord, its logs; starting and stopping it.

pub(crate) mod environment;
pub(crate) mod follow;
pub(crate) mod hook_run;
pub(crate) mod launch;
pub(crate) mod log_file;
pub(crate) mod platform;
pub(crate) mod resume;
pub(crate) mod since;
pub(crate) mod supervisor;
