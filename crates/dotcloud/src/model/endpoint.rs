//! Who an application is, and where the world reaches its instances.

use super::port::PortKind;

/// Which application an instance belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplicationIdentity<'a> {
    pub(crate) name: &'a str,
    pub(crate) flavor: &'a str,
    pub(crate) username: &'a str,
}

/// Where the world reaches one port of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) service: String,
    pub(crate) instance: u32,
    /// The port's name.
    pub(crate) port: String,
    pub(crate) kind: PortKind,
    pub(crate) host: String,
    /// The public port, never the one to bind.
    pub(crate) number: u16,
}
