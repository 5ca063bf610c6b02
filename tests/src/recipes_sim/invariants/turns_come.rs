//! Every waiter that stays alive gets its turn.
//!
//! Whoever waits without a deadline and never gets it shows in the runner's demand that every
//! worker makes progress once the faults are over. Here it is how long that takes at most.

use std::time::Duration;

use zk_sim::runner::{Phase, Stage};

/// What a turn may take once the faults are over: sessions that died last have to expire,
/// deletes that were put off are tried again after half a minute at most, and everybody ahead has
/// a turn.
const WITHIN: Duration = Duration::from_secs(75);

/// Somebody waits.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Since when, not counting the time in which faults struck.
    since: Option<Duration>,
}

impl Wait {
    pub(crate) fn begin(stage: &Stage) -> Self {
        let is_healed = stage.phase() >= Phase::Healed;
        Self {
            since: is_healed.then(|| stage.now()),
        }
    }

    /// The turn has come.
    pub(crate) fn end(self, stage: &Stage) {
        let Some(since) = self.since else {
            return;
        };
        let waited = stage.now().saturating_sub(since);
        if waited > WITHIN {
            let host = stage.host();
            stage.fail(format!("turns come: {host} waited for {waited:?}"));
        }
    }
}
