//! What an application is: plain types, which know nothing of the rest.

pub(crate) mod application;
