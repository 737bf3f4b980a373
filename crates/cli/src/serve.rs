//! `offkey serve`: the service until it is told to stop.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use offkey_service::{Config, LogFormat, Running};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::Outcome;

/// Ctrl-C and SIGTERM, which end the process in its own way from [`Told::listen`] on.
pub(crate) struct Told {
    interrupt: Signal,
    terminate: Signal,
}

pub(crate) fn run(config: &Path) -> anyhow::Result<Outcome> {
    let config = crate::config::load(config)?;
    log(LevelFilter::INFO, config.log_format);
    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut told = Told::listen()?;
        let running = start(config).await?;
        told.wait().await;
        running.stop().await;
        Ok(Outcome::Complete)
    })
}

/// Starts the service on this machine's clock.
pub(crate) async fn start(config: Config) -> anyhow::Result<Running> {
    Ok(offkey_service::start(config, Arc::new(crate::now_ms)).await?)
}

/// Logs to stderr from now on.
pub(crate) fn log(level: LevelFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).with_span_list(false).init(),
    }
}

impl Told {
    /// Starts listening, inside a runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the first of them.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
