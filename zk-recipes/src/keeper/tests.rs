use std::time::Duration;

use super::*;

const CZXID: Zxid = Zxid(7);
const TIMEOUT: Duration = Duration::from_secs(12);

fn at(seconds: u64) -> Boot {
    Boot::from_origin(Duration::from_secs(seconds))
}

fn epoch() -> Epoch {
    Epoch::default()
}

fn connected() -> SessionState {
    SessionState::Connected { epoch: epoch() }
}

fn suspended() -> SessionState {
    let until = at(0);
    SessionState::Suspended {
        epoch: epoch(),
        until,
    }
}

/// Granted at 100, the create sent at 99; its answer is the newest soft proof.
fn keeper(proof: Option<Proof>) -> Keeper {
    let rule = QuorumRule::new(TIMEOUT, at(99), at(100));
    let mut keeper = Keeper::new(epoch(), CZXID, rule, proof, at(100));
    keeper.handle_session(connected(), Some(at(99)), at(100));
    let read = Request::Read { is_synced: false };
    assert_eq!(keeper.poll_request(at(100)), Some(read));
    keeper.handle_read(at(100), Ok(CZXID), at(100));
    keeper
}

fn held(until: u64, proof: Proof) -> OwnershipState {
    OwnershipState::Held {
        valid_until: at(until),
        proof,
    }
}

/// Sends a check and hears the answer within the same second.
fn check(keeper: &mut Keeper, now: u64) {
    assert_eq!(keeper.poll_request(at(now)), Some(Request::Check));
    keeper.handle_check(at(now), Ok(()), at(now));
}

#[test]
fn a_soft_proof_holds_for_three_quarters_of_the_timeout() {
    let mut keeper = keeper(Some(Proof::Soft));
    assert_eq!(keeper.state(at(100)), held(108, Proof::Soft));
    keeper.handle_session(connected(), Some(at(103)), at(104));
    assert_eq!(keeper.state(at(104)), held(112, Proof::Soft));
    assert_eq!(keeper.poll_timeout(at(104)), Some(at(112)));
    assert_eq!(keeper.poll_request(at(104)), None);
    assert_eq!(keeper.state(at(112)), OwnershipState::InDoubt);
}

#[test]
fn after_a_doubt_the_soft_proof_needs_the_znode_to_be_seen_again() {
    let mut keeper = keeper(Some(Proof::Soft));
    keeper.handle_session(suspended(), None, at(101));
    assert_eq!(keeper.state(at(101)), OwnershipState::InDoubt);
    assert_eq!(keeper.poll_request(at(102)), None, "not while disconnected");
    keeper.handle_session(connected(), Some(at(103)), at(104));
    assert_eq!(keeper.state(at(104)), OwnershipState::InDoubt);
    let read = Request::Read { is_synced: true };
    assert_eq!(keeper.poll_request(at(104)), Some(read));
    // An answer from before the doubt is none.
    keeper.handle_read(at(100), Ok(CZXID), at(104));
    assert_eq!(keeper.state(at(104)), OwnershipState::InDoubt);
    keeper.handle_read(at(104), Ok(CZXID), at(104));
    assert_eq!(keeper.state(at(104)), held(112, Proof::Soft));
}

#[test]
fn a_lapsed_proof_is_a_doubt_that_time_alone_does_not_lift() {
    let mut keeper = keeper(Some(Proof::Soft));
    assert_eq!(keeper.state(at(108)), OwnershipState::InDoubt);
    keeper.handle_session(connected(), Some(at(109)), at(109));
    assert_eq!(keeper.state(at(109)), OwnershipState::InDoubt);
    assert!(keeper.poll_request(at(109)).is_some());
    keeper.handle_read(at(109), Err(Failure::Passing), at(110));
    assert_eq!(keeper.poll_request(at(110)), None);
    assert_eq!(keeper.poll_timeout(at(110)), Some(at(110) + TIMEOUT / 20));
    assert!(keeper.poll_request(at(111)).is_some());
    keeper.handle_read(at(111), Ok(CZXID), at(111));
    assert_eq!(keeper.state(at(111)), held(118, Proof::Soft));
}

