//! A process that is killed while it takes a backup: another one takes it, no half of it is ever
//! to be seen, and the server has no replica more than before.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use offkey_testkit::{Client as Redis, Postgres, Server, servers, wait_for};
use serde_json::{Value, json};

use crate::fleet::{Client, Fleet, Process, node};

const KEYS: u32 = 24;

/// More than the buffers of the system hold, so that a kill comes in the middle.
fn server() -> Option<Server> {
    let (_, program) = servers().into_iter().find(|(name, _)| name == "redis-7.0.15")?;
    // From its disk, so that it says how much there is to come.
    let options = ["--repl-diskless-sync", "no", "--rdbcompression", "no"];
    let server = Server::start(&program, &options, None);
    let mut client = server.client();
    for n in 0..KEYS {
        client.run(&[b"SET", format!("big:{n}").as_bytes(), &vec![b'x'; 1_000_000]]);
    }
    Some(server)
}

/// An instance of one node for each server, which is configured or looked for.
fn fleet(database: Option<String>, servers: &[&Server], is_found: bool) -> Fleet {
    let mut fleet = Fleet::new(database, 0);
    fleet.projects = 1;
    fleet.lease_seconds = 2;
    for (number, server) in servers.iter().enumerate() {
        let port = server.port();
        let live = "[instances.live]\nmax_bytes_per_second = 6000000\n";
        let nodes = match is_found {
            true => format!(
                "{live}[instances.live.discover]\ntopology = \"replication\"\n\
                 addresses = [\"127.0.0.1:{port}\"]\nbackups = \"found\"\nrefresh_seconds = 1\n"
            ),
            false => format!(
                "{live}[[instances.nodes]]\nid = \"{}\"\nname = \"n\"\nrole = \"master\"\n\
                 ip = \"127.0.0.1\"\nport = {port}\nbackups = \"backups{number}\"\n",
                node(number, 0)
            ),
        };
        fleet.more += &format!(
            "[[instances]]\nid = \"{}\"\nproject = \"{}\"\nname = \"i\"\n\
             engine_version = \"7.0\"\n{nodes}",
            crate::fleet::instance(number),
            crate::fleet::project(0),
        );
    }
    fs::remove_file(fleet.backups(0).join("small.rdb")).unwrap();
    fleet
}

fn replicas(client: &mut Redis) -> u32 {
    let info = client.run(&[b"INFO", b"replication"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    line.unwrap().trim().parse().unwrap()
}

/// Names and lengths of the files below the folders of backups.
fn files(fleet: &Fleet) -> Vec<(String, u64)> {
    fn below(folder: &Path, found: &mut Vec<(String, u64)>) {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            match entry.path().is_dir() {
                true => below(&entry.path(), found),
                // It may get its name or vanish meanwhile.
                false => found.extend(
                    entry
                        .metadata()
                        .ok()
                        .map(|metadata| (entry.file_name().into_string().unwrap(), metadata.len())),
                ),
            }
        }
    }
    let mut found = Vec::new();
    for folder in [fleet.backups(0), fleet.folder.path().join("found")] {
        below(&folder, &mut found);
    }
    found
}

/// Length of the temporary files, and the number of the others.
fn parts(fleet: &Fleet) -> (u64, usize) {
    let (parts, others): (Vec<_>, Vec<_>) =
        files(fleet).into_iter().partition(|(name, _)| name.ends_with(".part"));
    (parts.iter().map(|(_, len)| len).sum(), others.len())
}

/// The only backup, once it is shown.
fn shown(client: &Client, addr: &str) -> Value {
    let answer = client.call(addr, "GET", 0, "/backups?limit=1000", "").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["total_num"], 1, "{body}");
    body["backup_record_response"][0].clone()
}

/// Begins an analysis of a new backup; answers its id, once the backup is on its way.
fn begin(fleet: &Fleet, addr: &str) -> String {
    let client = fleet.client();
    let body = json!({"node_ids": "*", "backup_ids": "new"}).to_string();
    let mut created = None;
    wait_for("the node is known", || {
        let answer = client.call(addr, "POST", 0, "/offline/key-analysis", &body).unwrap();
        created = answer.task_id();
        created.is_some()
    });
    wait_for("the backup is on its way", || parts(fleet).0 > 1_000_000);
    assert_eq!(shown(&client, addr)["status"], "backuping");
    created.unwrap()
}

/// What holds once the process that took the backup is dead.
fn assert_nothing_half(fleet: &Fleet, redis: &mut Redis) {
    let since = Instant::now();
    while replicas(redis) != 0 {
        assert!(since.elapsed() < Duration::from_secs(2), "a replica is left");
        sleep(Duration::from_millis(10));
    }
    assert_eq!(parts(fleet).1, 0, "half a backup has a name: {:?}", files(fleet));
}

/// Waits until the analysis has ended; what is listed meanwhile is never half a backup.
fn ends_well(fleet: &Fleet, addr: &str, task_id: &str, processes: &[&Process]) {
    let client = fleet.client();
    let (start, mut seen) = (Instant::now(), Vec::new());
    let task = loop {
        let record = shown(&client, addr);
        let (_, whole) = parts(fleet);
        match record["status"].as_str().unwrap() {
            "succeed" => assert!(whole == 1 && record["size"].as_u64() > Some(24_000_000)),
            status => {
                assert!(["waiting", "backuping"].contains(&status), "{record}");
                let percent: f64 = record["progress"].as_str().unwrap().parse().unwrap();
                seen.push((percent, record["size"].as_u64().unwrap()));
            }
        }
        let task = client.show(addr, 0, task_id).unwrap().json();
        if ["success", "failed"].contains(&task["status"].as_str().unwrap()) {
            break task;
        }
        let is_late = start.elapsed() > Duration::from_secs(90);
        assert!(!is_late, "{task}\n{}", crate::fleet::explain(processes));
        sleep(Duration::from_millis(50));
    };
    assert_eq!(task["status"], "success", "{task}\n{}", crate::fleet::explain(processes));
    assert_eq!(task["total_num"], KEYS);
    let is_on_its_way = |(percent, size): &(f64, u64)| {
        (1.0..100.0).contains(percent) && (240_000..24_300_000).contains(size)
    };
    assert!(seen.iter().any(is_on_its_way), "{seen:?}");
    assert_eq!(parts(fleet), (0, 1), "{:?}", files(fleet));
}

