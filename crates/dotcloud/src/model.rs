//! What an application is: plain types, which know nothing of the rest.

pub(crate) mod application;
pub(crate) mod endpoint;
pub(crate) mod memory;
pub(crate) mod page;
pub(crate) mod port;
pub(crate) mod runtime_choice;
pub(crate) mod variable_size;
pub(crate) mod variables;
