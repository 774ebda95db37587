//! `traffic`: what passed the public ports of an instance, over time.

use serde_json::{Value, json};

use super::table::table;
use super::{Call, one_instance};
use crate::cli::{Form, Period};
use crate::error::Error;
use crate::model::application::{Application, InstanceName, Selection};
use crate::model::port::PortKind;
use crate::network::gateway::{self, Amount, Traffic};
use crate::network::wiring;
use crate::output::console;

/// Connections and bytes of the last `period`.
pub(super) fn traffic(
    call: &Call,
    selection: &Selection,
    period: Period,
    form: Form,
) -> Result<(), Error> {
    let application = call.application()?;
    let name = one_instance(&application, selection)?;
    let now = gateway::now();
    let mut described = serde_json::Map::new();
    for (port, traffic) in of_instance(call, &application, &name) {
        let rows = summed(&traffic, period, now);
        if form.json {
            let rows: Vec<Value> = rows
                .iter()
                .map(|(begin, amount)| {
                    let mut row = describe(*amount);
                    row["begin"] = rfc3339(*begin).into();
                    row
                })
                .collect();
            let total = describe(traffic.total);
            let port_described = json!({
                "open": traffic.open,
                "total": total,
                "seconds": period.step(),
                "spans": rows,
            });
            described.insert(port, port_described);
        } else {
            show(&name, &port, period, &rows);
        }
    }
    if form.json {
        super::json::print(&described.into());
    } else if described.is_empty() && of_instance(call, &application, &name).is_empty() {
        console::print(format!("{name} has no public port"));
    }
    Ok(())
}

/// What passed each port of `name` that a gateway serves.
pub(super) fn of_instance(
    call: &Call,
    application: &Application,
    name: &InstanceName,
) -> Vec<(String, Traffic)> {
    let Some(instance) = application.instance(name) else {
        return Vec::new();
    };
    let relayed = instance
        .public
        .iter()
        .filter(|(_, public)| public.kind != PortKind::Udp);
    relayed
        .map(|(port, _)| {
            let traffic = wiring::traffic(&call.platform, &application.name, name, port);
            (port.clone(), traffic)
        })
        .collect()
}

/// For programs.
pub(super) fn describe(amount: Amount) -> Value {
    json!({
        "connections": amount.connections,
        "bytes_in": amount.bytes_in,
        "bytes_out": amount.bytes_out,
    })
}

/// In one line, for people.
pub(super) fn in_words(traffic: &Traffic) -> String {
    let Amount {
        connections,
        bytes_in,
        bytes_out,
    } = traffic.total;
    format!(
        "{connections} connection(s), {} open; {} in, {} out",
        traffic.open,
        bytes(bytes_in),
        bytes(bytes_out)
    )
}

/// Every step of `period`, oldest first, also those in which nothing passed.
fn summed(traffic: &Traffic, period: Period, now: u64) -> Vec<(u64, Amount)> {
    let step = period.step();
    let last = now - now % step;
    let first = last - (period.length() / step - 1) * step;
    let spans = if period.is_of_minutes() {
        &traffic.minutes
    } else {
        &traffic.hours
    };
    (first..=last)
        .step_by(usize::try_from(step).unwrap_or(usize::MAX))
        .map(|begin| {
            let mut amount = Amount::default();
            for span in spans {
                if (begin..begin + step).contains(&span.begin) {
                    amount.add(span.amount);
                }
            }
            (begin, amount)
        })
        .collect()
}

fn show(name: &InstanceName, port: &str, period: Period, rows: &[(u64, Amount)]) {
    let step = period.step() / 60;
    console::print(format!("=== {name} {port}, by {step} minute(s)"));
    let mut lines = vec![["time", "connections", "in", "out"].map(str::to_owned)];
    lines.extend(rows.iter().map(|(begin, amount)| {
        [
            local(*begin, period),
            amount.connections.to_string(),
            bytes(amount.bytes_in),
            bytes(amount.bytes_out),
        ]
    }));
    for line in table(&lines) {
        console::print(line);
    }
}

fn timestamp(seconds: u64) -> jiff::Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).unwrap_or_default()
}

fn rfc3339(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

fn local(seconds: u64, period: Period) -> String {
    let form = if period.is_of_minutes() {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    let zoned = timestamp(seconds).to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime(form).to_string()
}

/// With the largest unit that leaves a whole number before the point.
pub(super) fn bytes(count: u64) -> String {
    let mut scaled = (count, 0);
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = "B";
    while scaled.0 >= 1024 {
        let Some(next) = units.next() else { break };
        scaled = (scaled.0 / 1024, scaled.0 % 1024);
        unit = next;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{}.{} {unit}", scaled.0, scaled.1 * 10 / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::gateway::Span;

    #[test]
    fn bytes_have_the_unit_that_fits() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn summed_has_every_step_of_the_period() {
        let now = 40 * 24 * 3600 + 30;
        let span = |begin, connections| Span {
            begin,
            amount: Amount {
                connections,
                ..Amount::default()
            },
        };
        let traffic = Traffic {
            minutes: vec![
                span(now - 30, 1),
                span(now - 90, 2),
                span(now - 30 - 3600, 4),
            ],
            hours: vec![span(now - 30, 8), span(now - 30 - 3600, 16)],
            ..Traffic::default()
        };
        let counts = |period| {
            let rows = summed(&traffic, period, now);
            let sum: u64 = rows.iter().map(|(_, amount)| amount.connections).sum();
            (rows.len(), sum)
        };
        assert_eq!(counts(Period::Hour), (60, 3));
        assert_eq!(counts(Period::SixHours), (72, 7));
        assert_eq!(counts(Period::Day), (24, 24));
        assert_eq!(counts(Period::Week), (28, 24));
        assert_eq!(counts(Period::Month), (31, 24));
    }
}
