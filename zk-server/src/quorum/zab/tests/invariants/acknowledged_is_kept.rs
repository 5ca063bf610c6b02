//! What a client was told is done is on the disks of a quorum, then and for ever.

use std::collections::BTreeSet;

use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct AcknowledgedIsKept {
    acknowledged: BTreeSet<Zxid>,
}

fn check(zxid: Zxid, world: &World<'_>) -> Result<(), String> {
    let has = world.disks.iter().filter(|(_, disk)| disk.has(zxid));
    let has: BTreeSet<_> = has.map(|(id, _)| *id).collect();
    if world.config.contains_quorum(&has) {
        return Ok(());
    }
    Err(format!(
        "{zxid} was acknowledged and is on the disks of {has:?} only"
    ))
}

impl Invariant for AcknowledgedIsKept {
    fn name(&self) -> &'static str {
        "acknowledged is kept"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, world: &World<'_>) -> Result<(), String> {
        match event {
            Event::Acknowledged(proposal) => {
                self.acknowledged.insert(proposal.zxid);
                check(proposal.zxid, world)
            }
            Event::Disk => self
                .acknowledged
                .iter()
                .try_for_each(|zxid| check(*zxid, world)),
            _ => Ok(()),
        }
    }
}
