//! `offkey keys`: every key of the files, one row each.

use std::ops::ControlFlow;

use anyhow::Context as _;
use offkey_analysis::{KeyFacts, KeysEnd, Options};
#[cfg(feature = "parquet")]
use offkey_render::KeysParquet;
use offkey_render::name::Text;
use offkey_render::{KeysCsv, Mask};

use crate::Outcome;
use crate::analyze::{tell_damaged, tell_input};
use crate::args::{KeysArgs, KeysFormat};
use crate::output::Output;
use crate::remote::Environment;

/// Bytes of rows gathered before they are written.
const BATCH_LEN: usize = 1 << 18;

pub(crate) fn run(args: &KeysArgs, now_ms: i64, env: Environment) -> anyhow::Result<Outcome> {
    let options = args.reading.options(now_ms);
    let mask = args.mask.then(|| Mask::new(&options.separators));
    let mut list = List {
        rows: Rows::new(args, &options)?,
        output: Output::open(args.output.as_deref())?,
        state: Ok(true),
    };
    let mut outcome = Outcome::Complete;
    let inputs = args.remote.inputs(&args.files, env)?;
    for input in inputs.all.iter().flat_map(|input| input.clone().files()) {
        let file = input.name();
        list.rows.set_file(&file);
        let mut ends = offkey_analysis::keys(input, &options, &mut |facts| match &mask {
            None => list.push(&file, facts),
            Some(mask) => {
                let name = mask.name(facts.key);
                let key_len = u64::try_from(name.len()).unwrap_or(u64::MAX);
                list.push(&file, &KeyFacts { key: name.as_bytes(), key_len, ..*facts })
            }
        });
        if list.flush().is_break() {
            break;
        }
        for KeysEnd { input, damaged } in &mut ends {
            if let Some(mask) = &mask {
                damaged.iter_mut().for_each(|damaged| mask.damaged(damaged));
                input.error = input.error.take().map(|error| Mask::message(&error));
            }
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
    if list.finish()? { Ok(outcome) } else { Ok(Outcome::Complete) }
}

/// Rows on their way out.
struct List {
    rows: Rows,
    output: Output,
    /// `Ok(false)` once the reader of stdout has gone.
    state: anyhow::Result<bool>,
}

impl List {
    fn push(&mut self, file: &str, facts: &KeyFacts<'_>) -> ControlFlow<()> {
        match self.rows.push(file, facts) {
            Ok(len) if len < BATCH_LEN => ControlFlow::Continue(()),
            Ok(_) => self.flush(),
            Err(error) => {
                self.state = Err(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Writes what was gathered; breaks where more rows would be in vain.
    fn flush(&mut self) -> ControlFlow<()> {
        if matches!(self.state, Ok(true)) {
            self.state = self.rows.take().and_then(|bytes| self.output.write(&bytes));
        }
        if matches!(self.state, Ok(true)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// Whether every row was wanted.
    fn finish(mut self) -> anyhow::Result<bool> {
        let wanted = self.state? && self.output.write(&self.rows.finish()?)?;
        self.output.finish()?;
        Ok(wanted)
    }
}

/// Rows in one of the forms.
enum Rows {
    Jsonl(Vec<u8>),
    Csv(Box<KeysCsv>),
    #[cfg(feature = "parquet")]
    Parquet(Box<KeysParquet>),
}

impl Rows {
    #[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "names of columns"))]
    fn new(args: &KeysArgs, options: &Options) -> anyhow::Result<Self> {
        Ok(match args.format() {
            KeysFormat::Jsonl => Self::Jsonl(Vec::with_capacity(2 * BATCH_LEN)),
            KeysFormat::Csv => Self::Csv(Box::new(KeysCsv::new(args.csv_raw)?)),
            #[cfg(feature = "parquet")]
            KeysFormat::Parquet => Self::Parquet(Box::new(KeysParquet::new(options)?)),
        })
    }

    #[cfg_attr(not(feature = "parquet"), expect(unused_variables, reason = "rows have it"))]
    fn set_file(&mut self, file: &str) {
        match self {
            Self::Jsonl(_) | Self::Csv(_) => {}
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.set_file(file.to_owned()),
        }
    }

    /// Adds a row; answers how many bytes wait to be taken.
    fn push(&mut self, file: &str, facts: &KeyFacts<'_>) -> anyhow::Result<usize> {
        match self {
            Self::Jsonl(lines) => {
                offkey_render::key_line(lines, facts);
                Ok(lines.len())
            }
            Self::Csv(rows) => {
                rows.push(file, facts).context("cannot make a row")?;
                Ok(rows.waiting_len())
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.push(facts).context("cannot make a row"),
        }
    }

    fn take(&mut self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Jsonl(lines) => Ok(std::mem::replace(lines, Vec::with_capacity(2 * BATCH_LEN))),
            Self::Csv(rows) => rows.take().context("cannot make rows"),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => Ok(rows.take()),
        }
    }

    /// What stands behind the rows.
    fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Jsonl(_) | Self::Csv(_) => self.take(),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.finish().context("cannot end the file"),
        }
    }
}
