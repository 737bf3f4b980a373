//! The one binary, `offkey`: reads the command line, the clock and the environment, and
//! hands the work to the other crates.

mod analyze;
mod args;
mod backups;
mod config;
mod credential;
mod demo;
mod inspect;
mod interrupt;
mod keys;
mod output;
mod progress;
mod remote;
mod render;
mod serve;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser as _;

use crate::args::{Args, Command};
use crate::render::Style;

/// What a run came to; its number is the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every input was read to its end and is sound.
    Complete,
    /// Some input is bad or incomplete; the rest was reported.
    Incomplete,
}

fn main() -> ExitCode {
    let now_ms = now_ms();
    let outcome = match Args::parse().command {
        Command::Analyze(args) => analyze::run(&args, now_ms, stdout_style(), environment),
        Command::Keys(args) => keys::run(&args, now_ms, environment),
        Command::Inspect(args) => inspect::run(&args),
        Command::Serve(args) => serve::run(&args.config),
        Command::CheckConfig(args) => config::check(&args.config),
        Command::Backups(args) => backups::run(&args),
        Command::Worker(args) => serve::work(&args.config),
        Command::Child => serve::child(),
        Command::Credential(args) => credential::run(&args, now_ms),
        Command::Token(args) => credential::token(&args, now_ms),
        Command::Demo(args) => demo::run(&args, stdout_style()),
    };
    match outcome {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(1),
        Err(error) => {
            eprintln!("offkey: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Milliseconds since 1970; 0 where the clock says less.
fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// A variable of the environment, if it says something.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What stdout can show; `NO_COLOR` is the custom of <https://no-color.org>.
fn stdout_style() -> Style {
    if !std::io::stdout().is_terminal() {
        return Style::PLAIN;
    }
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    Style { terminal: true, width, color: !no_color }
}
