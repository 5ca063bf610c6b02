//! Three peers with settings of their own.

use std::collections::BTreeSet;
use std::time::Duration;

use zk_server::{Ensemble, PeerState, QuorumPeer};
use zk_tests::wait::within;

pub(crate) struct Trio(Ensemble);

impl Trio {
    /// With more keys of a `zoo.cfg`.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let mut builder = Ensemble::builder()
            .voters(3)
            .tick(Duration::from_millis(200));
        for (key, value) in settings {
            builder = builder.setting(*key, *value);
        }
        let started = within("three peers start", builder.start()).await;
        Self(started.expect("started"))
    }

    pub(crate) fn peer(&self, id: i64) -> &QuorumPeer {
        self.0.peer(id)
    }

    pub(crate) fn connect_string(&self) -> String {
        self.0.connect_string()
    }

    pub(crate) async fn wait_until_all_serve(&self) {
        for id in self.0.peer_ids() {
            let mut changes = self.peer(id).status_changes();
            let serves = changes.wait_for(|status| status.is_serving);
            within("a peer serves", serves).await.expect("alive");
        }
    }

    pub(crate) fn leader(&self) -> i64 {
        let ids = self.0.peer_ids().into_iter();
        let mut leading = ids.filter(|id| {
            let status = self.peer(*id).status();
            status.state == PeerState::Leading && status.is_serving
        });
        leading.next().expect("a leader")
    }

    pub(crate) async fn wait_until_equal(&self) {
        let ids = self.0.peer_ids();
        eventually(async || {
            let digests: BTreeSet<_> = ids.iter().map(|id| self.peer(*id).tree_digest()).collect();
            digests.len() == 1
        })
        .await;
    }
}

pub(crate) async fn eventually(is_so: impl AsyncFnMut() -> bool) {
    zk_tests::wait::eventually("it comes to be", is_so).await;
}
