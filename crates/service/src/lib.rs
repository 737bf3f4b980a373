//! The self-hosted service: the DCS offline key analysis API over one database.
//!
//! ```text
//! request -> finish (request id, error body) -> authenticate -> handler -> task store
//!                                                                             ^
//!                                        workers: claim, analyse, finish -----+
//! ```
//!
//! [`start`] runs all of it inside the calling process.

mod api;
mod auth;
mod backups;
mod check;
mod config;
mod console;
mod discovery;
pub mod fail;
mod ids;
mod live;
mod metrics;
mod router;
mod secret;
mod server;
mod settings;
mod store;
mod supervise;
mod tasks;
mod tls;

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

pub use crate::auth::{
    CredentialError, CredentialStore, Keyring, Listed, NewCredential, Signer, Unsigned, token,
};
pub use crate::backups::{Seen, Source};
pub use crate::check::Shown;
pub use crate::config::{
    Config, ConfigError, Credential, Instance, Integers, Limits, LogFormat, Node, Permission,
    Project, Role, Standing, TlsConfig, Told,
};
pub use crate::discovery::{Discover, Shape};
pub use crate::live::{Live, Replicas};
pub use crate::router::routes;
pub use crate::secret::Secret;
pub use crate::settings::{AnalysisConfig, Size, TaskLimits};
pub use crate::tasks::{ChildError, Isolation, child};

use crate::auth::{Credentials, LinkKey, ReplayGuard, Throttle};
use crate::discovery::{Finder, Instances};
use crate::store::{Location, Store, StoreError};
use crate::tasks::{Engine, Tasks, Works};
use crate::tls::Tls;

/// How long open requests may take once the service stops.
const STOP_MAX: Duration = Duration::from_secs(10);

/// How long a start waits for the data folder, and how often it looks: a process that was killed
/// while it started another one leaves the lock to that for a moment.
const LOCK_MAX: Duration = Duration::from_secs(3);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Answers the present in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A service that answers requests.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    works: Works,
    taker: JoinHandle<()>,
    store: Store,
    /// Held for as long as a database in the data folder is used.
    _lock: Option<File>,
}

/// The service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("configuration: {0}")]
    Config(String),
    /// The data folder cannot be used.
    #[error("data folder {path}: {error}")]
    DataDir {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process uses the data folder.
    #[error("data folder is in use by another process: {0}")]
    InUse(PathBuf),
    /// The database cannot be opened or is not ours.
    #[error("{0}")]
    Store(String),
    /// The credential store cannot be opened.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// There are no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The certificate cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// What handlers and workers share.
struct App {
    clock: Clock,
    integers: Integers,
    analysis: AnalysisConfig,
    projects: Vec<Project>,
    credentials: Credentials,
    instances: Arc<Instances>,
    finder: Arc<Finder>,
    tasks: Arc<Tasks>,
    engine: Arc<Engine>,
    replay: ReplayGuard,
    throttle: Throttle,
    links: LinkKey,
    public_url: Option<String>,
    /// Whether clients reach it by TLS.
    https: bool,
    /// Changes when the service stops.
    stopping: watch::Receiver<bool>,
}

/// A process that runs tasks and answers no requests.
#[derive(Debug)]
pub struct Working {
    stop: watch::Sender<bool>,
    works: Works,
    taker: JoinHandle<()>,
    store: Store,
}

/// Starts the service: it answers when this returns. Tasks that another process left running
/// when it died are run again.
///
/// # Errors
/// The configuration, data folder, database or address cannot be used.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    config.check().map_err(StartError::Config)?;
    let (store, location, lock) = open(&config).await?;
    let tasks = Arc::new(Tasks::new(store.clone()));
    let instances = Instances::new(config.instances);
    let finder = Finder::new(store.clone(), Arc::clone(&instances));
    finder.load().await.map_err(|error| StartError::Store(error.to_string()))?;
    let engine = Arc::new(Engine::new(
        Arc::clone(&tasks),
        Arc::clone(&instances),
        config.tasks,
        config.isolation,
        config.workers,
    ));
    let links = LinkKey::new(config.keyring.as_ref()).map_err(StartError::Random)?;
    let credentials = Credentials::new(store.clone(), config.credentials, config.keyring).await?;
    let tls = config.tls.map(Tls::open).transpose().map_err(StartError::Tls)?.map(Arc::new);
    let listening = async {
        let listener = TcpListener::bind(config.listen).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    let (listener, addr) =
        listening.await.map_err(|error| StartError::Listen { listen: config.listen, error })?;

    let (stop, stopped) = watch::channel(false);
    let app = Arc::new(App {
        clock,
        integers: config.integers,
        analysis: config.analysis,
        projects: config.projects,
        credentials,
        instances,
        finder: Arc::clone(&finder),
        tasks: Arc::clone(&tasks),
        engine: Arc::clone(&engine),
        replay: ReplayGuard::default(),
        throttle: Throttle::new(&config.limits),
        links,
        public_url: config.public_url,
        https: tls.is_some(),
        stopping: stopped.clone(),
    });
    let lease = engine.lease();
    let works = engine.start(location, &stopped);
    let taker = backups::Taker::new(
        Arc::clone(&app.tasks),
        Arc::clone(&finder),
        app.analysis.clone(),
        Arc::clone(&app.clock),
        lease,
    );
    let swept = app.instances.all();
    // Nobody has to wait for a folder that hangs.
    spawn_blocking(move || backups::remove_unfinished(&swept));
    let taker = taker.start(stopped.clone());
    finder.start(stopped.clone());
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).follow(stopped.clone()));
    }
    let router = router::router(app);
    let server = tokio::spawn(server::serve(listener, tls, router, config.limits, stopped));
    tracing::info!(%addr, "listening");
    Ok(Running { addr, stop, server, works, taker, store, _lock: lock })
}

