//! What the others notice when a host is killed, and when it comes back.

use super::*;
use crate::world::HostId;

impl Pair {
    fn id(&self, name: &str) -> HostId {
        self.net.with(|world| world.host(name))
    }

    fn kill(&self, name: &str) {
        let id = self.id(name);
        self.net.with(|world| world.kill(id));
    }

    fn restart(&self, name: &str) {
        let id = self.id(name);
        self.net.with(|world| world.restart(id));
    }
}

#[test]
fn a_killed_host_is_silent_and_so_are_its_streams() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        pair.net.set_window(4);
        let (mut near, far) = pair.connect().await;
        pair.kill("server");
        drop((far, pair.listener));
        assert!(hangs(&mut Box::pin(read(&mut near, 1))).await);
        write(&mut near, b"full").await.unwrap();
        assert!(hangs(&mut Box::pin(write(&mut near, b"more"))).await);
        assert!(hangs(&mut pair.client.connect(pair.address)).await);
        drop(near);
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
        assert_eq!(pair.net.with(|world| world.in_flight()), 0);
    });
}

#[test]
fn a_restarted_host_answers_its_former_peers_with_a_reset() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut idle, idle_far) = pair.connect().await;
        let (mut busy, busy_far) = pair.connect().await;
        pair.kill("server");
        write(&mut busy, b"to nobody").await.unwrap();
        assert!(hangs(&mut Box::pin(read(&mut busy, 1))).await);
        pair.restart("server");
        let reset = read(&mut busy, 1).await;
        assert_eq!(kind(reset), io::ErrorKind::ConnectionReset);
        // One that says nothing does not find out, until it says something.
        assert!(hangs(&mut Box::pin(read(&mut idle, 1))).await);
        write(&mut idle, b"still there?").await.unwrap();
        let reset = read(&mut idle, 1).await;
        assert_eq!(kind(reset), io::ErrorKind::ConnectionReset);
        drop((idle_far, busy_far, idle, busy));
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
    });
}

#[test]
fn what_a_dead_host_left_does_not_disturb_its_next_life() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (_near, mut far) = pair.connect().await;
        let _waiting = pair.client.connect(pair.address).await.unwrap();
        pair.kill("server");
        let bind = || pair.server.bind(SocketAddr::from(([0, 0, 0, 0], PORT)));
        assert_eq!(kind(bind().await), io::ErrorKind::NetworkDown);
        let dialled = pair.server.connect(pair.address).await;
        assert_eq!(kind(dialled), io::ErrorKind::NetworkDown);
        pair.restart("server");
        let mut reborn = bind().await.unwrap();
        let accepted = accept(&mut *pair.listener).await;
        assert_eq!(kind(accepted), io::ErrorKind::ConnectionAborted);
        let result = read(&mut far, 1).await;
        assert_eq!(kind(result), io::ErrorKind::ConnectionAborted);
        let result = write(&mut far, b"x").await;
        assert_eq!(kind(result), io::ErrorKind::ConnectionAborted);
        // Its port is the new listener's.
        drop((far, pair.listener));
        let near = pair.client.connect(pair.address).await.unwrap();
        accept(&mut *reborn).await.unwrap();
        drop(near);
    });
}

#[test]
fn a_connect_to_a_dead_host_goes_on_when_it_is_back() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let mut early = pair.client.connect(pair.address);
        assert!(poll_once(early.as_mut()).await.is_pending());
        let (far, _) = accept(&mut *pair.listener).await.unwrap();
        // The answer had not arrived.
        pair.kill("server");
        let mut late = pair.client.connect(pair.address);
        assert!(hangs(&mut early).await);
        assert!(hangs(&mut late).await);
        pair.restart("server");
        let anywhere = SocketAddr::from(([0, 0, 0, 0], PORT));
        let mut reborn = pair.server.bind(anywhere).await.unwrap();
        let streams = (early.await.unwrap(), late.await.unwrap());
        accept(&mut *reborn).await.unwrap();
        accept(&mut *reborn).await.unwrap();
        drop((far, streams));
        // Had nobody listened, it would have been refused.
        pair.kill("server");
        drop(reborn);
        let mut refused = pair.client.connect(pair.address);
        assert!(hangs(&mut refused).await);
        pair.restart("server");
        assert_eq!(kind(refused.await), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_dials_of_a_killed_host_vanish() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let mut connecting = pair.client.connect(pair.address);
        assert!(poll_once(connecting.as_mut()).await.is_pending());
        pair.kill("client");
        let aborted = connecting.await;
        assert_eq!(kind(aborted), io::ErrorKind::ConnectionAborted);
        assert!(hangs(&mut Box::pin(accept(&mut *pair.listener))).await);
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
    });
}

/// Whole segments, from the first on; which ones is up to the seed.
#[test]
fn a_part_of_what_a_killed_host_had_sent_still_arrives() {
    let arrived = |seed| {
        run(seed, async move {
            let mut pair = Pair::new(seed).await;
            let (mut near, mut far) = pair.connect().await;
            for byte in 0..4 {
                write(&mut near, &[byte; 2]).await.unwrap();
            }
            pair.kill("client");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut buffer = [9; 8];
            let reading = poll_once(Box::pin(far.read(&mut buffer)).as_mut()).await;
            match reading {
                Poll::Ready(len) => buffer[..len.unwrap()].to_vec(),
                Poll::Pending => Vec::new(),
            }
        })
    };
    let mut lens: Vec<_> = (0..30)
        .map(|seed| {
            let bytes = arrived(seed);
            assert!([0, 0, 1, 1, 2, 2, 3, 3].starts_with(&bytes) && bytes.len() % 2 == 0);
            bytes.len()
        })
        .collect();
    lens.sort_unstable();
    lens.dedup();
    assert_eq!(lens, [0, 2, 4, 6, 8]);
}

#[test]
fn what_a_silent_link_held_dies_with_its_sender() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let (mut near, mut far) = pair.connect().await;
        pair.net.silence("client", "server");
        write(&mut near, b"never sent").await.unwrap();
        pair.kill("client");
        pair.net.end_silence("client", "server");
        assert!(hangs(&mut Box::pin(read(&mut far, 1))).await);
        // The reset that a later life answers with survives silence.
        write(&mut far, b"hello?").await.unwrap();
        pair.restart("client");
        tokio::time::sleep(Duration::from_millis(3)).await;
        pair.net.silence("client", "server");
        pair.net.end_silence("client", "server");
        let reset = read(&mut far, 1).await;
        assert_eq!(kind(reset), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn when_both_hosts_of_a_connection_die_nothing_of_it_is_left() {
    run(1, async {
        let mut pair = Pair::new(1).await;
        let streams = pair.connect().await;
        let own = pair.server.connect(pair.address).await.unwrap();
        pair.kill("client");
        pair.kill("server");
        assert_eq!(pair.net.with(|world| world.connections.len()), 0);
        drop((streams, own));
    });
}
