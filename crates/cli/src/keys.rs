//! `offkey keys`: every key of the files, one line each.

use std::ops::ControlFlow;

use offkey_analysis::KeysEnd;
use offkey_render::name::Text;

use crate::Outcome;
use crate::analyze::{tell_damaged, tell_input};
use crate::args::{KeysArgs, KeysFormat};
use crate::output::Output;
use crate::remote::Environment;

/// Bytes of lines gathered before they are written.
const BATCH_LEN: usize = 1 << 18;

pub(crate) fn run(args: &KeysArgs, now_ms: i64, env: Environment) -> anyhow::Result<Outcome> {
    let KeysFormat::Jsonl = args.format;
    let options = args.reading.options(now_ms);
    let mut lines = Lines::new(Output::open(args.output.as_deref())?);
    let mut outcome = Outcome::Complete;
    let inputs = args.remote.inputs(&args.files, env)?;
    for input in &inputs.all {
        let ends = offkey_analysis::keys(input.clone(), &options, &mut |facts| {
            offkey_render::key_line(&mut lines.batch, facts);
            if lines.batch.len() < BATCH_LEN { ControlFlow::Continue(()) } else { lines.flush() }
        });
        if lines.flush().is_break() {
            break;
        }
        for KeysEnd { input, damaged } in &ends {
            tell_input(input, args.reading.quiet);
            tell_damaged(damaged, input.damaged_num);
            if !input.complete {
                outcome = Outcome::Incomplete;
            }
        }
        for error in inputs.persist(ends.iter().map(|end| &end.input)) {
            eprintln!("offkey: {}", Text(&error));
            outcome = Outcome::Incomplete;
        }
    }
    if lines.finish()? { Ok(outcome) } else { Ok(Outcome::Complete) }
}

/// Lines on their way out.
struct Lines {
    batch: Vec<u8>,
    output: Output,
    /// `Ok(false)` once the reader of stdout has gone.
    state: anyhow::Result<bool>,
}

impl Lines {
    fn new(output: Output) -> Self {
        Self { batch: Vec::with_capacity(2 * BATCH_LEN), output, state: Ok(true) }
    }

    /// Writes what was gathered; breaks where more lines would be in vain.
    fn flush(&mut self) -> ControlFlow<()> {
        if matches!(self.state, Ok(true)) {
            self.state = self.output.write(&self.batch);
        }
        self.batch.clear();
        if matches!(self.state, Ok(true)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// Whether every line was wanted.
    fn finish(self) -> anyhow::Result<bool> {
        let wanted = self.state?;
        self.output.finish()?;
        Ok(wanted)
    }
}
