//! Late, slow and changed bytes.

use super::super::*;
use crate::{ConnectionId, Observation, Observer};
use std::sync::Mutex;

const SECOND: Duration = Duration::from_secs(1);

/// A pair whose segments take exactly a millisecond.
async fn even_pair() -> Pair {
    let pair = Pair::new(1).await;
    pair.net
        .set_latency(Duration::from_millis(1), Duration::ZERO);
    pair
}

#[test]
fn a_slow_link_is_slow_in_both_directions_until_it_ends() {
    run(1, async {
        let mut pair = even_pair().await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.slow("client", "server", SECOND);
        let start = pair.client.now();
        write(&mut near, b"there").await.unwrap();
        assert_reads(&mut far, b"there").await;
        write(&mut far, b"back").await.unwrap();
        assert_reads(&mut near, b"back").await;
        assert_eq!(pair.client.now().since(start), 2 * SECOND);
        write(&mut near, b"late").await.unwrap();
        pair.net.end_slow("client", "server", SECOND);
        assert_reads(&mut far, b"late").await;
        let took = pair.client.now().since(start);
        assert_eq!(took, 2 * SECOND + Duration::from_millis(1));
    });
}

#[test]
fn bandwidth_is_shared_by_all_connections_of_a_direction() {
    run(1, async {
        let mut pair = even_pair().await;
        let mut first = pair.connect().await;
        let mut second = pair.connect().await;
        pair.net.bandwidth("client", "server", 1000);
        let start = pair.client.now();
        write(&mut first.0, &[1; 1000]).await.unwrap();
        write(&mut second.0, &[2; 1000]).await.unwrap();
        write(&mut first.1, &[3; 500]).await.unwrap();
        assert_reads(&mut first.0, &[3; 500]).await;
        let half = Duration::from_millis(501);
        assert_eq!(pair.client.now().since(start), half);
        assert_reads(&mut first.1, &[1; 1000]).await;
        assert_reads(&mut second.1, &[2; 1000]).await;
        let both = Duration::from_millis(2001);
        assert_eq!(pair.client.now().since(start), both);
        // What waits leaves at once when the limit is gone.
        write(&mut first.0, &[4; 60_000]).await.unwrap();
        pair.net.end_bandwidth("client", "server", 1000);
        assert_reads(&mut first.1, &[4; 60_000]).await;
        let took = pair.client.now().since(start);
        assert_eq!(took, both + Duration::from_millis(1));
    });
}

#[test]
fn trickled_bytes_arrive_one_at_a_time() {
    run(1, async {
        let mut pair = even_pair().await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.trickle("client", "server");
        let start = pair.client.now();
        write(&mut near, b"abc").await.unwrap();
        write(&mut near, b"de").await.unwrap();
        let mut buffer = [0; 8];
        for expected in b"abcd" {
            assert_eq!(far.read(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], *expected);
        }
        assert_eq!(pair.client.now().since(start), Duration::from_millis(4));
        pair.net.end_trickle("client", "server");
        assert_reads(&mut far, b"e").await;
        write(&mut near, b"whole").await.unwrap();
        drop(near);
        assert_eq!(far.read(&mut buffer).await.unwrap(), 5);
        assert_eof(&mut far).await;
    });
}

/// Where which byte was changed, and to what.
#[derive(Clone, Default)]
struct Damage(Arc<Mutex<Vec<(ConnectionId, u64, u8)>>>);

impl Observer for Damage {
    fn observe(&mut self, _at: Duration, observation: &Observation<'_>) {
        if let Observation::Garbled {
            connection,
            offset,
            becomes,
            ..
        } = *observation
        {
            self.0.lock().unwrap().push((connection, offset, becomes));
        }
    }
}

#[test]
fn garbling_flips_single_bits_of_some_segments_in_one_direction() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let damage = Damage::default();
        pair.net.watch(Box::new(damage.clone()));
        let (mut near, mut far) = pair.connect().await;
        pair.net.garble("client", "server");
        let mut changed = Vec::new();
        for segment in 0..400_u64 {
            write(&mut near, &[0; 16]).await.unwrap();
            for (index, byte) in read(&mut far, 16).await.unwrap().into_iter().enumerate() {
                if byte != 0 {
                    assert_eq!(byte.count_ones(), 1);
                    changed.push((ConnectionId(0), segment * 16 + index as u64, byte));
                }
            }
            write(&mut far, &[0; 16]).await.unwrap();
            assert_reads(&mut near, &[0; 16]).await;
        }
        assert!((20..100).contains(&changed.len()), "{}", changed.len());
        assert_eq!(pair.net.garbled(), changed.len() as u64);
        assert_eq!(*damage.0.lock().unwrap(), changed);
        pair.net.end_garble("client", "server");
        for _ in 0..100 {
            write(&mut near, &[0; 16]).await.unwrap();
            assert_reads(&mut far, &[0; 16]).await;
        }
    });
}
