//! `dlist` and `dlogs`: the last deployments, and what each of them said.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::table::table;
use super::{Call, check_service};
use crate::cli::{self, Form};
use crate::error::Error;
use crate::host::files;
use crate::model::application::{Application, Deployment, Outcome, Selection};
use crate::output::console;
use crate::output::lines::Splitter;
use crate::output::narrator::LEFT_OUT;

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
    let mut log = Log::open(&path, arguments.selection.clone()).map_err(failed)?;
    let mut skip = 0;
    if let Some(wanted) = arguments.lines {
        // Twice through the file rather than all of it in memory.
        let mut all = Log::open(&path, arguments.selection.clone()).map_err(failed)?;
        let mut count = 0_usize;
        let counted = all.read(&mut |_| {
            count += 1;
            Ok(())
        });
        counted.map_err(failed)?;
        skip = count.saturating_sub(wanted);
    }
    let mut unread = None;
    loop {
        // Asked first: what is written before it ends is read below.
        let goes_on = !arguments.no_follow && goes_on(call, &application.name, id)?;
        let read = log.read(&mut |line| {
            if skip > 0 {
                skip -= 1;
                return Ok(());
            }
            console::try_print(line).inspect_err(|error| unread = Some(error.kind()))
        });
        if unread.is_some() {
            return Ok(());
        }
        read.map_err(failed)?;
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

/// More than the longest line of a hook needs when it is escaped.
const LINE_LIMIT: usize = 1 << 20;

/// A log that may grow, and of which the middle may be taken out meanwhile.
struct Log {
    file: File,
    offset: u64,
    splitter: Splitter,
    /// The last line that was read, which its time makes unlike any other.
    last: String,
    selection: Option<Selection>,
}

impl Log {
    fn open(path: &Path, selection: Option<Selection>) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            offset: 0,
            splitter: Splitter::new(LINE_LIMIT),
            last: String::new(),
            selection,
        })
    }

    /// Hands over the complete lines since the last time that are wanted.
    fn read(&mut self, line: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        if self.file.metadata()?.len() < self.offset {
            self.find_place()?;
        }
        let selection = self.selection.clone();
        self.lines(&mut |text| {
            if wants(selection.as_ref(), text) {
                line(text)?;
            }
            Ok(true)
        })
    }

    /// Goes on after the line that was read last; if that is not there any more, after what says so.
    fn find_place(&mut self) -> io::Result<()> {
        let last = std::mem::take(&mut self.last);
        let place = match self.end_of(&|line| line == last)? {
            None => self.end_of(&|line| line.ends_with(LEFT_OUT))?,
            found => found,
        };
        self.go_to(place.unwrap_or(0));
        Ok(())
    }

    /// Where the first line ends that is `wanted`.
    fn end_of(&mut self, wanted: &dyn Fn(&str) -> bool) -> io::Result<Option<u64>> {
        self.go_to(0);
        let (mut offset, mut found) = (0, None);
        self.lines(&mut |line| {
            offset += line.len() as u64 + 1;
            found = wanted(line).then_some(offset);
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    fn go_to(&mut self, offset: u64) {
        self.offset = offset;
        self.splitter = Splitter::new(LINE_LIMIT);
    }

    /// Hands over complete lines until `line` has enough.
    fn lines(&mut self, line: &mut dyn FnMut(&str) -> io::Result<bool>) -> io::Result<()> {
        let mut bytes = [0; 8192];
        let mut outcome = Ok(true);
        while let Ok(true) = outcome {
            let count = self.file.read_at(&mut bytes, self.offset)?;
            if count == 0 {
                break;
            }
            self.offset += count as u64;
            let last = &mut self.last;
            self.splitter.push(&bytes[..count], &mut |text| {
                if let Ok(true) = outcome {
                    *last = text.to_string();
                    outcome = line(last);
                }
            });
        }
        outcome.map(drop)
    }
}

/// `TIME: [SVC.N] TEXT`, or `TIME: [SVC] TEXT` of a build.
fn wants(wanted: Option<&Selection>, line: &str) -> bool {
    let Some(wanted) = wanted else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_that_is_shortened_meanwhile_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let read = |log: &mut Log| {
            let mut lines = Vec::new();
            log.read(&mut |line| {
                lines.push(line.to_owned());
                Ok(())
            })
            .unwrap();
            lines.join(" ")
        };
        let before = "x".repeat(90);
        write(&format!("1\n{before}\n"));
        let mut log = Log::open(&path, None).unwrap();
        assert_eq!(read(&mut log), format!("1 {before}"));
        // Shorter than before, and it has the last line, further ahead.
        write(&format!("{before}\n6"));
        assert_eq!(read(&mut log), "");
        write(&format!("{before}\n6\n"));
        assert_eq!(read(&mut log), "6");
        write(&format!("9{LEFT_OUT}\n7\n"));
        assert_eq!(read(&mut log), "7");
    }
}
