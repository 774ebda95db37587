//! What is said, to whom: to the person who called, to the deployment's log; and the output of others.

pub(crate) mod console;
pub(crate) mod lines;
pub(crate) mod narrator;
pub(crate) mod tail;
