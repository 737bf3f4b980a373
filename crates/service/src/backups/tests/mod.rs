//! What is kept, and for how long, without servers: backups are files that somebody wrote.

mod due;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::record::{Kind, Record, nodes_of_groups};
use super::taker::Taker;
use crate::config::{Instance, Node, Role};
use crate::discovery::{Finder, Instances};
use crate::live::Live;
use crate::settings::AnalysisConfig;
use crate::store::Store;
use crate::store::tests::{subject_of_backup, success, take, with_each};
use crate::tasks::{Subject, Tasks};

const DAY_MS: i64 = 86_400_000;

const LEASE: Duration = Duration::from_secs(30);

fn instance(folder: &Path, live: Live) -> Arc<Instance> {
    Arc::new(Instance { live: Some(live), ..still(folder) })
}

/// An instance whose nodes nobody can reach.
fn still(folder: &Path) -> Instance {
    let node = Node {
        id: "n0".to_owned(),
        name: "n0".to_owned(),
        ip: "127.0.0.1".to_owned(),
        port: 6379,
        role: Role::Master,
        group: "g".to_owned(),
        backups: folder.to_owned(),
        told: None,
    };
    Instance {
        id: Uuid::from_u128(7),
        project: "p".to_owned(),
        name: "i".to_owned(),
        engine: "Redis".to_owned(),
        engine_version: "7.0".to_owned(),
        max_memory_mb: 0,
        created_at: String::new(),
        tags: BTreeMap::new(),
        live: None,
        analyse_schedule: None,
        sources: vec![],
        nodes: vec![node],
    }
}

fn taker(store: &Store, instance: &Arc<Instance>) -> Taker {
    let tasks = Arc::new(Tasks::new(store.clone()));
    let analysis = AnalysisConfig { top: 3, ..AnalysisConfig::default() };
    let instances = Instances::new(vec![Instance::clone(instance)]);
    let finder = Finder::new(store.clone(), instances);
    Taker::new(tasks, finder, analysis, Arc::new(|| 0), LEASE)
}

/// A backup of the schedule that was taken at `at_ms` by the database's clock.
async fn taken(store: &Store, instance: &Instance, kind: Kind, at_ms: i64) -> Record {
    let record =
        Record::new(instance, &nodes_of_groups(instance).unwrap(), kind, String::new(), at_ms);
    assert!(store.add_backup(&record).await.unwrap());
    let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
    assert!(store.finish_backup(&claimed, None).await.unwrap());
    for file in &record.files {
        let node = instance.node(&file.node_id).unwrap();
        std::fs::write(node.backups.join(&file.file_name), "REDIS").unwrap();
    }
    sqlx::query("UPDATE backups SET created_at_ms = $1 WHERE id = $2")
        .bind(at_ms)
        .bind(record.id.to_string())
        .execute(&store.pool)
        .await
        .unwrap();
    record
}

/// The records that are left, the newest first; their files are there, and no others.
async fn left(store: &Store, instance: &Instance) -> Vec<Uuid> {
    let records = store.backups(instance.id).await.unwrap();
    let mut names: Vec<_> = records.iter().flat_map(|record| &record.files).collect();
    names.sort_by_key(|file| &file.file_name);
    let entries = std::fs::read_dir(&instance.nodes[0].backups).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rdb"))
        .collect();
    found.sort();
    assert_eq!(names.iter().map(|file| file.file_name.clone()).collect::<Vec<_>>(), found);
    records.iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn backups_of_the_schedule_are_kept_for_days() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let live = Live { keep_days: Some(3), ..Live::default() };
        let instance = instance(folder.path(), live);
        let now_ms = 100 * DAY_MS;
        let mut ids = Vec::new();
        for (kind, at_ms) in [
            (Kind::Auto, now_ms),
            (Kind::Auto, now_ms - 3 * DAY_MS),
            (Kind::Auto, now_ms - 3 * DAY_MS - 1),
            (Kind::Manual, now_ms - 50 * DAY_MS),
            (Kind::Analysis, now_ms - 60 * DAY_MS),
            (Kind::Auto, now_ms - 90 * DAY_MS),
        ] {
            ids.push(taken(&store, &instance, kind, at_ms).await.id);
        }
        let taker = taker(&store, &instance);
        taker.retain(&instance, now_ms - 87 * DAY_MS).await.unwrap();
        assert_eq!(left(&store, &instance).await, ids);
        taker.retain(&instance, now_ms).await.unwrap();
        assert_eq!(left(&store, &instance).await, [ids[0], ids[1], ids[3], ids[4]]);
        taker.retain(&instance, now_ms + 4 * DAY_MS).await.unwrap();
        assert_eq!(left(&store, &instance).await, [ids[3], ids[4]]);
    })
    .await;
}

