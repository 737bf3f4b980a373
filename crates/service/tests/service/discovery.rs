//! Instances whose nodes are looked for: found, refreshed, told when they die, and followed only
//! where they may lie.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;

use offkey_service::{Config, Discover, Live, Permission, Replicas, Secret, Shape};
use offkey_testkit::{Cluster, Server, fill, servers, wait_for};
use serde_json::{Value, json};

use crate::common::{Answer, INSTANCE, PROJECT, Service, analysis};

const NO_DELAY: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

fn program(name: &str) -> Option<std::path::PathBuf> {
    servers().into_iter().find(|(found, _)| found == name).map(|(_, program)| program)
}

/// Address of a server, as a configuration has it.
fn at(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn discover(topology: Shape, addresses: Vec<String>) -> Discover {
    Discover {
        topology,
        addresses,
        sentinel: None,
        sentinel_user: None,
        sentinel_password: None,
        sentinel_password_file: None,
        allow_networks: None,
        backups: "replaced".into(),
        refresh_seconds: 1,
        trouble: None,
    }
}

fn service(discover: Discover, change: impl FnOnce(&mut Live)) -> Service {
    let change = |config: &mut Config| {
        config.credentials[0].role = Permission::Admin;
        let instance = &mut config.instances[0];
        instance.nodes.clear();
        let backups = config.data_dir.parent().unwrap().join("found");
        let mut live = Live { discover: Some(Discover { backups, ..discover }), ..Live::default() };
        change(&mut live);
        instance.live = Some(live);
    };
    Service::start_with(|_| {}, change)
}

fn instance(service: &Service, rest: &str) -> Value {
    let answer = service.get(&format!("/v2/{PROJECT}/instances/{INSTANCE}{rest}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn nodes(service: &Service) -> Vec<Value> {
    let body = instance(service, "/logical-nodes");
    let nodes = body["nodes"].as_array().unwrap().clone();
    assert_eq!(body["total"], nodes.len());
    nodes
}

/// Port, group, type and status of each node.
fn told(service: &Service) -> Vec<(String, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told: Vec<_> = nodes(service)
        .iter()
        .map(|node| {
            let [port, group, role, status] =
                ["node_port", "group_name", "node_type", "status"].map(|name| text(&node[name]));
            assert_eq!(node["node_ip"], "127.0.0.1");
            assert_eq!(node["error_msg"].is_string(), status == "Inactive", "{node}");
            (port, group, role, status)
        })
        .collect();
    told.sort();
    told
}

fn node_at(service: &Service, port: u16) -> Option<Value> {
    let port = port.to_string();
    nodes(service).into_iter().find(|node| node["node_port"] == port)
}

/// What is to be told, in the order of ports.
fn expected(nodes: &[(&Server, &str, &str, &str)]) -> Vec<(String, String, String, String)> {
    let mut nodes: Vec<_> = nodes
        .iter()
        .map(|(server, group, role, status)| {
            let [group, role, status] = [group, role, status].map(|text| (*text).to_owned());
            (server.port().to_string(), group, role, status)
        })
        .collect();
    nodes.sort();
    nodes
}

fn create(service: &Service, body: &Value) -> Answer {
    // The same request is taken only once.
    service.clock_ms.fetch_add(1000, Ordering::Relaxed);
    service.call("POST", &analysis(""), &body.to_string())
}

/// A new backup of every shard.
fn of_all() -> Value {
    json!({"node_ids": "*", "backup_ids": "new"})
}

/// Analyses new backups of every shard; answers the task.
fn analysed(service: &Service) -> Value {
    let shown = service.ended(&create(service, &of_all()).task_id()).body;
    assert_eq!(shown["status"], "success", "{shown}");
    assert_eq!(shown["complete"], true, "{shown}");
    shown
}

#[test]
fn cluster_is_followed_through_deaths_and_arrivals() {
    for name in ["redis-8.2.3", "valkey-9.1.2"] {
        if let Some(program) = program(name) {
            follow_cluster(&program);
        }
    }
}

fn follow_cluster(program: &Path) {
    let mut cluster = Cluster::start(program);
    cluster.fill(900);
    // The only address that is configured is the one that dies.
    let entry = at(&cluster.servers[0]);
    let mut service = service(discover(Shape::Cluster, vec![entry]), |_| {});
    wait_for("six nodes are active", || {
        let told = told(&service);
        told.len() == 6 && told.iter().all(|node| node.3 == "Active")
    });
    let [m0, m1, m2, r0, r1, r2] = &cluster.servers[..] else { panic!() };
    let groups = ["group-0", "group-1", "group-2"];
    let of_group = |n: usize, master, replica| {
        [(master, groups[n], "master", "Active"), (replica, groups[n], "slave", "Active")]
    };
    let all = [of_group(0, m0, r0), of_group(1, m1, r1), of_group(2, m2, r2)].concat();
    assert_eq!(told(&service), expected(&all));
    let shown = instance(&service, "");
    for (member, value) in [
        ("cache_mode", json!("cluster")),
        ("sharding_count", json!(3)),
        ("replica_count", json!(2)),
        ("status", json!("RUNNING")),
    ] {
        assert_eq!(shown[member], value, "{member}");
    }
    let body = service.get(&format!("/v2/{PROJECT}/instance/{INSTANCE}/groups")).body;
    let group = &body["group_list"][1];
    assert_eq!((&body["group_count"], &group["group_name"]), (&json!(3), &json!("group-1")));
    assert_eq!(group["replication_list"].as_array().unwrap().len(), 2);

    let task = analysed(&service);
    assert_eq!(task["total_num"], 900);
    let [id0, id1] = [m0, m1].map(|server| {
        node_at(&service, server.port()).unwrap()["node_id"].as_str().unwrap().to_owned()
    });
    assert_eq!((&task["node_id"], &task["group_name"]), (&json!(id0), &json!("group-0")));
    assert_eq!((&task["node_type"], &task["node_ip"]), (&json!("master"), &json!("127.0.0.1")));
    let backups = instance(&service, "/backups?limit=1000");
    let name = backups["backup_record_response"][0]["backup_name"].to_string();
    assert!(name.contains("_0-5460_") || name.contains("_5461-") || name.contains("_10922-"));

    // A master dies, and its replica takes its place.
    let (gone_port, gone) = (m0.port(), m0.client().run(&[b"CLUSTER", b"MYID"]).bytes());
    drop(cluster.servers.remove(0));
    wait_for("the replica is told as the master, and the other one as dead", || {
        let replica = node_at(&service, cluster.servers[2].port()).unwrap();
        let dead = node_at(&service, gone_port).unwrap();
        (&replica["node_type"], &dead["status"]) == (&json!("master"), &json!("Inactive"))
    });
    let why = node_at(&service, gone_port).unwrap()["error_msg"].as_str().unwrap().to_owned();
    assert!(why.contains(&format!("127.0.0.1:{gone_port}")), "{why}");
    wait_for("the slots are served again", || instance(&service, "")["status"] == "RUNNING");
    assert_eq!(analysed(&service)["total_num"], 900);

    // What is known stays over a restart, though nobody answers at the configured address.
    service.stop();
    service.resume();
    assert_eq!(told(&service).len(), 6);
    cluster.add_replica(1);
    let new = cluster.servers.last().unwrap().port();
    wait_for("the new node is told", || {
        node_at(&service, new)
            .is_some_and(|node| node["status"] == "Active" && node["node_type"] == "slave")
    });

    // Forgotten by the cluster, the dead one stays for its backups, in no group.
    for server in &cluster.servers {
        server.client().call(&[b"CLUSTER", b"FORGET", &gone]);
    }
    wait_for("the dead node is forgotten", || {
        let node = node_at(&service, gone_port).unwrap();
        node["error_msg"] == "it is of the instance no more"
    });
    let body = service.get(&format!("/v2/{PROJECT}/instance/{INSTANCE}/groups")).body;
    assert!(!body.to_string().contains(&id0) && body.to_string().contains(&id1), "{body}");
    let refused = create(&service, &json!({"node_id": id0}));
    assert_eq!(refused.code(), (400, "DCS.4049"));
    let of_gone = json!({"node_id": id0, "backup_id": task["backup_id"]});
    let again = service.ended(&create(&service, &of_gone).task_id()).body;
    assert_eq!(again["status"], "success", "{again}");
    let target = format!("/v2/{PROJECT}/instances/{INSTANCE}/backups/");
    let backup_id = task["backup_id"].as_str().unwrap();
    assert_eq!(service.call("DELETE", &format!("{target}{backup_id}"), "").status, 204);
    wait_for("it is gone with its backups", || node_at(&service, gone_port).is_none());
}

#[test]
fn replicas_of_a_master_are_followed_when_roles_change() {
    let Some(program) = program("redis-7.0.15") else { return };
    let options = [&NO_DELAY[..], &["--masterauth", "sesame"]].concat();
    let start = |of: Option<&Server>| {
        let port = of.map(|of| of.port().to_string());
        let follows = port.as_deref().map(|port| ["--replicaof", "127.0.0.1", port]);
        let follows = follows.as_ref().map_or(&[][..], |follows| &follows[..]);
        let server = Server::start(&program, &[&options[..], follows].concat(), None);
        server.client().run(&[b"CONFIG", b"SET", b"requirepass", b"sesame"]);
        server
    };
    let master = start(None);
    let [first, second] = [start(Some(&master)), start(Some(&master))];
    let client = |server: &Server| {
        let mut client = server.client();
        client.run(&[b"AUTH", b"sesame"]);
        client
    };
    fill(&mut client(&master), 61, 20);
    for replica in [&first, &second] {
        wait_for("the replica is online", || {
            let info = client(replica).run(&[b"INFO", b"replication"]).text();
            info.contains("master_link_status:up")
        });
    }
    // A replica is the address, and tells of its master alone.
    let service = service(discover(Shape::Replication, vec![at(&first)]), |live| {
        live.password = Some(Secret::new("sesame"));
        live.replicas = Replicas::Require;
    });
    let of = |roles: [&'static str; 3], statuses: [&'static str; 3]| {
        let servers = [&master, &first, &second];
        let all: Vec<_> = (0..3).map(|n| (servers[n], "group-0", roles[n], statuses[n])).collect();
        expected(&all)
    };
    let active = of(["master", "slave", "slave"], ["Active"; 3]);
    wait_for("a master and two replicas", || told(&service) == active);
    assert_eq!(instance(&service, "")["cache_mode"], "ha");
    let id = |server: &Server| node_at(&service, server.port()).unwrap()["node_id"].clone();
    let task = analysed(&service);
    assert!([id(&first), id(&second)].contains(&task["node_id"]), "{task}");
    assert_eq!(task["node_type"], "slave");

    let ids = [id(&master), id(&first), id(&second)];
    client(&first).run(&[b"REPLICAOF", b"NO", b"ONE"]);
    let port = first.port().to_string();
    for replica in [&master, &second] {
        client(replica).run(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()]);
    }
    let turned = of(["slave", "master", "slave"], ["Active"; 3]);
    wait_for("the roles have changed", || told(&service) == turned);
    assert_eq!([id(&master), id(&first), id(&second)], ids);

    // No replica is left: a backup of a master is not taken in its place.
    let (gone, other) = (master.port(), second.port());
    drop((master, second));
    wait_for("both are told as dead", || {
        [gone, other].iter().all(|port| match node_at(&service, *port) {
            Some(node) => node["status"] == "Inactive",
            None => true,
        })
    });
    assert_eq!(create(&service, &of_all()).code(), (400, "DCS.4049"));
    // Nobody is left: the instance says so.
    drop(first);
    wait_for("the instance is told as faulty", || instance(&service, "")["status"] == "ERROR");
    assert!(nodes(&service).iter().all(|node| node["status"] == "Inactive"));
    assert!(!nodes(&service).iter().any(|node| node.to_string().contains("sesame")));
}

#[test]
fn sentinel_tells_of_a_master_and_its_replica() {
    let Some(program) = program("valkey-8.1.8") else { return };
    let master = Server::start(&program, &NO_DELAY, None);
    fill(&mut master.client(), 62, 20);
    let port = master.port().to_string();
    let follows = [&NO_DELAY[..], &["--replicaof", "127.0.0.1", &port]].concat();
    let replica = Server::start(&program, &follows, None);
    let sentinel = Server::start_sentinel(&program, master.port());
    let found = Discover {
        sentinel: Some("main".to_owned()),
        ..discover(Shape::Sentinel, vec![at(&sentinel)])
    };
    let service = service(found, |live| live.replicas = Replicas::Prefer);
    let both = expected(&[
        (&master, "group-0", "master", "Active"),
        (&replica, "group-0", "slave", "Active"),
    ]);
    wait_for("both are told", || told(&service) == both);
    assert_eq!(analysed(&service)["node_type"], "slave");
    drop(master);
    wait_for("the replica has become the master", || {
        let found = node_at(&service, replica.port());
        found.is_some_and(|node| node["node_type"] == "master" && node["status"] == "Active")
    });
}

/// A server may name any address; a connection there would carry the password.
#[test]
fn node_outside_the_allowed_networks_is_told_and_not_followed() {
    let Some(program) = program("redis-7.0.15") else { return };
    let master = Server::start(&program, &NO_DELAY, None);
    let elsewhere = TcpListener::bind("127.0.0.2:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port().to_string();
    let of_master = master.port().to_string();
    let lies = ["--replica-announce-ip", "127.0.0.2", "--replica-announce-port", &port];
    let follows = ["--replicaof", "127.0.0.1", &of_master];
    let _liar = Server::start(&program, &[&NO_DELAY[..], &follows, &lies].concat(), None);
    let found = Discover {
        allow_networks: Some("127.0.0.1".to_owned()),
        ..discover(Shape::Replication, vec![at(&master)])
    };
    let service = service(found, |live| live.replicas = Replicas::Prefer);
    wait_for("the other address is told", || nodes(&service).len() == 2);
    let outside = node_at(&service, port.parse().unwrap()).unwrap();
    assert_eq!(
        (&outside["node_ip"], &outside["status"]),
        (&json!("127.0.0.2"), &json!("Inactive"))
    );
    let why = outside["error_msg"].as_str().unwrap();
    assert!(why.contains("127.0.0.2 is not in the allowed networks: 127.0.0.1/32"), "{why}");
    // Preferred, but not followed; nor by its id.
    assert_eq!(analysed(&service)["node_type"], "master");
    let by_id = create(&service, &json!({"node_id": outside["node_id"]}));
    assert_eq!(by_id.code(), (400, "DCS.4049"));
    let error = elsewhere.accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}
