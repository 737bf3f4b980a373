//! One backup of a host at a time, whatever process takes it: a server forks for it, and sends
//! all of its data.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{interval, sleep};
use uuid::Uuid;

use super::Failure;
use crate::config::Node;
use crate::store::{Store, StoreError};

/// How often a host that another one holds is asked for.
const WAIT: Duration = Duration::from_millis(250);

/// Does `work` once nobody else takes a backup of the host of `node`.
pub(super) async fn alone<T>(
    store: &Store,
    node: &Node,
    lease: Duration,
    unwanted: &AtomicBool,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let found = lookup_host((node.ip.as_str(), node.port)).await;
    let Some(host) = found.ok().and_then(|mut found| Some(found.next()?.ip())) else {
        // Who connects to it says why.
        return work.await;
    };
    let holder = Uuid::now_v7();
    while !hold(store, host, holder, lease).await? {
        if unwanted.load(Ordering::Relaxed) {
            return Err(Failure { why: "no longer wanted".to_owned(), may_pass: true });
        }
        sleep(WAIT).await;
    }
    tokio::pin!(work);
    let mut beat = interval(lease / 6);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = beat.tick() => match hold(store, host, holder, lease).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(%host, "another process takes a backup of it too"),
                Err(Failure { why, .. }) => tracing::error!(%host, why, "hold not renewed"),
            },
        }
    };
    if let Err(error) = store.leave_host(host, holder).await {
        tracing::error!(%host, %error, "held until its lease ends");
    }
    result
}

async fn hold(store: &Store, host: IpAddr, holder: Uuid, lease: Duration) -> Result<bool, Failure> {
    let held = store.hold_host(host, holder, lease).await;
    held.map_err(|error: StoreError| Failure { why: error.to_string(), may_pass: error.may_pass() })
}
