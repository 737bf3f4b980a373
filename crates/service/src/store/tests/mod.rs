//! Tests of the store: every one of them runs on both databases.

mod clock;
mod findings;
mod queue;
mod races;
mod tasks;
mod upgrade;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use offkey_testkit::Postgres;
use sqlx::Row as _;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Kind, Location, Store, Terms};
use crate::Secret;
use crate::api::Page;
use crate::backups::record::{self, Record};
use crate::config::Role;
use crate::settings::AnalysisConfig;
use crate::tasks::{Claim, Outcome, Part, Progress, State, Step, Subject, Task};

const EVER: RangeInclusive<i64> = i64::MIN..=i64::MAX;

const ALL: Page = Page { offset: 0, limit: 1000 };

/// An empty database of either kind.
struct Empty {
    location: Location,
    _folder: TempDir,
}

/// One of each kind that is there.
fn empty() -> Vec<Empty> {
    // Where nothing has to reach a disk, thousands of commits take no time.
    let folder = || {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        tempfile::tempdir_in(parent).unwrap()
    };
    let sqlite = folder();
    let location = Location::Sqlite(sqlite.path().join("a b?.sqlite"));
    let mut all = vec![Empty { location, _folder: sqlite }];
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

/// The backup of an analysis, which is still to be taken.
fn coming_backup(id: u128) -> Record {
    Record {
        id: Uuid::from_u128(id),
        project_id: "p".to_owned(),
        instance_id: Uuid::from_u128(id),
        remark: String::new(),
        kind: record::Kind::Analysis,
        state: record::State::Waiting,
        files: vec![],
        created_at_ms: 0,
        updated_at_ms: 0,
        attempt: 0,
        faults: 0,
        keep: true,
        error: None,
        bytes: 0,
        progress: 0,
    }
}

/// Some claim, for those who want one without a store.
pub(crate) fn claim() -> Claim {
    let task = Task {
        id: Uuid::from_u128(1),
        subject: subject(1),
        state: State::Running,
        created_at_ms: 0,
        started_at_ms: None,
        finished_at_ms: None,
        progress: Progress::default(),
        error: None,
    };
    Claim { task, step: Step::Whole, number: 0, attempt: 1, deaths: 0, faults: 0 }
}

/// What somebody who analyses `backup_id` of an instance would ask for.
pub(crate) fn subject_of_backup(instance_id: Uuid, backup_id: Uuid) -> Subject {
    let first = Part { backup_id, ..part("n0") };
    Subject { project_id: "p".to_owned(), instance_id, first, ..subject(1) }
}

/// A task of one backup.
fn subject(instance: u128) -> Subject {
    Subject {
        project_id: "p".to_owned(),
        instance_id: Uuid::from_u128(instance),
        first: part("n0"),
        more: vec![],
        is_new: false,
        priority: 0,
        settings: AnalysisConfig { top: 7, ..AnalysisConfig::default() },
    }
}

/// A task of several.
fn subject_of(instance: u128, backups: usize) -> Subject {
    let more = (1..backups).map(|number| part(&format!("n{number}"))).collect();
    Subject { more, ..subject(instance) }
}

fn part(node_id: &str) -> Part {
    Part {
        backup_id: Uuid::nil(),
        node_id: node_id.to_owned(),
        node_name: "name".to_owned(),
        node_ip: String::new(),
        node_role: Role::Slave,
        group_name: "g".to_owned(),
    }
}

fn terms() -> Terms {
    Terms { worker_id: Uuid::from_u128(9), lease: Duration::from_secs(30), parts_per_instance: 100 }
}

/// Takes a part that is there.
pub(crate) async fn take(store: &Store) -> Claim {
    store.claim(&terms()).await.unwrap().unwrap()
}

pub(crate) fn success() -> Outcome {
    Outcome { error: None, report: Some("{}".to_owned()), progress: Progress::default() }
}

async fn only(store: &Store, instance: u128) -> Task {
    let listed = store.list("p", Uuid::from_u128(instance), None, EVER, ALL).await.unwrap();
    assert_eq!((listed.0.len(), listed.1), (1, 1));
    listed.0[0].clone()
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(&store.pool).await.unwrap().get(0)
}
