//! Whoever has entered an epoch, by its disk, has the history that the epoch began with;
//! until it accepts a later epoch, whose leader may take from it what was never committed.

use std::collections::BTreeMap;

use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct HistoryBeforeEpoch {
    /// What each epoch began with.
    initial: BTreeMap<i64, Vec<Zxid>>,
}

impl Invariant for HistoryBeforeEpoch {
    fn name(&self) -> &'static str {
        "history before epoch"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        world: &World<'_>,
    ) -> Result<(), String> {
        match event {
            Event::Leads { epoch, history, .. } => {
                let zxids = || history.iter().map(|txn| txn.zxid).collect();
                self.initial.entry(*epoch).or_insert_with(zxids);
                Ok(())
            }
            Event::Disk => {
                let Some(disk) = world.disks.get(&server) else {
                    return Ok(());
                };
                let epoch = disk.current_epoch;
                if disk.accepted_epoch != epoch {
                    return Ok(());
                }
                let mut initial = self.initial.get(&epoch).into_iter().flatten();
                match initial.find(|zxid| !disk.has(**zxid)) {
                    Some(zxid) => Err(format!("epoch {epoch} on the disk, {zxid} not")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
