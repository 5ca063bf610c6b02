//! Whatever is delivered was broadcast by a primary, and is delivered once.

use std::collections::BTreeMap;

use bytes::Bytes;
use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct Integrity {
    broadcast: BTreeMap<Zxid, Bytes>,
}

impl Invariant for Integrity {
    fn name(&self) -> &'static str {
        "Integrity"
    }

    fn observe(&mut self, _: ServerId, event: &Event<'_>, _: &World<'_>) -> Result<(), String> {
        match event {
            Event::Broadcast(proposal) => {
                let payload = proposal.payload.clone();
                match self.broadcast.insert(proposal.zxid, payload) {
                    Some(_) => Err(format!("{} was broadcast twice", proposal.zxid)),
                    None => Ok(()),
                }
            }
            Event::Visible { txns, new } => {
                for (place, txn) in txns.iter().enumerate().skip(*new) {
                    if self.broadcast.get(&txn.zxid) != Some(&txn.payload) {
                        return Err(format!("{} was never broadcast", txn.zxid));
                    }
                    if txns[..place].iter().any(|earlier| earlier.zxid == txn.zxid) {
                        return Err(format!("{} was delivered twice", txn.zxid));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
