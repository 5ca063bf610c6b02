//! What clients see on any two servers agrees as far as both have got.

use super::{Event, Invariant, World};
use crate::quorum::ServerId;
use crate::quorum::zab::Proposal;

#[derive(Debug, Default)]
pub(super) struct PrefixConsistency {
    /// The longest that was seen.
    longest: Vec<Proposal>,
}

impl Invariant for PrefixConsistency {
    fn name(&self) -> &'static str {
        "PrefixConsistency"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, _: &World<'_>) -> Result<(), String> {
        let Event::Visible { txns, new } = event else {
            return Ok(());
        };
        for (place, txn) in txns.iter().enumerate().skip(*new) {
            match self.longest.get(place) {
                Some(known) if known == txn => {}
                Some(known) => {
                    return Err(format!(
                        "{} in place {place}, where {} was seen",
                        txn.zxid, known.zxid
                    ));
                }
                None => self.longest.push(txn.clone()),
            }
        }
        Ok(())
    }
}
