//! What processes that look for nodes, and take backups, have to agree on.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::config::{Standing, Told};
use crate::discovery::{Finding, FoundNode};

fn finding(port: u16) -> Finding {
    let told =
        Told { slots: Some("0-5460".to_owned()), standing: Standing::Inactive("why".into()) };
    let node = FoundNode {
        id: "n".to_owned(),
        ip: "10.0.0.1".to_owned(),
        port,
        role: Role::Slave,
        group: "group-0".to_owned(),
        told,
    };
    Finding { nodes: vec![node], trouble: None }
}

#[tokio::test]
async fn one_process_looks_at_a_time_and_the_first_finding_stands() {
    with_each(|store| async move {
        let (id, hour) = (Uuid::from_u128(5), Duration::from_secs(3600));
        assert_eq!(store.finding(id).await.unwrap(), (0, Finding::default()));
        let mut begun = 0;
        for _ in 0..5 {
            begun += u32::from(store.begin_look(id, hour).await.unwrap());
        }
        assert_eq!(begun, 1);
        assert_eq!(store.finding(id).await.unwrap(), (0, Finding::default()));
        // Both have seen the same, and one is faster.
        assert!(store.store_finding(id, 0, &finding(1)).await.unwrap());
        assert!(!store.store_finding(id, 0, &finding(2)).await.unwrap());
        assert_eq!(store.finding(id).await.unwrap(), (1, finding(1)));
        assert!(store.begin_look(id, Duration::ZERO).await.unwrap());
        assert!(store.store_finding(id, 1, &finding(3)).await.unwrap());
        let [(found, number, age_ms)] = store.findings().await.unwrap().try_into().unwrap();
        assert_eq!((found, number), (id, 2));
        assert!((0..60_000).contains(&age_ms), "{age_ms}");
        assert!(store.begin_look(Uuid::from_u128(6), hour).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn host_is_held_by_one_and_falls_to_another_when_the_lease_ends() {
    with_each(|store| async move {
        let [a, b] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let [first, second] = [1, 2].map(Uuid::from_u128);
        let hold = |host, holder, seconds| {
            let store = &store;
            async move {
                store.hold_host(host, holder, Duration::from_secs(seconds)).await.unwrap()
            }
        };
        assert!(hold(a, first, 60).await);
        assert!(hold(a, first, 60).await, "it is kept");
        assert!(!hold(a, second, 60).await);
        assert!(hold(b, second, 60).await, "another host");
        store.leave_host(a, second).await.unwrap();
        assert!(!hold(a, second, 60).await, "nobody else lets go");
        store.leave_host(a, first).await.unwrap();
        assert!(hold(a, second, 0).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(hold(a, first, 60).await, "its lease has ended");
        assert!(!hold(a, second, 60).await);
        // A service that is alone with its database begins anew.
        store.end_leases().await.unwrap();
        assert!(hold(a, second, 60).await);
    })
    .await;
}
