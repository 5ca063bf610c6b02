//! The quorum proof against a model of leader, follower and touch table, exhaustively at
//! small size: in no schedule does the server give the ownership away while the client still
//! has a valid proof. Rules that are a little weaker are refuted by the same model.
//!
//! What the model holds, of Apache ZooKeeper: a follower notes the sessions it hears from in its
//! touch table, and passes the table on only in its answer to a leader's ping; a forwarded
//! write does not touch the session at the leader, but fails there once the session is
//! expired; both ways between leader and follower are in order; the leader pings every half
//! tick and expires a session when the last touch is a timeout old; a reconnect is
//! validated, and so touches, at the leader; a new leader gives everybody a full timeout.
//! Any message may take any time, which is a partition; connections break; leaders change.

#[path = "../src/proof.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the rule as it ships, of which the model needs a part"
)]
mod proof;

#[path = "quorum_rule/model.rs"]
mod model;
#[path = "quorum_rule/rule.rs"]
mod rule;

use model::World;
use rule::Kind;
use stateright::{Checker, HasDiscoveries, Model};

/// Explores every schedule, or stops at the first that breaks the rule.
fn is_sound(world: World) -> bool {
    let threads = 2;
    let checker = world
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{:?}: {} states",
        checker.model(),
        checker.unique_state_count()
    );
    // A model in which nothing is ever proven, or nothing ever expires, would prove nothing.
    let discoveries = checker.discoveries();
    if let Some(path) = discoveries.get(model::NOT_GIVEN_AWAY) {
        println!("refuted by {:?}", path.clone().into_actions());
        return false;
    }
    for reached in [model::PROVEN, model::EXPIRES] {
        assert!(discoveries.contains_key(reached), "never {reached}");
    }
    true
}

#[test]
fn the_rule_holds_in_every_schedule() {
    assert!(is_sound(World::small(Kind::Shipped)));
}

#[test]
fn the_rule_holds_when_connections_break() {
    assert!(is_sound(World {
        breaks: 1,
        ..World::small(Kind::Shipped)
    }));
}

#[test]
fn the_rule_holds_when_the_leader_changes() {
    assert!(is_sound(World {
        elections: 1,
        ..World::small(Kind::Shipped)
    }));
}

#[test]
fn the_rule_holds_with_expiry_in_buckets() {
    assert!(is_sound(World {
        is_bucketed: true,
        ..World::small(Kind::Shipped)
    }));
}

#[test]
#[ignore = "minutes and gigabytes: for whoever changes rule or model"]
fn the_rule_holds_at_a_finer_grain() {
    assert!(is_sound(World::new(Kind::Shipped, 4)));
}

#[test]
fn one_answered_write_proves_nothing_for_later() {
    assert!(!is_sound(World::small(Kind::OneWrite)));
}

#[test]
fn two_writes_are_too_few() {
    assert!(!is_sound(World::small(Kind::TwoWrites)));
}

#[test]
fn three_writes_without_a_pause_are_too_fast() {
    assert!(!is_sound(World::small(Kind::NoPause)));
}

#[test]
fn a_pause_counted_from_the_sending_is_too_short() {
    assert!(!is_sound(World::small(Kind::PauseFromSending)));
}

#[test]
fn a_validity_counted_from_the_answer_is_too_long() {
    assert!(!is_sound(World::small(Kind::ValidFromAnswer)));
}

#[test]
fn a_pause_of_one_ping_interval_leaves_no_slack() {
    assert!(!is_sound(World::small(Kind::PauseOfOnePing)));
}

#[test]
fn a_ping_interval_longer_than_the_pause_breaks_it() {
    // As with a session timeout below two ticks.
    assert!(!is_sound(World {
        ping_every: 2,
        ..World::small(Kind::Shipped)
    }));
}