#[test]
fn the_quorum_proof_takes_over_from_the_soft_one() {
    let mut keeper = keeper(Some(Proof::Quorum));
    assert_eq!(keeper.state(at(100)), held(108, Proof::Soft));
    assert_eq!(keeper.poll_request(at(103)), None);
    assert_eq!(keeper.poll_timeout(at(103)), Some(at(104)));
    check(&mut keeper, 104);
    assert_eq!(keeper.state(at(104)), held(108, Proof::Soft));
    check(&mut keeper, 104);
    assert_eq!(keeper.state(at(104)), held(111, Proof::Quorum));
    // Pings are worth nothing from now on.
    keeper.handle_session(connected(), Some(at(110)), at(110));
    assert_eq!(keeper.state(at(110)), held(111, Proof::Quorum));
    assert_eq!(keeper.state(at(111)), OwnershipState::InDoubt);
}

#[test]
fn without_a_quorum_the_soft_proof_stands_in_for_one_timeout_at_most() {
    let mut keeper = keeper(Some(Proof::Quorum));
    for now in 101..112 {
        keeper.handle_session(connected(), Some(at(now)), at(now));
        keeper.handle_check(at(now), Err(Failure::Passing), at(now));
        assert!(
            matches!(keeper.state(at(now)), OwnershipState::Held { .. }),
            "{now}"
        );
    }
    keeper.handle_session(connected(), Some(at(112)), at(112));
    assert_eq!(keeper.state(at(112)), OwnershipState::InDoubt);
}

#[test]
fn after_a_doubt_only_a_quorum_lifts_it() {
    let mut keeper = keeper(Some(Proof::Quorum));
    check(&mut keeper, 104);
    check(&mut keeper, 104);
    keeper.handle_session(suspended(), None, at(105));
    assert_eq!(keeper.state(at(105)), OwnershipState::InDoubt);
    keeper.handle_session(connected(), Some(at(106)), at(106));
    assert!(matches!(
        keeper.poll_request(at(106)),
        Some(Request::Read { .. })
    ));
    keeper.handle_read(at(106), Ok(CZXID), at(106));
    assert_eq!(keeper.state(at(106)), OwnershipState::InDoubt);
    // The earlier proof is still good once a quorum has seen the znode again.
    check(&mut keeper, 108);
    assert_eq!(keeper.state(at(108)), held(111, Proof::Quorum));
}

#[test]
fn a_znode_that_is_gone_or_another_ones_is_lost_for_good() {
    let mut gone = keeper(None);
    gone.handle_check(at(101), Err(Failure::Missing), at(101));
    assert_eq!(gone.state(at(101)), OwnershipState::Lost(Why::Deleted));
    let mut forged = keeper(None);
    forged.handle_read(at(101), Ok(Zxid(8)), at(101));
    assert_eq!(forged.state(at(101)), OwnershipState::Lost(Why::Deleted));
    // What comes later changes nothing.
    forged.handle_session(SessionState::Closed, None, at(102));
    forged.handle_read(at(103), Ok(CZXID), at(103));
    assert_eq!(forged.state(at(103)), OwnershipState::Lost(Why::Deleted));
    assert_eq!(forged.poll_request(at(103)), None);
    assert_eq!(forged.poll_timeout(at(103)), None);
}

#[test]
fn it_is_lost_with_its_session_and_its_client() {
    for (state, why) in [
        (SessionState::Expired { epoch: epoch() }, Why::EpochEnded),
        (SessionState::Closed, Why::ClientClosed),
        (SessionState::AuthFailed, Why::ClientClosed),
    ] {
        let mut keeper = keeper(Some(Proof::Soft));
        keeper.handle_session(state, None, at(101));
        assert_eq!(keeper.state(at(101)), OwnershipState::Lost(why));
    }
}

#[test]
fn the_server_is_asked_which_proof_suits_it_and_silence_means_an_ensemble() {
    for (answer, kind) in [
        (Some(false), Proof::Soft),
        (Some(true), Proof::Quorum),
        (None, Proof::Quorum),
    ] {
        let mut keeper = keeper(None);
        assert_eq!(keeper.poll_request(at(100)), Some(Request::AskEnsemble));
        keeper.handle_ensemble(answer);
        let check = (kind == Proof::Quorum).then_some(Request::Check);
        assert_eq!(keeper.poll_request(at(104)), check);
    }
}
