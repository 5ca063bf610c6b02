//! Whatever rule the model breaks, it no longer agrees with the server.

use super::{Replay, drive};
use crate::history::History;
use crate::model::{Mutation, Settings};

const SEEDS: u64 = 12;

fn is_noticed(mutation: Mutation, histories: &[History]) -> bool {
    let settings = Settings {
        mutation: Some(mutation),
        ..Settings::default()
    };
    let replay = Replay::new(settings);
    histories
        .iter()
        .any(|history| replay.check(history).is_err())
}

#[test]
fn every_broken_rule_is_noticed() {
    let histories: Vec<History> = (0..SEEDS).map(|seed| drive::run(seed, 4, 250)).collect();
    for history in &histories {
        let replayed = Replay::new(Settings::default()).check(history);
        assert!(replayed.is_ok(), "{replayed:?}");
    }
    let unnoticed = |mutation: &&Mutation| !is_noticed(**mutation, &histories);
    let unnoticed: Vec<_> = Mutation::ALL.iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:?}");
}
