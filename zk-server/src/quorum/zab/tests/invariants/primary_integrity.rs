//! Before a primary broadcasts it has delivered whatever anyone delivered of earlier
//! epochs, and it broadcasts in its own epoch alone.

use std::collections::BTreeMap;

use zk_proto::Zxid;

use super::{Event, Invariant, World};
use crate::quorum::ServerId;

#[derive(Debug, Default)]
pub(super) struct PrimaryIntegrity {
    delivered: Vec<Zxid>,
    established: BTreeMap<ServerId, i64>,
}

impl Invariant for PrimaryIntegrity {
    fn name(&self) -> &'static str {
        "PrimaryIntegrity"
    }

    fn observe(
        &mut self,
        server: ServerId,
        event: &Event<'_>,
        _: &World<'_>,
    ) -> Result<(), String> {
        match event {
            Event::Visible { txns, .. } if txns.len() > self.delivered.len() => {
                let news = &txns[self.delivered.len()..];
                self.delivered.extend(news.iter().map(|txn| txn.zxid));
                Ok(())
            }
            Event::Established { epoch, history } => {
                self.established.insert(server, *epoch);
                let earlier = self.delivered.iter().filter(|zxid| zxid.epoch() < *epoch);
                let has = |zxid: &Zxid| history.binary_search_by_key(zxid, |txn| txn.zxid).is_ok();
                match earlier.copied().find(|zxid| !has(zxid)) {
                    Some(zxid) => Err(format!("the primary of epoch {epoch} lacks {zxid}")),
                    None => Ok(()),
                }
            }
            Event::Broadcast(proposal) => {
                let epoch = self.established.get(&server).copied();
                if epoch == Some(proposal.zxid.epoch()) {
                    Ok(())
                } else {
                    Err(format!("{} broadcast in epoch {epoch:?}", proposal.zxid))
                }
            }
            _ => Ok(()),
        }
    }
}
