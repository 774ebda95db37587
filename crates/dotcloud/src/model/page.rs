//! The addresses of an instance, and which of them are web pages.

use std::io;

use thiserror::Error;

use super::application::{Instance, PUBLIC_HOST};
use super::port::PortKind;

/// Port name and address of every port of an instance that can be reached.
pub(crate) fn urls(instance: &Instance) -> Vec<(String, String)> {
    instance
        .public
        .iter()
        .filter_map(|(name, port)| {
            let url = match port.kind {
                PortKind::Http => format!("http://{PUBLIC_HOST}:{}/", port.number),
                PortKind::Tcp => format!("tcp://{PUBLIC_HOST}:{}", port.number),
                // Nobody relays it: what is served is the port that the instance binds.
                PortKind::Udp => {
                    let bound = instance.current.as_ref()?.ports.get(name)?;
                    format!("udp://{PUBLIC_HOST}:{}", bound.number)
                }
            };
            Some((name.clone(), url))
        })
        .collect()
}

/// There is no page to open, or nothing that opens it.
#[derive(Debug, Error)]
pub(crate) enum PageError {
    #[error("{whom} has no web page")]
    None { whom: String },
    #[error("several services of {application} have a web page")]
    Several {
        application: String,
        services: Vec<String>,
    },
    #[error("cannot open {url}")]
    Browser { url: String, source: io::Error },
}
