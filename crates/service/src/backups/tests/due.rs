//! Backups and analyses of schedules: one for each due time, however many processes there are.

use super::*;
use crate::api::Page;
use crate::store::StoreError;
use crate::tasks::{State, Task};

const TEN_MINUTES: &str = "*/10 * * * *";

const DUE_MS: i64 = 100 * DAY_MS + 600_000;

async fn tasks(store: &Store, instance: &Instance) -> Vec<Task> {
    let page = Page { offset: 0, limit: 1000 };
    store.list("p", instance.id, None, i64::MIN..=i64::MAX, page).await.unwrap().0
}

#[tokio::test]
async fn due_time_is_one_backup_for_all_processes() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let live = Live { schedule: Some(TEN_MINUTES.to_owned()), ..Live::default() };
        let instance = instance(folder.path(), live);
        // Their clocks differ, and one comes when the backup has been taken.
        let [first, second, third] = [(); 3].map(|()| taker(&store, &instance));
        tokio::join!(
            first.keep_schedule(&instance, DUE_MS - 300, DUE_MS + 200),
            second.keep_schedule(&instance, DUE_MS - 1, DUE_MS + 499),
        );
        let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
        third.keep_schedule(&instance, DUE_MS - 1, DUE_MS + 30_000).await;
        assert!(store.finish_backup(&claimed, None).await.unwrap());
        third.keep_schedule(&instance, DUE_MS - 1, DUE_MS + 31_000).await;
        let records = store.backups(instance.id).await.unwrap();
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0].files[0].file_name, "redis_127.0.0.1_6379_all_19700411001000000.rdb");
        // The next time is another one.
        second.keep_schedule(&instance, DUE_MS + 1, DUE_MS + 600_000).await;
        assert_eq!(store.backups(instance.id).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn due_time_is_one_analysis_for_all_processes() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dump.rdb"), "REDIS").unwrap();
        let analyse_schedule = Some(TEN_MINUTES.to_owned());
        let instance = Arc::new(Instance { analyse_schedule, ..still(folder.path()) });
        let [first, second, third] = [(); 3].map(|()| taker(&store, &instance));
        for _ in 0..20 {
            tokio::join!(
                first.analyse_by_schedule(&instance, DUE_MS - 300, DUE_MS + 200),
                second.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS + 499),
            );
        }
        let claim = take(&store).await;
        third.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS + 30_000).await;
        assert!(store.finish(&claim, &success()).await.unwrap());
        third.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS + 31_000).await;
        let [task] = tasks(&store, &instance).await.try_into().unwrap();
        let backup = crate::backups::newest(&instance, &[&instance.nodes[0]]).unwrap().unwrap().1;
        assert_eq!(task.subject.first.backup_id, backup.id);
        assert_eq!((task.subject.is_new, task.subject.settings.top), (false, 3));
        // The next time is another one; it is left out while an analysis waits.
        first.analyse_by_schedule(&instance, DUE_MS + 1, DUE_MS + 600_000).await;
        first.analyse_by_schedule(&instance, DUE_MS + 600_001, DUE_MS + 1_200_000).await;
        assert_eq!(tasks(&store, &instance).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn analysis_reads_the_backup_of_the_same_time_and_else_the_newest() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let live = Live { schedule: Some("0 * * * *".to_owned()), ..Live::default() };
        let analyse_schedule = Some(TEN_MINUTES.to_owned());
        let live = Some(live);
        let instance = Arc::new(Instance { live, analyse_schedule, ..still(folder.path()) });
        let taker = taker(&store, &instance);
        let hour_ms = DUE_MS + 3_000_000;
        // Nothing is there before the hour.
        taker.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS).await;
        assert_eq!(tasks(&store, &instance).await, []);
        taker.keep_schedule(&instance, hour_ms - 1, hour_ms).await;
        taker.analyse_by_schedule(&instance, hour_ms - 1, hour_ms).await;
        let [record] = store.backups(instance.id).await.unwrap().try_into().unwrap();
        let [task] = tasks(&store, &instance).await.try_into().unwrap();
        assert_eq!(task.subject.first.backup_id, record.id);
        assert!(!task.subject.is_new);
        let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
        std::fs::write(folder.path().join(&record.files[0].file_name), "REDIS").unwrap();
        assert!(store.finish_backup(&claimed, None).await.unwrap());
        let claim = take(&store).await;
        assert!(store.finish(&claim, &success()).await.unwrap());
        taker.analyse_by_schedule(&instance, hour_ms, hour_ms + 600_000).await;
        let again = tasks(&store, &instance).await;
        assert_eq!(again.len(), 2);
        assert!(again.iter().all(|task| task.subject.first.backup_id == record.id), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn live_instance_without_a_schedule_of_backups_has_one_taken_for_the_analysis() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let analyse_schedule = Some(TEN_MINUTES.to_owned());
        let live = Some(Live::default());
        let instance = Arc::new(Instance { live, analyse_schedule, ..still(folder.path()) });
        let [first, second] = [(); 2].map(|()| taker(&store, &instance));
        tokio::join!(
            first.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS),
            second.analyse_by_schedule(&instance, DUE_MS - 1, DUE_MS + 100),
        );
        let [record] = store.backups(instance.id).await.unwrap().try_into().unwrap();
        let [task] = tasks(&store, &instance).await.try_into().unwrap();
        assert_eq!(task.subject.first.backup_id, record.id);
        assert!(task.subject.is_new && record.keep);
        assert_eq!(record.kind, Kind::Auto);
    })
    .await;
}

/// A task without its backup would wait for ever, a backup without its task be for nothing.
#[tokio::test]
async fn task_and_its_backup_are_created_together_or_not_at_all() {
    with_each(|store| async move {
        let folder = tempfile::tempdir().unwrap();
        let instance = instance(folder.path(), Live::default());
        let nodes = nodes_of_groups(&instance).unwrap();
        let record = |at_ms| Record::new(&instance, &nodes, Kind::Analysis, String::new(), at_ms);
        let create = async |number: i64, record: &Record| {
            let subject = subject_of_backup(instance.id, record.id);
            let id = Uuid::from_u128(number.unsigned_abs().into());
            store.create_with(id, &subject, Some(record)).await
        };
        // A backup is being taken: no task.
        assert!(store.add_backup(&record(1)).await.unwrap());
        let refused = create(1, &record(2)).await;
        assert!(matches!(refused, Err(StoreError::Backuping)), "{refused:?}");
        assert_eq!(tasks(&store, &instance).await, []);
        let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
        assert!(store.finish_backup(&claimed, None).await.unwrap());
        // An analysis waits: no backup.
        create(2, &record(3)).await.unwrap();
        let claimed = store.claim_backup(LEASE).await.unwrap().unwrap();
        assert!(store.finish_backup(&claimed, None).await.unwrap());
        let refused = create(3, &record(4)).await;
        assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
        let [task] = tasks(&store, &instance).await.try_into().unwrap();
        assert_eq!(task.state, State::Waiting);
        assert_eq!(store.backups(instance.id).await.unwrap().len(), 2);
    })
    .await;
}
