//! What the tests of the store share: every one of them runs on both databases.

use std::sync::OnceLock;

use offkey_testkit::Postgres;
use tempfile::TempDir;

use super::{Location, Store};
use crate::Secret;

/// An empty database of either kind.
pub(crate) struct Empty {
    pub(crate) location: Location,
    _folder: TempDir,
}

/// One of each kind that is there.
pub(crate) fn empty() -> Vec<Empty> {
    let folder = || tempfile::tempdir().unwrap();
    let sqlite = folder();
    let mut all = vec![Empty {
        location: Location::Sqlite(sqlite.path().join("a b?.sqlite")),
        _folder: sqlite,
    }];
    if let Some(cluster) = cluster() {
        let location = Location::Postgres(Secret::new(cluster.database()));
        all.push(Empty { location, _folder: folder() });
    }
    all
}

/// Runs `test` with a new store of each kind.
pub(crate) async fn with_each<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    for empty in empty() {
        let store = Store::open(&empty.location).await.unwrap();
        eprintln!("with {:?}", store.kind);
        test(store.clone()).await;
        store.close().await;
    }
}

/// The cluster of this process.
fn cluster() -> Option<&'static Postgres> {
    static CLUSTER: OnceLock<Option<Postgres>> = OnceLock::new();
    CLUSTER.get_or_init(Postgres::start).as_ref()
}
