//! What is said, to whom: to the person who called, to the deployment's log; and the output of others.

pub(crate) mod console;
pub(crate) mod deployment_log;
pub(crate) mod lines;
pub(crate) mod tail;
