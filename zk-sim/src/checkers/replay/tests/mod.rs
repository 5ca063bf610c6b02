//! The replay against the bundled server, and against histories that are not what they
//! should be.

mod broken_model;
mod broken_server;
mod client;
mod drive;
mod gen_ops;
mod told;

use crate::history::History;
use crate::model::Settings;

use super::{Replay, Replayed};

fn replay(history: &History) -> Result<Replayed, String> {
    Replay::new(Settings::default()).check(history)
}

#[test]
fn one_client_gets_what_the_model_says() {
    for seed in 0..6 {
        let history = drive::run(seed, 1, 400);
        let replayed = replay(&history).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        assert!(
            replayed.transactions > 100 && replayed.replies > 300,
            "{replayed:?}"
        );
    }
}

#[test]
fn several_clients_get_what_the_model_says() {
    for seed in 0..6 {
        let history = drive::run(seed, 5, 250);
        let replayed = replay(&history).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        assert!(
            replayed.transactions > 300 && replayed.events > 100,
            "{replayed:?}"
        );
    }
}

#[test]
fn an_empty_history_is_fine() {
    assert_eq!(replay(&History::default()), Ok(Replayed::default()));
}
