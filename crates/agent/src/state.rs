//! What is known of the server, for programs.

use serde_json::json;

use crate::verdict::Seen;
use crate::watch::View;

/// One line of JSON.
pub(crate) fn render(view: &View) -> String {
    let port = match view.seen {
        Seen::Serves(port) => port,
        Seen::NoPort(port) => Some(port),
        _ => None,
    };
    let state = json!({
        "state": view.seen.name(),
        "since_seconds": view.since.as_secs(),
        "live": view.live.good,
        "ready": view.ready.good,
        "why": view.ready.why,
        "port": port,
    });
    format!("{state}\n")
}
