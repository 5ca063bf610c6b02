//! On disk no epoch ever falls, and none is entered that was not accepted.

use std::collections::BTreeMap;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct EpochsAreMonotone {
    /// Accepted and current.
    last: BTreeMap<ServerId, (i64, i64)>,
}

impl Invariant for EpochsAreMonotone {
    fn name(&self) -> &'static str {
        "epochs are monotone"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        world: &World<'_>,
    ) -> Result<(), String> {
        let (Event::Disk, Some(disk)) = (event, world.disks.get(&server)) else {
            return Ok(());
        };
        let (accepted, current) = (disk.accepted_epoch, disk.current_epoch);
        let last = self
            .last
            .insert(server, (accepted, current))
            .unwrap_or_default();
        if accepted < last.0 || current < last.1 || current > accepted {
            return Err(format!(
                "accepted {accepted}, current {current} after {last:?}"
            ));
        }
        Ok(())
    }
}
