//! Asking an owner to give up what it owns.
//!
//! ```text
//! data of the owner's znode: __REVOKE__
//! ```
//!
//! As Curator's `Revoker` and its `makeRevocable`. It is a request: the owner may finish what it is doing,
//! or not comply at all. Nothing is taken away from it, and it is not fenced. What its znode's
//! data was before is gone. A request to one that still waits in line is seen when its turn
//! has come.

use zk_client::{Client, ErrorCode, RetryPolicy};
use zk_proto::path;

use super::in_line::children;
use crate::decide::{Turn, decide};
use crate::error::Error;
use crate::layout::Layout;
use crate::ownership::{Ownership, Why};

/// The data that asks for a release.
pub const REVOKE: &[u8] = b"__REVOKE__";

/// Attempts until the connection has to hold; each is harmless to repeat.
const PATIENCE: RetryPolicy = RetryPolicy::new(10).for_idempotent();

/// Asks the owner of the znode at `path` to give up what it owns. One that is gone need not be
/// asked.
///
/// # Errors
///
/// `Client`: the server's verdict, such as a missing permission, or the connection was lost for
/// too long.
///
/// # Cancel safety
///
/// Dropping the future leaves the owner asked or not.
pub async fn revoke(client: &Client, path: &str) -> Result<(), Error> {
    ask(client, path).await.map(drop)
}

/// Whether somebody was there to be asked.
async fn ask(client: &Client, path: &str) -> Result<bool, Error> {
    let patient = client.retrying(PATIENCE);
    let asked = patient.run(|client| client.set_data(path, REVOKE, None));
    match asked.await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks all who own, by one look at the children of `parent`.
pub(super) async fn revoke_owners(
    client: &Client,
    parent: &str,
    layout: &Layout,
) -> Result<usize, Error> {
    let children = children(client, parent).await?;
    let mut asked = 0;
    for name in owners(&children, layout) {
        asked += usize::from(ask(client, &path::join(parent, name)).await?);
    }
    Ok(asked)
}

/// Those whose turn it is: the first in line, and the readers next to it if it reads.
fn owners<'n>(children: &'n [String], layout: &Layout) -> Vec<&'n str> {
    let in_line = layout.contenders(children).into_iter();
    in_line
        .map(|place| place.name)
        .take_while(|name| decide(children, name, layout) == Turn::Mine)
        .collect()
}

impl Ownership {
    /// Waits until somebody asks for the release of what is owned, for example by
    /// [`Mutex::revoke`](crate::Mutex::revoke) or Curator's `Revoker`.
    ///
    /// ```no_run
    /// # async fn reindex() {}
    /// # async fn example(lock: zk_recipes::Mutex) -> Result<(), zk_recipes::Error> {
    /// let guard = lock.acquire().await?;
    /// tokio::select! {
    ///     _ = guard.revoked() => println!("somebody else needs it, or it is lost"),
    ///     () = reindex() => {}
    /// }
    /// guard.release().await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is lost: nobody need be asked any more.
    ///
    /// # Cancel safety
    ///
    /// Safe; a request stays seen.
    pub async fn revoked(&self) -> Result<(), Why> {
        let mut payload = self.payload();
        tokio::select! {
            biased;
            why = self.lost() => Err(why),
            asked = payload.wait_for(|data| data == REVOKE) => match asked {
                Ok(_) => Ok(()),
                // The sender lives as long as this ownership.
                Err(_) => Err(Why::Released),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::layout::Role;

    fn owners_of(role: Role, names: &[&str]) -> Vec<String> {
        let children: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let layout = Layout::new(Dialect::Curator, role).unwrap();
        let owners = owners(&children, &layout);
        owners.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_owners_are_one_writer_or_the_readers_in_front() {
        let (a, b) = ("a-lock-0000000003", "b-lock-0000000002");
        assert_eq!(owners_of(Role::Lock, &[a, "x", b]), [b]);
        assert_eq!(owners_of(Role::Lock, &["x"]), [""; 0]);
        let (r1, r2) = ("a__READ__0000000001", "b__READ__0000000002");
        let (w3, r4) = ("c__WRIT__0000000003", "d__READ__0000000004");
        assert_eq!(owners_of(Role::Write, &[w3, r2, r4, r1]), [r1, r2]);
        assert_eq!(owners_of(Role::Write, &[r4, w3]), [w3]);
    }
}
