//! `offkey serve`: the service until it is told to stop.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use offkey_service::{Config, Keyring, Running, Secret};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::Outcome;

/// Name under which systemd hands over the keys of the credential store.
const SYSTEMD_CREDENTIAL: &str = "offkey-credential-key";

/// Ctrl-C and SIGTERM, which end the process in its own way from [`Told::listen`] on.
pub(crate) struct Told {
    interrupt: Signal,
    terminate: Signal,
}

pub(crate) fn run(config: &Path) -> anyhow::Result<Outcome> {
    let mut config = Config::load(config)?;
    config.keyring = keyring(config.credential_key_file.as_deref())?;
    log(LevelFilter::INFO);
    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut told = Told::listen()?;
        let running = start(config).await?;
        told.wait().await;
        running.stop().await;
        Ok(Outcome::Complete)
    })
}

/// The keys of the credential store: from the configured file, or as systemd hands them over.
fn keyring(file: Option<&Path>) -> anyhow::Result<Option<Keyring>> {
    let handed = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|folder| Path::new(&folder).join(SYSTEMD_CREDENTIAL))
        .filter(|path| path.exists());
    let Some(path) = file.map(Path::to_owned).or(handed) else { return Ok(None) };
    let text = std::fs::read_to_string(&path).map(Secret::new);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let keyring = Keyring::parse(text.expose());
    keyring.map(Some).map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))
}

/// Starts the service on this machine's clock.
pub(crate) async fn start(config: Config) -> anyhow::Result<Running> {
    Ok(offkey_service::start(config, Arc::new(crate::now_ms)).await?)
}

/// Logs to stderr from now on.
pub(crate) fn log(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
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