#[test]
fn backup_of_a_service_that_is_killed_is_taken_when_it_is_back() {
    let Some(server) = server() else { return };
    let mut redis = server.client();
    let fleet = fleet(None, &[&server], false);
    let first = fleet.serve("server", 1);
    let task_id = begin(&fleet, &first.addr);
    assert_eq!(replicas(&mut redis), 1);
    first.kill();
    assert_nothing_half(&fleet, &mut redis);
    assert!(parts(&fleet).0 > 0, "the dead process has left nothing");
    let second = fleet.serve("server", 1);
    ends_well(&fleet, &second.addr, &task_id, &[&second]);
    assert_eq!(replicas(&mut redis), 0);
}

#[test]
fn backup_of_a_process_that_is_killed_is_taken_by_another() {
    let (Some(server), Some(cluster)) = (server(), Postgres::start()) else { return };
    let mut redis = server.client();
    for is_found in [false, true] {
        let fleet = fleet(Some(cluster.database()), &[&server], is_found);
        // Which process takes it is the one that is there.
        let taking = fleet.worker("taking", 1);
        let api = fleet.serve("api", 0);
        let mut processes = vec![taking, fleet.worker("other", 1), api];
        let addr = processes[2].addr.clone();
        let task_id = begin(&fleet, &addr);
        let at = processes.iter().position(|process| process.logged(&["backup starts"])).unwrap();
        if at == 2 {
            // The one that answers may not die in this test.
            let again = fleet.serve("api2", 0);
            processes.push(again);
        }
        let taking = processes.remove(at);
        assert_eq!(replicas(&mut redis), 1);
        taking.kill();
        assert_nothing_half(&fleet, &mut redis);
        let addr = processes.last().unwrap().addr.clone();
        ends_well(&fleet, &addr, &task_id, &processes.iter().collect::<Vec<_>>());
        let by: Vec<_> = processes.iter().filter(|one| one.logged(&["backup ends"])).collect();
        assert_eq!(by.len(), 1);
        assert!(by[0].logged(&["backup starts", "attempt=2"]), "{}", by[0].log());
        assert_eq!(replicas(&mut redis), 0);
    }
}

/// The third death is the last: the record says so, and the node is left alone.
#[test]
fn backup_that_kills_its_process_is_given_up() {
    let Some(server) = server() else { return };
    let mut redis = server.client();
    let fleet = fleet(None, &[&server], false);
    let mut first = fleet.serve("server", 1);
    let task_id = begin(&fleet, &first.addr);
    for _ in 0..2 {
        first.kill();
        first = fleet.serve("server", 1);
        wait_for("it is taken again", || first.logged(&["backup starts"]));
        wait_for("it is on its way again", || replicas(&mut redis) == 1);
    }
    first.kill();
    let last = fleet.serve("server", 1);
    let client = fleet.client();
    let task = client.wait_beside(&[&last], &last.addr, 0, &task_id, &["success", "failed"]);
    let told = "the process that took it died 3 times";
    assert!(task["error_msg"].as_str().unwrap().contains(told), "{task}");
    let record = shown(&client, &last.addr);
    assert_eq!((&record["status"], &record["error_msg"]), (&json!("failed"), &json!(told)));
    assert_nothing_half(&fleet, &mut redis);
    wait_for("what the dead have left is removed", || files(&fleet).is_empty());
}

#[test]
fn host_is_left_to_one_process_at_a_time() {
    let (Some(first), Some(second)) = (server(), server()) else { return };
    let Some(cluster) = Postgres::start() else { return };
    let fleet = fleet(Some(cluster.database()), &[&first, &second], false);
    let processes = [fleet.worker("a", 1), fleet.worker("b", 1), fleet.serve("api", 0)];
    let (client, addr) = (fleet.client(), &processes[2].addr);
    let body = json!({"node_ids": "*", "backup_ids": "new"}).to_string();
    let tasks = [0, 1].map(|number| {
        let created = client.call(addr, "POST", number, "/offline/key-analysis", &body).unwrap();
        created.task_id().unwrap_or_else(|| panic!("{created:?}"))
    });
    let (mut of_first, mut of_second) = (first.client(), second.client());
    let mut seen = [0; 2];
    let has_ended = |number: usize| {
        let task = client.show(addr, number, &tasks[number]).unwrap().json();
        assert_ne!(task["status"], "failed", "{task}");
        task["status"] == "success"
    };
    let start = Instant::now();
    while !(has_ended(0) && has_ended(1)) {
        let before = replicas(&mut of_first);
        let other = replicas(&mut of_second);
        let after = replicas(&mut of_first);
        // Of each a backup is taken once: it went on all the while.
        assert!(before + other + after < 3, "both are read at the same time");
        seen[0] += before;
        seen[1] += other;
        let is_late = start.elapsed() > Duration::from_secs(90);
        assert!(!is_late, "{}", crate::fleet::explain(&processes.each_ref()));
        sleep(Duration::from_millis(10));
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    let took = processes.iter().filter(|process| process.logged(&["backup starts"])).count();
    assert_eq!(took, 2, "{}", crate::fleet::explain(&processes.each_ref()));
}
