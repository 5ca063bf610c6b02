//! An election while a configuration is proposed and not in force.

use std::time::Duration;

use zk_env::Mono;

use crate::quorum::election::{
    ElectionOptions, FastLeaderElection, InitialVote, Notification, Output, PeerState, Vote,
};
use crate::quorum::{LearnerType, QuorumVerifier, ServerId};

const T: Mono = Mono::from_origin(Duration::ZERO);

/// Server 1 votes, and is to be followed by server 2, which has more of the log.
fn two_of(id: i64) -> FastLeaderElection {
    let list = |text: &str| QuorumVerifier::parse(text).unwrap();
    let committed = list("server.1=a:1:2\nserver.2=b:1:2:observer\nversion=1");
    let proposed = list("server.2=b:1:2\nversion=2");
    let mut options = ElectionOptions::new(ServerId(id));
    options.reconfig_enabled = true;
    let mut machine = FastLeaderElection::new(options, committed.clone());
    machine.set_config(committed, Some(proposed));
    machine
}

fn votes(machine: &mut FastLeaderElection) -> Vec<Notification> {
    let outputs = std::iter::from_fn(|| machine.poll_output());
    let sent = outputs.filter_map(|output| match output {
        Output::Send { notification, .. } => Some(notification),
        _ => None,
    });
    sent.collect()
}

fn look(machine: &mut FastLeaderElection, zxid: i64) -> Vote {
    let initial = InitialVote {
        zxid,
        peer_epoch: 1,
    };
    machine.look(initial, T);
    votes(machine)[0].vote
}

#[test]
fn a_voter_of_the_next_configuration_can_lead_if_both_ensembles_agree() {
    let (mut one, mut two) = (two_of(1), two_of(2));
    assert_eq!(look(&mut one, 5).leader, ServerId(1));
    let better = look(&mut two, 9);
    assert_eq!(better.leader, ServerId(2));
    let heard = |vote| Notification { vote, config: None };
    one.handle_notification(ServerId(2), heard(better), T);
    let agreed = votes(&mut one)[0].vote;
    assert_eq!(agreed.leader, ServerId(2));
    assert_eq!(
        two.state(),
        PeerState::Looking,
        "one ensemble is not enough"
    );
    two.handle_notification(ServerId(1), heard(agreed), T);
    two.handle_timeout(T + Duration::from_secs(1));
    assert_eq!(two.state(), PeerState::Leading);
}

/// An observer that was given a vote, and one that it was taken from.
#[test]
fn who_votes_changes_with_the_configuration_in_force() {
    let list = |text: &str| QuorumVerifier::parse(text).unwrap();
    let observing = list("server.1=a:1:2\nserver.2=b:1:2:observer\nversion=1");
    let voting = list("server.1=a:1:2\nserver.2=b:1:2\nversion=2");
    let mut options = ElectionOptions::new(ServerId(2));
    options.reconfig_enabled = true;
    options.learner_type = LearnerType::Observer;
    let mut two = FastLeaderElection::new(options, observing.clone());
    let nobody = ServerId(i64::MIN);
    assert_eq!(look(&mut two, 9).leader, nobody);
    two.set_config(voting, None);
    assert_eq!(look(&mut two, 9).leader, ServerId(2));
    two.set_config(observing.with_version(3), None);
    assert_eq!(look(&mut two, 9).leader, nobody);
}
