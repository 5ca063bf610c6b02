//! If one server delivers a directly before b, so does every server that delivers b.

use std::collections::BTreeMap;

use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct TotalOrder {
    /// What was delivered directly before each.
    before: BTreeMap<Zxid, Option<Zxid>>,
}

impl Invariant for TotalOrder {
    fn name(&self) -> &'static str {
        "TotalOrder"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, _: &World<'_>) -> Result<(), String> {
        let Event::Visible { txns, new } = event else {
            return Ok(());
        };
        for place in *new..txns.len() {
            let zxid = txns[place].zxid;
            let before = place.checked_sub(1).map(|place| txns[place].zxid);
            let known = *self.before.entry(zxid).or_insert(before);
            if known != before {
                return Err(format!(
                    "{zxid} after {before:?}, elsewhere after {known:?}"
                ));
            }
        }
        Ok(())
    }
}
