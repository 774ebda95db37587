//! One job from end to end: open, create beside, pass, sync, rename.

use std::env::temp_dir;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tarball::Ahead;

use crate::compress::{Compression, Compressor};
use crate::content::Executables;
use crate::error::Error;
use crate::input::{Inflated, Input};
use crate::output::{Output, Target, directory_of};
use crate::progress::StopSignal;
use crate::prune::{Glob, Pruner};
use crate::refusal::StreamError;
use crate::report::page;
use crate::rules::Profile;
use crate::stdout::StandardOutput;
use crate::stream::prune_stream;
use crate::summary::{Summary, Tally};

/// What to do.
#[derive(Debug)]
pub(crate) struct Job {
    /// `-` is standard input.
    pub(crate) input: PathBuf,
    /// How many bytes the input may inflate to.
    pub(crate) max_size: u64,
    /// `None` for a dry run.
    pub(crate) output: Option<Target>,
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
    let directory = match &job.output {
        Some(Target::File(path)) => directory_of(path).to_path_buf(),
        Some(Target::StandardOutput) | None => temp_dir(),
    };
    let executables = Executables {
        wait_in: &directory,
        strip: job.strip,
    };
    let pass = Pass {
        source,
        pruner: &mut pruner,
        executables,
        job,
    };
    let (tally, output_size) = match &job.output {
        None => {
            let nowhere = (Path::new(""), io::sink());
            let (tally, _) = prune_stream(pass.source, nowhere, pass.pruner, executables)?;
            (tally, None)
        }
        Some(Target::File(path)) => {
            let output = Output::create(path, &metadata)?;
            let tally = pass.write_to(path, &output)?;
            (tally, Some(output.place()?))
        }
        Some(target @ Target::StandardOutput) => {
            let mut out = StandardOutput::new(&metadata, stop.clone())?;
            let tally = pass.write_to(target.path(), &mut out)?;
            (tally, Some(out.written))
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

/// One pass over the input, with what it takes.
struct Pass<'a> {
    source: (&'a Path, Ahead),
    pruner: &'a mut Pruner,
    executables: Executables<'a>,
    job: &'a Job,
}

impl Pass<'_> {
    /// Writes the compressed result to `out`, whose name is `path`.
    fn write_to(self, path: &Path, out: impl Write) -> Result<Tally, Error> {
        let Self {
            source,
            pruner,
            executables,
            job,
        } = self;
        let compressor = Compressor::new(out, job.compression, job.level, job.threads)
            .map_err(|source| Error::StartThread { source })?;
        let (tally, compressor) = prune_stream(source, (path, compressor), pruner, executables)?;
        compressor.finish().map_err(|source| StreamError::Write {
            path: path.into(),
            source,
        })?;
        Ok(tally)
    }
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
