//! Leases as Curator's V2 semaphore has them.

use std::sync::atomic::{AtomicBool, Ordering};

use zk_client::{Client, Watcher};
use zk_proto::path;

use super::decide::{Verdict, decide};
use super::size::Size;
use crate::contender::{Contender, EVENTS, Entry, exhausted};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::guard::Guard;
use crate::layout::Role;
use crate::lock::in_line::{InLine, children, describe};
use crate::lock::line::{Line, Terms};
use crate::parents::make_anew;

#[derive(Clone, Debug)]
pub(super) struct Curator {
    /// Whoever holds it waits for a lease; the others wait for it.
    gate: Line,
    lease: Line,
    pub(super) size: Size,
}

impl Curator {
    pub(super) fn new(terms: &Terms, path: &str, size: Size) -> Result<Self, Error> {
        Ok(Self {
            gate: terms.line(&path::join(path, "locks"), Role::Lock)?,
            lease: terms.line(&path::join(path, "leases"), Role::Lease)?,
            size,
        })
    }

    fn client(&self) -> &Client {
        &self.lease.client
    }

    /// `count` leases, all in one turn: whoever waits for the rest lets nobody else take any.
    pub(super) async fn acquire(
        &self,
        count: u32,
        deadline: Deadline,
    ) -> Result<Vec<Guard>, Error> {
        self.size.check_count(count)?;
        let gate = self.gate.contend(deadline).await?;
        let is_exhausted = AtomicBool::new(false);
        let acquiring = async {
            loop {
                if let Some(leases) = self.enter_all(count).await? {
                    leave(gate).await?;
                    return Ok(leases);
                }
                tracing::warn!(path = self.lease.path, "sequence numbers are used up");
                is_exhausted.store(true, Ordering::Relaxed);
                make_anew(self.client(), &self.lease.path).await?;
                is_exhausted.store(false, Ordering::Relaxed);
            }
        };
        let acquired = deadline.bound(self.client(), acquiring).await;
        let leases: Vec<Contender> = acquired.unwrap_or_else(|| {
            Err(if is_exhausted.load(Ordering::Relaxed) {
                exhausted(&self.lease.path, deadline)
            } else {
                deadline.exceeded()
            })
        })?;
        let own = |lease: Contender| lease.own(self.lease.proof);
        Ok(leases.into_iter().map(own).collect())
    }

    /// Waits until they count, one after the other; `None` if the parent's sequences are used
    /// up. Those that are left are the reaper's.
    async fn enter_all(&self, count: u32) -> Result<Option<Vec<Contender>>, Error> {
        let mut leases: Vec<Contender> = Vec::new();
        for _ in 0..count {
            let lease = self.enter().await?;
            if !self.wait(&lease).await? {
                return Ok(None);
            }
            leases.push(lease);
        }
        if count > 1 {
            // While the last was waited for, somebody may have deleted another.
            let there = leases[0].children(None).await?;
            let is_gone = |lease: &&Contender| !there.iter().any(|name| name == lease.name());
            if let Some(gone) = leases.iter().find(is_gone) {
                return Err(gone.removed());
            }
        }
        Ok(Some(leases))
    }

    pub(super) async fn try_acquire(&self, deadline: Deadline) -> Result<Option<Guard>, Error> {
        let trying = async {
            let Some(gate) = self.gate.try_contend(deadline).await? else {
                return Ok(None);
            };
            let lease = self.enter().await?;
            let verdict = self.look(&lease, &Watcher::with_capacity(EVENTS)).await?;
            match verdict {
                Verdict::Mine => {
                    leave(gate).await?;
                    return Ok(Some(lease.own(self.lease.proof)));
                }
                Verdict::Missing => return Err(lease.removed()),
                Verdict::Full | Verdict::Exhausted => lease.leave().await?,
            }
            leave(gate).await?;
            if verdict == Verdict::Exhausted {
                return Err(exhausted(&self.lease.path, deadline));
            }
            Ok(None)
        };
        let tried = deadline.bound(self.client(), trying).await;
        tried.unwrap_or_else(|| Err(deadline.exceeded()))
    }

    pub(super) async fn in_line(&self) -> Result<Vec<InLine>, Error> {
        let size = self.size.look(self.client()).await?;
        let leases = children(self.client(), &self.lease.path).await?;
        let line = self.lease.entry.layout.contenders(&leases).into_iter();
        let line = line
            .zip(0_u32..)
            .map(|(lease, ahead)| (lease.name, ahead < size));
        describe(self.client(), &self.lease.path, line.collect()).await
    }

    async fn enter(&self) -> Result<Contender, Error> {
        let entry: &Entry = &self.lease.entry;
        Contender::enter(self.client(), &self.lease.path, entry).await
    }

    /// True when the lease counts, false if the parent's sequences are used up.
    async fn wait(&self, lease: &Contender) -> Result<bool, Error> {
        loop {
            let watcher = Watcher::with_capacity(EVENTS);
            match self.look(lease, &watcher).await? {
                Verdict::Mine => return Ok(true),
                Verdict::Exhausted => return Ok(false),
                Verdict::Missing => return Err(lease.removed()),
                Verdict::Full => lease.changed(&watcher).await?,
            }
        }
    }

    async fn look(&self, lease: &Contender, watcher: &Watcher) -> Result<Verdict, Error> {
        let size = self.size.read(lease, watcher).await?;
        let children = lease.children(Some(watcher)).await?;
        let verdict = decide(&children, lease.name(), &self.lease.entry.layout, size);
        let (path, leases) = (lease.path(), children.len());
        tracing::debug!(path, ?verdict, leases, size, "whether the lease counts");
        Ok(verdict)
    }
}

/// Lets the next one wait for a lease. If that is not proven, the reaper goes on with it; the
/// lease is a lease all the same, unless the session is gone.
pub(super) async fn leave(gate: Contender) -> Result<(), Error> {
    match gate.leave().await {
        Err(Error::EpochEnded) => Err(Error::EpochEnded),
        Err(error) => {
            tracing::debug!(%error, "the inner lock's znode is left to the reaper");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
