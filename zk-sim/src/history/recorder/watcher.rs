//! A watcher whose events are written down as they are taken.

use zk_client::{WatchedEvent, Watcher};
use zk_proto::Chroot;

use super::{Heard, Recorder, WatcherId};
use crate::Sim;
use crate::history::ClientId;

/// Receives the events of every watch it was passed to, as [`Watcher`] does. It
/// belongs to the [`RecordedClient`](super::RecordedClient) that made it.
#[derive(Debug)]
pub struct RecordedWatcher {
    pub(super) watcher: Watcher,
    pub(super) id: WatcherId,
    client: ClientId,
    chroot: Chroot,
    recorder: Recorder,
    sim: Sim,
}

impl RecordedWatcher {
    pub(super) fn new(
        watcher: Watcher,
        client: ClientId,
        chroot: Chroot,
        recorder: Recorder,
        sim: Sim,
    ) -> Self {
        Self {
            watcher,
            id: recorder.new_watcher(),
            client,
            chroot,
            recorder,
            sim,
        }
    }

    /// As [`Watcher::next`].
    pub async fn next(&self) -> Option<WatchedEvent> {
        let event = self.watcher.next().await;
        self.record(event.as_ref());
        event
    }

    /// As [`Watcher::try_next`].
    pub fn try_next(&self) -> Option<WatchedEvent> {
        let event = self.watcher.try_next();
        self.record(event.as_ref());
        event
    }

    fn record(&self, event: Option<&WatchedEvent>) {
        if let Some(event) = event {
            let mut event = event.clone();
            if !event.path.is_empty() {
                event.path = self.chroot.to_server(&event.path).into_owned();
            }
            self.recorder.hear(Heard {
                at: self.sim.elapsed(),
                client: self.client,
                watcher: self.id,
                event,
            });
        }
    }
}
