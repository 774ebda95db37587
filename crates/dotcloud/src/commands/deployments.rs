//! `dlist` and `dlogs`: the last deployments, and what each of them said.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::time::Duration;

use serde_json::json;

use super::table::table;
use super::{Call, check_service};
use crate::application::{Application, Deployment, Outcome, Selection};
use crate::cli::{self, Form};
use crate::console;
use crate::error::Error;
use crate::files;

const TICK: Duration = Duration::from_millis(200);

/// The last deployments as a table, oldest first.
pub(super) fn dlist(call: &Call, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let deployments = application.history.deployments();
    if form.json {
        let listed = deployments.iter().map(|deployment| {
            json!({
                "id": deployment.id,
                "date": deployment.time().to_string(),
                "revision": deployment.revision,
                "result": deployment.outcome,
            })
        });
        super::json::print(&listed.collect());
        return Ok(());
    }
    let mut rows = vec![["date", "revision", "deploy id", "result"].map(str::to_owned)];
    rows.extend(deployments.iter().map(|deployment| {
        [
            date(deployment),
            deployment.revision.clone(),
            deployment.id.to_string(),
            deployment.outcome.to_string(),
        ]
    }));
    for line in table(&rows) {
        console::print(line);
    }
    if let Some(last) = deployments.last() {
        console::info(format!(
            "'dotcloud dlogs {}' shows what a deployment said, 'dotcloud deploy REVISION' deploys \
             a revision again",
            last.id
        ));
    }
    Ok(())
}

/// In local time.
fn date(deployment: &Deployment) -> String {
    let zone = jiff::tz::TimeZone::system();
    deployment
        .time()
        .to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// What a deployment said; follows one that goes on until it ends.
pub(super) fn dlogs(call: &Call, arguments: &cli::Dlogs) -> Result<(), Error> {
    let application = call.application()?;
    if let Some(selection) = &arguments.selection {
        check_service(&application, selection)?;
    }
    let id = find(&application, &arguments.deployment)?;
    let path = call.platform.store.deployment_log(&application.name, id);
    let failed = |source| files::failed("read", &path)(source);
    let mut log = Log {
        reader: BufReader::new(File::open(&path).map_err(failed)?),
        partial: Vec::new(),
        selection: arguments.selection.clone(),
    };
    let mut skipped_to = arguments.lines;
    loop {
        // Asked first: what is written before it ends is read below.
        let goes_on = !arguments.no_follow && goes_on(call, &application.name, id)?;
        let lines = log.read().map_err(failed)?;
        // Only what was there at first is shortened.
        let first = skipped_to
            .take()
            .map_or(0, |count| lines.len().saturating_sub(count));
        for line in &lines[first..] {
            if console::try_print(line).is_err() {
                return Ok(());
            }
        }
        if !goes_on {
            return Ok(());
        }
        std::thread::sleep(TICK);
    }
}

fn find(application: &Application, word: &str) -> Result<u32, Error> {
    let deployments = application.history.deployments();
    let found = match word {
        "latest" => deployments.last(),
        id => deployments
            .iter()
            .find(|deployment| deployment.id.to_string() == id),
    };
    match found {
        Some(deployment) => Ok(deployment.id),
        None => Err(Error::NoDeployment {
            id: word.to_owned(),
        }),
    }
}

/// Whether somebody works on the deployment: one that was killed is unfinished for ever.
fn goes_on(call: &Call, application: &str, id: u32) -> Result<bool, Error> {
    let store = &call.platform.store;
    if !store.is_locked(application)? {
        return Ok(false);
    }
    let record = store.load(application)?;
    let deployments = record.history.deployments();
    Ok(deployments
        .iter()
        .any(|deployment| deployment.id == id && deployment.outcome == Outcome::Unfinished))
}

/// A log that may grow.
struct Log {
    reader: BufReader<File>,
    /// A line that has no end yet.
    partial: Vec<u8>,
    selection: Option<Selection>,
}

impl Log {
    /// The complete lines since the last time that are wanted.
    fn read(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        while self.reader.read_until(b'\n', &mut self.partial)? > 0 {
            if self.partial.ends_with(b"\n") {
                self.partial.pop();
                let line = String::from_utf8_lossy(&self.partial).into_owned();
                self.partial.clear();
                if self.wants(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }

    /// `TIME: [SVC.N] TEXT`, or `TIME: [SVC] TEXT` of a build.
    fn wants(&self, line: &str) -> bool {
        let Some(wanted) = &self.selection else {
            return true;
        };
        let speaker = line
            .split_once(": ")
            .and_then(|(_, said)| said.strip_prefix('[')?.split_once(']'))
            .and_then(|(speaker, _)| speaker.parse::<Selection>().ok());
        speaker.is_some_and(|speaker| {
            speaker.service == wanted.service
                && (wanted.number.is_none() || wanted.number == speaker.number)
        })
    }
}
