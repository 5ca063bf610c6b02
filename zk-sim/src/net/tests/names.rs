//! Scripted names.

use super::*;
use crate::faults::DnsFault;
use std::net::IpAddr;

const ALL: [DnsFault; 5] = [
    DnsFault::Fails,
    DnsFault::Hangs,
    DnsFault::Empty,
    DnsFault::Many,
    DnsFault::Moved,
];

async fn ips(env: &Arc<dyn Env>, name: &str) -> io::Result<Vec<IpAddr>> {
    let found = env.resolve(name, PORT).await?;
    Ok(found.into_iter().map(|address| address.ip()).collect())
}

#[test]
fn a_lookup_takes_time_even_if_it_fails() {
    run(1, async {
        let pair = Pair::new(1).await;
        let start = pair.client.now();
        ips(&pair.client, "nowhere").await.unwrap_err();
        let took = pair.client.now().since(start);
        assert_eq!(took, Duration::from_millis(1));
        let minute = Duration::from_secs(60);
        pair.net.set_lookup_latency(minute, minute);
        ips(&pair.client, "server").await.unwrap();
        let took = pair.client.now().since(start);
        assert!(took >= minute && took <= 3 * minute);
        let start = pair.client.now();
        ips(&pair.client, "localhost").await.unwrap();
        ips(&pair.client, "10.0.0.1").await.unwrap();
        assert_eq!(pair.client.now(), start);
    });
}

#[test]
fn names_can_have_other_and_several_addresses() {
    run(1, async {
        let pair = Pair::new(1).await;
        let (client, server) = (pair.net.address("client"), pair.net.address("server"));
        pair.net.set_addresses("ensemble", &[server, client]);
        pair.net.set_addresses("server", &[client]);
        pair.net.set_addresses("empty", &[]);
        let found = ips(&pair.client, "ensemble").await.unwrap();
        assert_eq!(found, [server, client]);
        assert_eq!(ips(&pair.client, "server").await.unwrap(), [client]);
        assert!(ips(&pair.client, "empty").await.unwrap().is_empty());
    });
}

#[test]
fn lookups_go_wrong_in_their_own_ways() {
    run(1, async {
        let pair = Pair::new(1).await;
        let server = pair.net.address("server");
        for how in ALL {
            pair.net.dns("server", how);
            let mut looking = Box::pin(ips(&pair.client, "server"));
            match how {
                DnsFault::Hangs => assert!(hangs(&mut looking).await),
                DnsFault::Fails => assert_eq!(kind(looking.await), io::ErrorKind::Other),
                DnsFault::Empty => assert!(looking.await.unwrap().is_empty()),
                DnsFault::Many => {
                    let found = looking.await.unwrap();
                    assert_eq!((found.len(), found[19]), (20, server));
                    assert!(!found[..19].contains(&server));
                }
                DnsFault::Moved => {
                    let found = looking.await.unwrap();
                    assert!(found.len() == 1 && found[0] != server);
                }
            }
            // Other names are as they were.
            ips(&pair.client, "client").await.unwrap();
            pair.net.end_dns("server", how);
            assert_eq!(ips(&pair.client, "server").await.unwrap(), [server]);
        }
    });
}

#[test]
fn a_lookup_that_hung_is_answered_when_its_fault_ends() {
    run(1, async {
        let pair = Pair::new(1).await;
        pair.net.dns("server", DnsFault::Empty);
        pair.net.dns("server", DnsFault::Hangs);
        let mut looking = Box::pin(ips(&pair.client, "server"));
        assert!(hangs(&mut looking).await);
        pair.net.end_dns("server", DnsFault::Hangs);
        assert!(looking.await.unwrap().is_empty());
        pair.net.end_dns("server", DnsFault::Empty);
        assert_eq!(ips(&pair.client, "server").await.unwrap().len(), 1);
    });
}