/// Starts workers on a database that other processes share; new backups are taken here as well.
///
/// # Errors
/// The configuration or database cannot be used, or the database is one of a single process.
pub async fn work(config: Config, clock: Clock) -> Result<Working, StartError> {
    config.check().map_err(StartError::Config)?;
    if config.database.is_none() {
        let reason = "a worker of its own needs database = \"postgres://...\"".to_owned();
        return Err(StartError::Config(reason));
    }
    let (store, location, _) = open(&config).await?;
    let swept: Vec<_> = config.instances.iter().cloned().map(Arc::new).collect();
    spawn_blocking(move || backups::remove_unfinished(&swept));
    let tasks = Arc::new(Tasks::new(store.clone()));
    let instances = Instances::new(config.instances);
    let finder = Finder::new(store.clone(), Arc::clone(&instances));
    finder.load().await.map_err(|error| StartError::Store(error.to_string()))?;
    let engine =
        Engine::new(Arc::clone(&tasks), instances, config.tasks, config.isolation, config.workers);
    let (stop, stopped) = watch::channel(false);
    let lease = engine.lease();
    let works = Arc::new(engine).start(location, &stopped);
    let taker = backups::Taker::new(tasks, Arc::clone(&finder), config.analysis, clock, lease);
    let taker = taker.start(stopped.clone());
    finder.start(stopped);
    tracing::info!("working");
    Ok(Working { stop, works, taker, store })
}

/// Opens the database, with the lock of one that is in the data folder.
async fn open(config: &Config) -> Result<(Store, Location, Option<File>), StartError> {
    make_data_dir(&config.data_dir)?;
    let location = config.location();
    let failed = |error: StoreError| {
        StartError::Store(match &location {
            Location::Sqlite(path) => format!("{}: {error}", path.display()),
            Location::Postgres(_) => error.to_string(),
        })
    };
    let lock = match location {
        Location::Sqlite(_) => Some(lock(&config.data_dir).await?),
        Location::Postgres(_) => None,
    };
    let store = Store::open(&location).await.map_err(failed)?;
    if lock.is_some() {
        store.end_leases().await.map_err(failed)?;
    }
    Ok((store, location, lock))
}

impl Working {
    /// Stops: gives running tasks back and closes the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.works.end().await;
        ended(self.taker).await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

impl Running {
    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops: answers open requests, gives running tasks back and closes the database.
    pub async fn stop(self) {
        let Self { stop, mut server, works, taker, store, .. } = self;
        stop.send_replace(true);
        works.end().await;
        ended(taker).await;
        if timeout(STOP_MAX, &mut server).await.is_err() {
            server.abort();
        }
        store.close().await;
        tracing::info!("stopped");
    }
}

async fn ended(taker: JoinHandle<()>) {
    if let Err(error) = taker.await {
        tracing::error!(%error, "taking of backups ended badly");
    }
}

/// Makes the data folder, closed to others as key names may be personal.
///
/// # Errors
/// It cannot be made.
pub fn make_data_dir(path: &Path) -> Result<(), StartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StartError::DataDir { path: path.to_owned(), error })
}

/// Locks the data folder: a database in it has one process.
async fn lock(path: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::DataDir { path: path.to_owned(), error };
    let file = File::create(path.join("lock")).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_MAX => sleep(LOCK_RETRY).await,
            Err(TryLockError::WouldBlock) => return Err(StartError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}
