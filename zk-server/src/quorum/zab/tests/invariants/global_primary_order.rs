//! Transactions of smaller epochs are delivered before those of larger ones.

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug)]
pub(super) struct GlobalPrimaryOrder;

impl Invariant for GlobalPrimaryOrder {
    fn name(&self) -> &'static str {
        "GlobalPrimaryOrder"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, _: &World<'_>) -> Result<(), String> {
        let Event::Visible { txns, new } = event else {
            return Ok(());
        };
        let from = new.saturating_sub(1);
        match txns[from..]
            .windows(2)
            .find(|pair| pair[0].zxid.epoch() > pair[1].zxid.epoch())
        {
            Some(pair) => Err(format!("{} before {}", pair[0].zxid, pair[1].zxid)),
            None => Ok(()),
        }
    }
}
