//! The members of a party enter together and leave together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use zk_client::{Client, Zxid};

/// Who is inside, and has not begun to leave.
#[derive(Debug, Default)]
pub(crate) struct Parties(Mutex<BTreeMap<String, Member>>);

/// A member that stays.
#[derive(Clone, Debug)]
struct Member {
    party: Zxid,
    znode: String,
}

impl Parties {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has entered with a party.
    pub(crate) fn entered(&self, host: &str, party: Zxid, znode: &str) {
        let znode = znode.to_owned();
        self.lock().insert(host.to_owned(), Member { party, znode });
    }

    /// A host begins to leave, or is gone.
    pub(crate) fn leaves(&self, host: &str) {
        self.lock().remove(host);
    }

    /// That nobody who has not begun to leave this party is there any more, now that somebody has
    /// left: only those whose session is over, and those who came later, are not waited for.
    pub(crate) async fn left(&self, observer: &Client, party: Zxid) -> Result<(), String> {
        let staying: Vec<_> = {
            let members = self.lock();
            let same = members.iter().filter(|(_, member)| member.party == party);
            same.map(|(host, member)| (host.clone(), member.znode.clone()))
                .collect()
        };
        for (host, znode) in staying {
            let Ok(Some(stat)) = observer.exists(&znode, None).await else {
                continue;
            };
            let still = self.lock().get(&host).is_some_and(|m| m.znode == znode);
            if stat.czxid < party && still {
                return Err(format!(
                    "members leave together: {host} was left behind by party {party}"
                ));
            }
        }
        Ok(())
    }
}
