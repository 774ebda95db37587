//! One job from end to end: open, create beside, pass, sync, rename.

use std::env::temp_dir;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::compress::{Compression, Compressor};
use crate::error::Error;
use crate::input::Input;
use crate::output::{Output, directory_of};
use crate::progress::StopSignal;
use crate::prune::{Glob, Pruner};
use crate::refusal::StreamError;
use crate::report::page;
use crate::rules::Profile;
use crate::stream::prune_stream;
use crate::summary::Summary;

/// What to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    /// `None` for a dry run.
    pub(crate) output: Option<PathBuf>,
    /// The page that shows what was done.
    pub(crate) report: Option<PathBuf>,
    pub(crate) profile: &'static Profile,
    pub(crate) keep: Vec<Glob>,
    pub(crate) drop: Vec<Glob>,
    pub(crate) strip: bool,
    pub(crate) compression: Compression,
    pub(crate) level: u32,
    /// How many threads compress.
    pub(crate) threads: NonZero<usize>,
}

/// Does the job. On failure nothing is left but what was there before.
pub(crate) fn repack(job: &Job) -> Result<Summary, Error> {
    let stop = StopSignal::catch().map_err(|source| Error::CatchSignals { source })?;
    let result = repack_until(job, &stop);
    // Whatever the signal made fail, it is the reason.
    match stop.received() {
        Some(signal) if result.is_err() => Err(Error::Stopped { signal }),
        _ => result,
    }
}

fn repack_until(job: &Job, stop: &StopSignal) -> Result<Summary, Error> {
    let start = Instant::now();
    let mut pruner = Pruner::new(job.profile, &job.keep, &job.drop);
    let input = Input::open(&job.input)?;
    let (metadata, input_size) = (input.metadata.clone(), input.metadata.len());
    // Before the work: it would be a pity to do it and not to be able to tell of it.
    let begin = |path| Output::create(path, &metadata).map(|output| (path, output));
    let report = job.report.as_deref().map(begin).transpose()?;
    let inflated = input.inflate(stop.clone())?;
    let source = (job.input.as_path(), inflated);
    let beside = |output: &PathBuf| directory_of(output).to_path_buf();
    let directory = job.output.as_ref().map_or_else(temp_dir, beside);
    let strip_in = job.strip.then_some(directory.as_path());
    let (tally, output_size) = match &job.output {
        None => (
            prune_stream(source, (Path::new(""), io::sink()), &mut pruner, strip_in)?.0,
            None,
        ),
        Some(path) => {
            let output = Output::create(path, &metadata)?;
            let compressor = Compressor::new(&output, job.compression, job.level, job.threads)
                .map_err(|source| Error::StartThread { source })?;
            let (tally, compressor) =
                prune_stream(source, (path, compressor), &mut pruner, strip_in)?;
            compressor.finish().map_err(|source| StreamError::Write {
                path: path.clone(),
                source,
            })?;
            (tally, Some(output.place()?))
        }
    };
    let summary = Summary {
        input: job.input.clone(),
        output: job.output.clone(),
        input_size,
        output_size,
        tally,
        unmatched: pruner.unmatched(),
        elapsed: start.elapsed(),
    };
    if let Some(report) = report {
        place_report(report, &summary)?;
    }
    Ok(summary)
}

fn place_report((path, output): (&Path, Output), summary: &Summary) -> Result<(), Error> {
    let written = (&output).write_all(page(summary).as_bytes());
    written.map_err(|source| StreamError::Write {
        path: path.into(),
        source,
    })?;
    output.place()?;
    Ok(())
}
