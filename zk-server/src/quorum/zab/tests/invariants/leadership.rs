//! One leader to an epoch.

use std::collections::BTreeMap;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

/// Leadership1: no two servers lead the same epoch from synchronisation on.
#[derive(Debug, Default)]
pub(super) struct Leadership1(Leaders);

/// Leadership2: an epoch is established once.
#[derive(Debug, Default)]
pub(super) struct Leadership2(Leaders);

/// Who leads an epoch, and in which of its roles.
#[derive(Debug, Default)]
struct Leaders(BTreeMap<i64, (ServerId, u64)>);

impl Leaders {
    fn lead(&mut self, epoch: i64, leader: (ServerId, u64)) -> Result<(), String> {
        match *self.0.entry(epoch).or_insert(leader) {
            first if first == leader => Ok(()),
            first => Err(format!(
                "epoch {epoch} is led by {first:?} and by {leader:?}"
            )),
        }
    }
}

impl Invariant for Leadership1 {
    fn name(&self) -> &'static str {
        "Leadership1"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        _: &World<'_>,
    ) -> Result<(), String> {
        match *event {
            Event::Leads { epoch, run, .. } => self.0.lead(epoch, (server, run)),
            _ => Ok(()),
        }
    }
}

impl Invariant for Leadership2 {
    fn name(&self) -> &'static str {
        "Leadership2"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        _: &World<'_>,
    ) -> Result<(), String> {
        match *event {
            Event::Leads {
                epoch,
                run,
                is_established: true,
                ..
            } => self.0.lead(epoch, (server, run)),
            _ => Ok(()),
        }
    }
}
