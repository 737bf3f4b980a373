//! `offkey backups list`: which file is of which node and time.

use std::io::Write as _;

use offkey_service::Shown;

use crate::Outcome;
use crate::args::{BackupsArgs, BackupsCommand};

/// One line for each file, with tabs between: instance, node, time, bytes, file; or instance, `-`,
/// file and why it is no backup.
pub(crate) fn run(args: &BackupsArgs) -> anyhow::Result<Outcome> {
    let BackupsCommand::List(args) = &args.command;
    let mut out = std::io::stdout().lock();
    let mut outcome = Outcome::Complete;
    for Shown { instance, source, name, len, of } in crate::config::load(&args.config)?.backups() {
        let file = format!("{}/{name}", source.trim_end_matches('/'));
        let file = file.escape_debug();
        let line = match of {
            Ok((node, time)) => {
                format!("{instance}\t{node}\t{}\t{len}\t{file}", time.as_deref().unwrap_or("-"))
            }
            Err(why) => {
                outcome = Outcome::Incomplete;
                format!("{instance}\t-\t{file}\t{why}")
            }
        };
        writeln!(out, "{line}")?;
    }
    Ok(outcome)
}
