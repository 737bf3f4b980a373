//! `offkey serve`: the service until it is told to stop.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use offkey_service::{Config, Isolation, LogFormat, Running};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::Outcome;

/// Variables that say how object stores are reached, and whose certificates are trusted there:
/// what an analysis has to know as well.
const OF_NETWORK: [&str; 10] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A fail point for tests, as `offkey_service::fail` explains them.
const FAIL_POINT: &str = "OFFKEY_FAIL_POINT";

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

/// `offkey worker`: runs tasks until it is told to stop.
pub(crate) fn work(config: &Path) -> anyhow::Result<Outcome> {
    let config = Config { isolation: isolation()?, ..crate::config::load(config)? };
    log(LevelFilter::INFO, config.log_format);
    arm()?;
    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut told = Told::listen()?;
        let working = offkey_service::work(config, Arc::new(crate::now_ms)).await?;
        told.wait().await;
        working.stop().await;
        Ok(Outcome::Complete)
    })
}

/// `offkey child`: analyses one backup for the worker that started it.
pub(crate) fn child() -> anyhow::Result<Outcome> {
    offkey_service::child(std::io::stdin(), std::io::stdout())?;
    Ok(Outcome::Complete)
}

/// This very program for analyses, even if another has taken its name meanwhile.
fn isolation() -> anyhow::Result<Isolation> {
    let running = Path::new("/proc/self/exe");
    let program = match running.exists() {
        true => running.to_owned(),
        false => std::env::current_exe().context("cannot find this program")?,
    };
    let of_network = |name: &str| Some((name.into(), std::env::var_os(name)?));
    Ok(Isolation::Process(program, OF_NETWORK.into_iter().filter_map(of_network).collect()))
}

/// Arms the fail point that a test asks for.
fn arm() -> anyhow::Result<()> {
    match std::env::var(FAIL_POINT) {
        Ok(point) => offkey_service::fail::arm(&point).map_err(anyhow::Error::msg),
        Err(_) => Ok(()),
    }
}

/// Starts the service on this machine's clock.
pub(crate) async fn start(config: Config) -> anyhow::Result<Running> {
    arm()?;
    let config = Config { isolation: isolation()?, ..config };
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
