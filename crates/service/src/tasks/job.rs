//! What a part of a task comes to: backups and earlier parts' results in, a report or a partial
//! out.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use offkey_analysis::partial::Partial;
use offkey_analysis::{Cancelled, DamagedKey, Input, InputInfo, Options, Progress, analyze};
use serde::{Deserialize, Serialize};

use super::Step;
use crate::backups::Remote;
use crate::settings::AnalysisConfig;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) step: Step,
    pub(super) inputs: Vec<JobInput>,
    pub(super) settings: AnalysisConfig,
    /// The same for all parts of a task, so that they agree on what has expired.
    pub(super) now_ms: i64,
    /// How many results of earlier parts come with it.
    pub(super) blobs: usize,
}

/// A backup to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobInput {
    pub(super) place: JobPlace,
    /// What the report calls it.
    pub(super) name: String,
}

/// Where a backup is to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum JobPlace {
    /// Path, in bytes as it may be no text.
    File(Vec<u8>),
    /// Read in ranges, never stored.
    Object(Remote),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) end: End,
    /// The report in JSON, or the partial.
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) kind: EndKind,
    /// Why a backup could not be read to its end, or nothing could be done.
    pub(super) error: Option<String>,
    /// Whether another attempt may fare better.
    pub(super) may_pass: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndKind {
    /// The body is the task's report.
    Report,
    /// It is a partial of one backup.
    Partial,
    /// It is a partial of all backups, which have to be counted again.
    Again,
    /// There is none.
    Nothing,
}

/// Gives the results of earlier parts, one after another.
pub(super) type Blobs<'b> = &'b mut dyn FnMut() -> io::Result<Vec<u8>>;

/// Does what the job says.
pub(super) fn perform(
    job: &Job,
    blobs: Blobs<'_>,
    progress: &dyn Progress,
) -> Result<Done, Cancelled> {
    let options = job.settings.options(job.now_ms);
    match job.step {
        Step::Whole => whole(job, &options, progress),
        Step::Count | Step::Recount => one(job, &options, blobs, progress),
        Step::Join | Step::Report => {
            Ok(merged(job, &options, blobs).unwrap_or_else(|error| Done::nothing(error, false)))
        }
    }
}

fn whole(job: &Job, options: &Options, progress: &dyn Progress) -> Result<Done, Cancelled> {
    let inputs = match job.inputs.iter().map(JobInput::input).collect::<Result<Vec<_>, _>>() {
        Ok(inputs) => inputs,
        Err(error) => return Ok(Done::nothing(error, false)),
    };
    let mut report = analyze(&inputs, options, progress)?;
    for input in &job.inputs {
        input.rename(&mut report.inputs, &mut report.damaged);
    }
    Ok(Done::report(&report))
}

fn one(
    job: &Job,
    options: &Options,
    blobs: Blobs<'_>,
    progress: &dyn Progress,
) -> Result<Done, Cancelled> {
    let Some(input) = job.inputs.first() else {
        return Ok(Done::nothing("part without a backup".to_owned(), false));
    };
    let from = match input.input() {
        Ok(from) => from,
        Err(error) => return Ok(Done::nothing(error, false)),
    };
    let mut partial = match job.step {
        Step::Recount => match next(blobs, options) {
            Ok(merged) => Partial::recount(&merged, from, options, progress)?,
            Err(error) => return Ok(Done::nothing(error, false)),
        },
        Step::Whole | Step::Count | Step::Join | Step::Report => {
            Partial::count(from, options, progress)?
        }
    };
    let (inputs, damaged) = partial.named();
    input.rename(inputs, damaged);
    Ok(Done { end: End::of(EndKind::Partial, partial.inputs()), body: partial.to_bytes(options) })
}

fn merged(job: &Job, options: &Options, blobs: Blobs<'_>) -> Result<Done, String> {
    let mut whole = next(blobs, options)?;
    if job.step == Step::Report {
        let mut again = next(blobs, options)?;
        for _ in 2..job.blobs {
            again.merge(next(blobs, options)?);
        }
        whole.finish(again);
    } else {
        for _ in 1..job.blobs {
            whole.merge(next(blobs, options)?);
        }
        if whole.needs_recount() {
            let end = End::of(EndKind::Again, whole.inputs());
            return Ok(Done { end, body: whole.to_bytes(options) });
        }
    }
    Ok(Done::report(&whole.report(options)))
}

fn next(blobs: Blobs<'_>, options: &Options) -> Result<Partial, String> {
    let bytes = blobs().map_err(|error| format!("result of another part: {error}"))?;
    Partial::from_bytes(&bytes, options).map_err(|error| error.to_string())
}

impl Done {
    /// What could not be done, and why.
    pub(super) fn nothing(error: String, may_pass: bool) -> Self {
        let end = End { kind: EndKind::Nothing, error: Some(error), may_pass };
        Self { end, body: Vec::new() }
    }

    fn report(report: &offkey_analysis::Report) -> Self {
        match serde_json::to_vec(report) {
            Ok(body) => Self { end: End::of(EndKind::Report, &report.inputs), body },
            Err(error) => {
                Self::nothing(format!("report cannot be written as JSON: {error}"), false)
            }
        }
    }
}

impl End {
    fn of(kind: EndKind, inputs: &[InputInfo]) -> Self {
        let failed = inputs.iter().find(|input| input.error.is_some());
        Self {
            kind,
            error: failed.and_then(|input| input.error.clone()),
            may_pass: inputs.iter().any(|input| input.error_may_pass),
        }
    }
}

impl JobInput {
    fn input(&self) -> Result<Input, String> {
        Ok(match &self.place {
            JobPlace::File(path) => Input::Path(OsString::from_vec(path.clone()).into()),
            JobPlace::Object(remote) => Input::Open(Arc::new(remote.object()?)),
        })
    }

    /// Gives the input its name for clients, to whom the folders of this machine mean nothing.
    fn rename(&self, inputs: &mut [InputInfo], damaged: &mut [DamagedKey]) {
        let Ok(path) = self.input().map(|input| input.name()) else { return };
        for input in inputs.iter_mut().filter(|input| input.file == path) {
            for line in input.error.iter_mut().chain(&mut input.warnings) {
                *line = line.replace(&path, &self.name);
            }
            input.file.clone_from(&self.name);
        }
        for key in damaged.iter_mut().filter(|key| key.file == path) {
            key.file.clone_from(&self.name);
        }
    }
}
