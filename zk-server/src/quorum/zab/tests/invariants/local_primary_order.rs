//! What one primary broadcasts is delivered in its order, and nothing skipped.

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug)]
pub(super) struct LocalPrimaryOrder;

impl Invariant for LocalPrimaryOrder {
    fn name(&self) -> &'static str {
        "LocalPrimaryOrder"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, _: &World<'_>) -> Result<(), String> {
        let Event::Visible { txns, new } = event else {
            return Ok(());
        };
        for place in *new..txns.len() {
            let zxid = txns[place].zxid;
            let before = place.checked_sub(1).map(|place| txns[place].zxid);
            let expected = match before.filter(|before| before.epoch() == zxid.epoch()) {
                Some(before) => before.counter() + 1,
                None => 1,
            };
            if zxid.counter() != expected {
                return Err(format!("{zxid} after {before:?}"));
            }
        }
        Ok(())
    }
}
