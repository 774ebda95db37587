//! One job from end to end: open, create beside, pass, sync, rename.

use std::env::temp_dir;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::compress::{Compression, Compressor};
use crate::content::Executables;
use crate::error::Error;
use crate::input::{Inflated, Input};
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
    /// `-` is standard input.
    pub(crate) input: PathBuf,
    /// How many bytes the input may inflate to.
    pub(crate) max_size: u64,
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
    let (input_path, metadata) = (input.path.clone(), input.metadata.clone());
    // Before the work: it would be a pity to do it and not to be able to tell of it.
    let begin = |path| Output::create(path, &metadata).map(|output| (path, output));
    let report = job.report.as_deref().map(begin).transpose()?;
    let Inflated {
        archive,
        chosen,
        read_so_far,
    } = input.inflate(stop.clone(), job.max_size)?;
    let source = (input_path.as_path(), archive);
    let beside = |output: &PathBuf| directory_of(output).to_path_buf();
    let directory = job.output.as_ref().map_or_else(temp_dir, beside);
    let executables = Executables {
        wait_in: &directory,
        strip: job.strip,
    };
    let (tally, output_size) = match &job.output {
        None => (
            prune_stream(
                source,
                (Path::new(""), io::sink()),
                &mut pruner,
                executables,
            )?
            .0,
            None,
        ),
        Some(path) => {
            let output = Output::create(path, &metadata)?;
            let compressor = Compressor::new(&output, job.compression, job.level, job.threads)
                .map_err(|source| Error::StartThread { source })?;
            let (tally, compressor) =
                prune_stream(source, (path, compressor), &mut pruner, executables)?;
            compressor.finish().map_err(|source| StreamError::Write {
                path: path.clone(),
                source,
            })?;
            (tally, Some(output.place()?))
        }
    };
    let summary = Summary {
        input: input_path.clone(),
        chosen,
        output: job.output.clone(),
        input_size: read_so_far.get(),
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
