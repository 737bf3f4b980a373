//! `offkey analyze`: files to one report.

use offkey_analysis::{DamagedKey, InputInfo};
use offkey_render::Mask;
use offkey_render::name::Text;

use crate::Outcome;
use crate::args::{AnalyzeArgs, ReportFormat};
use crate::output::Output;
use crate::progress::Bar;
use crate::remote::Environment;
use crate::render::{self, Style};

/// Most damaged keys that stderr names.
const DAMAGED_SHOWN_MAX: usize = 20;

pub(crate) fn run(
    args: &AnalyzeArgs,
    now_ms: i64,
    stdout: Style,
    env: Environment,
) -> anyhow::Result<Outcome> {
    let mut output = Output::open(args.output.as_deref())?;
    let inputs = args.remote.inputs(&args.files, env)?;
    let bar = Bar::new(&args.files, args.reading.quiet);
    let report = offkey_analysis::analyze(&inputs.all, &args.options(now_ms), &bar);
    bar.finish();
    let mut report = report?;
    let unkept = inputs.persist(report.inputs.iter());
    if args.mask {
        Mask::new(args.separators.as_bytes()).report(&mut report);
    }

    let style = if output.is_stdout() { stdout } else { Style::PLAIN };
    let text = match args.format(style.terminal) {
        ReportFormat::Table => render::table(&report, &style),
        ReportFormat::Json => offkey_render::json(&report, style.terminal)?,
        ReportFormat::Html => offkey_render::html(&report)?,
        ReportFormat::Csv => offkey_render::csv(&report, args.csv_raw)?,
        ReportFormat::Jsonl => offkey_render::report_lines(&report)?,
        #[cfg(feature = "parquet")]
        ReportFormat::Parquet => offkey_render::parquet(&report)?,
    };
    output.write(&text)?;
    output.finish()?;

    for input in &report.inputs {
        tell_input(input, args.reading.quiet);
    }
    tell_damaged(&report.damaged, report.damaged_num);
    for error in &unkept {
        eprintln!("offkey: {}", Text(error));
    }
    let is_complete = report.complete && unkept.is_empty();
    Ok(if is_complete { Outcome::Complete } else { Outcome::Incomplete })
}

/// Says on stderr why an input is not complete, and what else is worth knowing of it.
pub(crate) fn tell_input(input: &InputInfo, quiet: bool) {
    if let Some(error) = &input.error {
        eprintln!("offkey: {}", Text(error));
    }
    for warning in input.warnings.iter().filter(|_| !quiet) {
        eprintln!("offkey: {}: warning: {}", Text(&input.file), Text(warning));
    }
}

/// Names damaged keys on stderr, of which there are `count` in all.
pub(crate) fn tell_damaged(damaged: &[DamagedKey], count: u64) {
    let shown = damaged.len().min(DAMAGED_SHOWN_MAX);
    for key in damaged.iter().take(shown) {
        eprintln!("offkey: {}", render::damaged_line(key));
    }
    let more = count.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    if more > 0 {
        eprintln!("offkey: and {more} more damaged keys");
    }
}