#[tokio::test]
async fn backup_that_is_read_is_not_removed() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let live = Live { keep_count: Some(1), keep_days: Some(3), ..Live::default() };
        let instance = instance(folder.path(), live);
        let old = taken(&store, &instance, Kind::Auto, 0).await.id;
        let unread = taken(&store, &instance, Kind::Auto, 1000).await.id;
        let new = taken(&store, &instance, Kind::Auto, 100 * DAY_MS).await.id;
        let taker = taker(&store, &instance);
        // Whether it is the first backup of the analysis or another one.
        for number in [1, 2] {
            let mut subject = subject_of_backup(instance.id, old);
            if number == 2 {
                let other = subject_of_backup(instance.id, new);
                subject.more = vec![std::mem::replace(&mut subject.first, other.first)];
            }
            store.create(Uuid::from_u128(number), &subject).await.unwrap();
            taker.retain(&instance, 100 * DAY_MS).await.unwrap();
            assert_eq!(left(&store, &instance).await, [new, old], "{number} waits");
            let claim = take(&store).await;
            taker.retain(&instance, 100 * DAY_MS).await.unwrap();
            assert_eq!(left(&store, &instance).await, [new, old], "{number} runs");
            assert!(store.finish(&claim, &success()).await.unwrap());
        }
        assert!(store.backup(unread).await.unwrap().is_none());
        taker.retain(&instance, 100 * DAY_MS).await.unwrap();
        assert_eq!(left(&store, &instance).await, [new]);
    })
    .await;
}

#[tokio::test]
async fn backup_that_is_not_kept_goes_once_its_analysis_has_ended() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let instance = instance(folder.path(), Live::default());
        let taker = taker(&store, &instance);
        let nodes = nodes_of_groups(&instance).unwrap();
        for (number, finishes) in [(1, true), (2, false)] {
            let text = "for an analysis".to_owned();
            let record = Record::new(&instance, &nodes, Kind::Analysis, text, number * 1000);
            let record = Record { keep: false, ..record };
            let subject = Subject { is_new: true, ..subject_of_backup(instance.id, record.id) };
            let task_id = Uuid::from_u128(number.unsigned_abs().into());
            store.create_with(task_id, &subject, Some(&record)).await.unwrap();
            let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
            assert!(!claimed.keep);
            std::fs::write(folder.path().join(&record.files[0].file_name), "REDIS").unwrap();
            // Neither while it is taken, nor before the analysis begins, nor while it runs.
            taker.remove_unkept().await;
            assert_eq!(left(&store, &instance).await, [record.id]);
            assert!(store.finish_backup(&claimed, None).await.unwrap());
            taker.remove_unkept().await;
            assert_eq!(left(&store, &instance).await, [record.id]);
            let claim = take(&store).await;
            taker.remove_unkept().await;
            assert_eq!(left(&store, &instance).await, [record.id]);
            if finishes {
                assert!(store.finish(&claim, &success()).await.unwrap());
            } else {
                store.delete("p", instance.id, task_id, true).await.unwrap();
            }
            taker.remove_unkept().await;
            let left = left(&store, &instance).await;
            assert!(left.is_empty(), "{left:?}");
            let shown = store.show("p", instance.id, task_id).await.unwrap();
            assert_eq!(shown.map(|(task, _)| task.subject.is_new), finishes.then_some(true));
        }
    })
    .await;
}
