//! A sample as `OpenMetrics` 1.0 (openmetrics.io), with `mysqld_exporter`'s names where it has one. What
//! only goes up is of type `unknown`, as that exporter's: a counter's name would have to end in `_total`.

use std::fmt::Write as _;

use crate::sample::{STATUS, Sample, VARIABLES};
use crate::watch::View;

/// What clients are to take it for.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole text; `sample` is missing if the server took too long.
pub(crate) fn render(view: &View, sample: Option<&Sample>) -> String {
    let mut text = Text::default();
    let nothing = Sample::default();
    let sample = sample.unwrap_or(&nothing);
    let up = !sample.status.is_empty();
    text.gauge(
        "mysql_up",
        "Whether the server answered this scrape.",
        Some(u64::from(up)),
    );
    let (live, ready) = (u64::from(view.live.good), u64::from(view.ready.good));
    text.gauge("mysql_agent_live", "What /live says.", Some(live));
    text.gauge("mysql_agent_ready", "What /ready says.", Some(ready));
    text.info(sample);
    for (name, is_gauge) in STATUS {
        let name = name.to_ascii_lowercase();
        let Some(value) = sample.status.get(&name) else {
            continue;
        };
        let kind = if is_gauge { "gauge" } else { "unknown" };
        let metric = format!("mysql_global_status_{name}");
        text.family(&metric, kind, &format!("{name} of SHOW GLOBAL STATUS."));
        text.sample(&metric, value);
    }
    for name in VARIABLES {
        let Some(value) = sample.variables.get(name) else {
            continue;
        };
        let metric = format!("mysql_global_variables_{name}");
        text.family(
            &metric,
            "gauge",
            &format!("{name} of SHOW GLOBAL VARIABLES."),
        );
        text.sample(&metric, value);
    }
    text.machine(sample);
    text.backups(sample);
    text.0.push_str("# EOF\n");
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    /// What is no number is left out.
    fn sample(&mut self, name: &str, value: &str) {
        let value = match value.parse::<f64>() {
            Ok(number) if number.is_finite() => value,
            Ok(_) | Err(_) => "NaN",
        };
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.family(name, "gauge", help);
            self.sample(name, &value.to_string());
        }
    }

    /// What only this machine knows.
    fn machine(&mut self, sample: &Sample) {
        let sizes = &sample.sizes;
        let (bytes, files) = sizes.binary_logs.unzip();
        let memory = &sample.memory;
        for (name, help, value) in [
            (
                "mysql_binlog_size_bytes",
                "Size of the binary logs on the disk.",
                bytes,
            ),
            ("mysql_binlog_files", "Number of the binary logs.", files),
            (
                "mysql_agent_data_size_bytes",
                "Size of the data directory on the disk, without binary logs.",
                sizes.data,
            ),
            (
                "mysql_agent_log_size_bytes",
                "Size of the other logs on the disk.",
                sizes.logs,
            ),
            (
                "mysql_agent_data_free_bytes",
                "What is free of the data directory's filesystem.",
                sizes.free,
            ),
            (
                "mysql_agent_memory_planned_bytes",
                "Memory that the server was planned for.",
                memory.planned,
            ),
            (
                "mysql_agent_memory_resident_bytes",
                "Resident memory of the server's process.",
                memory.resident,
            ),
            (
                "mysql_agent_memory_used_bytes",
                "Memory in use by the server's cgroup, its cache included.",
                memory.used,
            ),
            (
                "mysql_agent_memory_limit_bytes",
                "Memory limit of the server's cgroup, or what the machine has.",
                memory.limit,
            ),
        ] {
            self.gauge(name, help, value);
        }
    }

    /// What whoever makes backups left.
    fn backups(&mut self, sample: &Sample) {
        let now = sample.now;
        let age = |then: Option<u64>| then.map(|then| now.saturating_sub(then));
        let (copies, changes) = (sample.backups.copies, sample.backups.changes);
        let good = copies.and_then(|health| health.good);
        let verified = copies.and_then(|health| health.verified);
        let shipped = changes.and_then(|health| health.good);
        for (name, help, value) in [
            (
                "mysql_agent_backup_failed",
                "1: the last backup failed, or one that was due was not made.",
                copies.map(|health| health.failed.into()),
            ),
            (
                "mysql_agent_backup_last_success_timestamp_seconds",
                "When the last good backup was made.",
                good,
            ),
            (
                "mysql_agent_backup_age_seconds",
                "How old the last good backup is.",
                age(good),
            ),
            (
                "mysql_agent_backup_last_verified_timestamp_seconds",
                "When a backup was last tried out.",
                verified,
            ),
            (
                "mysql_agent_backup_verified_age_seconds",
                "How long ago a backup was last tried out.",
                age(verified),
            ),
            (
                "mysql_agent_changes_failed",
                "1: the last copy of changes failed, or one that was due was not made.",
                changes.map(|health| health.failed.into()),
            ),
            (
                "mysql_agent_changes_last_success_timestamp_seconds",
                "When changes were last copied.",
                shipped,
            ),
            (
                "mysql_agent_changes_age_seconds",
                "How long ago changes were last copied.",
                age(shipped),
            ),
        ] {
            self.gauge(name, help, value);
        }
    }

    fn info(&mut self, sample: &Sample) {
        let Some(version) = sample.variables.get("version") else {
            return;
        };
        let comment = sample.variables.get("version_comment");
        let comment = comment.map_or("", String::as_str);
        self.family("mysql_version", "info", "What the server is.");
        let _ = writeln!(
            self.0,
            "mysql_version_info{{version=\"{}\",version_comment=\"{}\"}} 1",
            escaped(version),
            escaped(comment)
        );
    }
}

/// Backslashes, quotes and line ends have escapes; the rest may stand as it is.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
