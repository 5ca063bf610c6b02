//! Connections that have died without a sign.

use std::time::Duration;

use zk_env::Mono;

use crate::quorum::election::{
    Candidate, ElectionOptions, FastLeaderElection, InitialVote, Notification, Output, Vote,
};
use crate::quorum::{QuorumVerifier, ServerId};

const fn at(ms: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(ms))
}

fn reconnected(machine: &mut FastLeaderElection) -> Vec<i64> {
    let outputs = std::iter::from_fn(|| machine.poll_output());
    let peers = outputs.filter_map(|output| match output {
        Output::Reconnect(peer) => Some(peer.0),
        _ => None,
    });
    peers.collect()
}

#[test]
fn who_is_silent_for_three_repetitions_is_connected_with_anew() {
    let list = QuorumVerifier::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2").unwrap();
    let mut machine = FastLeaderElection::new(ElectionOptions::new(ServerId(1)), list);
    let initial = InitialVote {
        zxid: 9,
        peer_epoch: 1,
    };
    machine.look(initial, at(0));
    for ms in [200, 600] {
        machine.handle_timeout(at(ms));
        assert!(reconnected(&mut machine).is_empty(), "after {ms} ms");
    }
    let candidate = Candidate {
        peer_epoch: 1,
        zxid: 5,
        leader: ServerId(3),
    };
    let heard = Notification {
        vote: Vote::looking(candidate, 1),
        config: None,
    };
    machine.handle_notification(ServerId(3), heard, at(700));
    machine.handle_timeout(at(1400));
    assert_eq!(reconnected(&mut machine), [2], "3 was heard from");
    machine.handle_timeout(at(3000));
    assert_eq!(reconnected(&mut machine), [2, 3], "and not again since");
}
