//! How a service is reached: its public ports, who serves them, and the numbers that are given away.

pub(crate) mod gateway;
pub(crate) mod ports;
pub(crate) mod wiring;
