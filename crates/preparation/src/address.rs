//! The address to bind, tried before anything is written: a server finds out at its start that it is none
//! of this machine's.

use std::io;
use std::net::{TcpListener, ToSocketAddrs};

use thiserror::Error;

/// Refuses `value`, which `origin` gave, if no server could listen there.
pub(crate) fn check(value: &str, origin: &str) -> Result<(), AddressError> {
    for address in value.split(',').map(str::trim) {
        // All of this machine's; or one of a network namespace that only the server enters.
        if matches!(address, "" | "*" | "0.0.0.0" | "::") || address.contains('/') {
            continue;
        }
        try_address(address).map_err(|source| AddressError {
            address: address.to_owned(),
            origin: origin.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// The servers, too, listen at the first that they can of those that a name stands for.
fn try_address(address: &str) -> io::Result<()> {
    let mut result = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
    for socket in (address, 0).to_socket_addrs()? {
        result = TcpListener::bind(socket).map(drop);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Nobody can listen there.
#[derive(Debug, Error)]
#[error("bind-address is {address}, {origin}, and nothing can listen there")]
pub struct AddressError {
    /// The address or name.
    pub address: String,
    /// Who set it.
    pub origin: String,
    /// Why.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_addresses_of_this_machine_pass() {
        for value in [
            "*",
            "::",
            "0.0.0.0",
            "127.0.0.1",
            "localhost",
            "127.0.0.1, 127.0.0.2",
        ] {
            check(value, "from X").unwrap();
        }
        check("127.0.0.1/elsewhere", "from X").unwrap();
    }

    #[test]
    fn check_others_are_refused() {
        // An address for documentation (RFC 5737), and what is none at all.
        for address in ["192.0.2.1", "eth0.invalid"] {
            let error = check(&format!("127.0.0.1,{address}"), "from X").unwrap_err();
            let text = format!("bind-address is {address}, from X, and nothing can listen there");
            assert_eq!(error.to_string(), text);
        }
    }
}
