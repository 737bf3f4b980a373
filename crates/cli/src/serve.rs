//! `offkey serve`: the service until it is told to stop.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use offkey_service::{Config, Running};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::Outcome;

pub(crate) fn run(config: &Path) -> anyhow::Result<Outcome> {
    let config = Config::load(config)?;
    log(LevelFilter::INFO);
    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let running = start(config).await?;
        until_told().await?;
        running.stop().await;
        Ok(Outcome::Complete)
    })
}

/// Starts the service on this machine's clock.
pub(crate) async fn start(config: Config) -> anyhow::Result<Running> {
    Ok(offkey_service::start(config, Arc::new(crate::now_ms)).await?)
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn until_told() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Logs to stderr from now on.
pub(crate) fn log(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
