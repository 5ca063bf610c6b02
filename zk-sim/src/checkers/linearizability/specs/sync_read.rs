//! What a session may see of a znode on an ensemble: its reads may be old, but never go
//! back, and after a sync they are as new as the sync.

use std::collections::BTreeMap;

use crate::checkers::linearizability::Operations;

/// What a session asks about one znode. A process of the history is a session, and its
/// operations take effect in the order of their calls, also when they overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncedOp {
    /// Write it.
    Write,
    /// Catch up with the leader.
    Sync,
    /// Read it.
    Read,
}

/// What is answered. Marks are numbers that rise with each write: an mzxid, or a version
/// as long as the znode is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncedRet {
    /// The write's mark.
    Wrote(u64),
    /// The sync is done.
    Synced,
    /// The mark of what was read.
    Saw(u64),
}

/// A read or write that contradicts another operation. Operations are named by their
/// index in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongSight {
    /// The session had seen or written something newer before.
    WentBack {
        /// What it saw or wrote before.
        before: usize,
        /// The operation that went back.
        operation: usize,
    },
    /// A write that was acknowledged before the session's last sync was called is
    /// missing.
    NotSynced {
        /// The write.
        write: usize,
        /// The sync.
        sync: usize,
        /// The read.
        read: usize,
    },
    /// The read saw a write that was called only afterwards.
    Future {
        /// The write.
        write: usize,
        /// The read.
        read: usize,
    },
    /// A write was acknowledged before the other was called, and has no lower mark.
    Writes {
        /// The earlier write.
        earlier: usize,
        /// The later one.
        later: usize,
    },
}

/// Checks every session's view of one znode.
///
/// Writes without an answer are allowed to show up any time. Syncs without an answer
/// promise nothing.
///
/// # Errors
///
/// The first contradiction found.
pub fn views_hold(history: &Operations<SyncedOp, SyncedRet>) -> Result<(), WrongSight> {
    let writes = Writes::new(history);
    writes.in_order()?;
    for operations in sessions(history).into_values() {
        writes.check_session(&operations)?;
    }
    writes.none_from_the_future()
}

type History = Operations<SyncedOp, SyncedRet>;

struct Writes<'a> {
    history: &'a History,
    /// The acknowledged ones.
    acknowledged: Vec<(u64, usize)>,
    /// By each of their returns, mark and index of the newest that had returned.
    newest: Vec<(u64, (u64, usize))>,
}

impl<'a> Writes<'a> {
    fn new(history: &'a History) -> Self {
        let mark = |index: usize| match history[index].returned {
            Some((_, SyncedRet::Wrote(mark))) => Some((mark, index)),
            Some((_, SyncedRet::Synced | SyncedRet::Saw(_))) | None => None,
        };
        let acknowledged: Vec<_> = (0..history.len()).filter_map(mark).collect();
        let returned = history.return_order();
        let mut by_return = acknowledged.clone();
        by_return.sort_unstable_by_key(|&(_, write)| returned[write]);
        let newest = by_return.into_iter().scan((0, 0), |newest, write| {
            *newest = write.max(*newest);
            Some((returned[write.1], *newest))
        });
        Self {
            history,
            acknowledged,
            newest: newest.collect(),
        }
    }

    fn in_order(&self) -> Result<(), WrongSight> {
        let mut by_call = self.acknowledged.clone();
        by_call.sort_unstable_by_key(|&(_, write)| self.history.span(write).invoked);
        for (mark, later) in by_call {
            if let Some((highest, earlier)) = self.newest_before(later)
                && highest >= mark
            {
                return Err(WrongSight::Writes { earlier, later });
            }
        }
        Ok(())
    }

    /// The newest write that was acknowledged before the operation was called.
    fn newest_before(&self, operation: usize) -> Option<(u64, usize)> {
        let called = self.history.span(operation).invoked;
        let before = self
            .newest
            .partition_point(|&(returned, _)| returned < called);
        Some(self.newest[before.checked_sub(1)?].1)
    }

    /// `operations` are those of one session in the order of their calls.
    fn check_session(&self, operations: &[usize]) -> Result<(), WrongSight> {
        let mut newest: Option<(u64, usize)> = None;
        let mut synced: Option<(u64, usize, usize)> = None;
        for &operation in operations {
            let Some((_, ret)) = self.history[operation].returned else {
                continue;
            };
            match ret {
                SyncedRet::Synced => {
                    let write = self.newest_before(operation);
                    let write = write.map(|(mark, write)| (mark, write, operation));
                    synced = synced.max(write);
                }
                SyncedRet::Wrote(mark) | SyncedRet::Saw(mark) => {
                    // A write is newer than whatever the session saw before.
                    let least = mark.saturating_sub(u64::from(matches!(ret, SyncedRet::Wrote(_))));
                    if let Some((_, before)) = newest.filter(|&(newest, _)| newest > least) {
                        return Err(WrongSight::WentBack { before, operation });
                    }
                    if let Some((_, write, sync)) = synced.filter(|&(synced, ..)| synced > mark) {
                        return Err(WrongSight::NotSynced {
                            write,
                            sync,
                            read: operation,
                        });
                    }
                    newest = Some((mark, operation));
                }
            }
        }
        Ok(())
    }

    fn none_from_the_future(&self) -> Result<(), WrongSight> {
        let marks: BTreeMap<u64, usize> = self.acknowledged.iter().copied().collect();
        for read in 0..self.history.len() {
            if let Some((_, SyncedRet::Saw(mark))) = self.history[read].returned
                && let Some(&write) = marks.get(&mark)
                && self.history.precedes(read, write)
            {
                return Err(WrongSight::Future { write, read });
            }
        }
        Ok(())
    }
}

fn sessions(history: &History) -> BTreeMap<u32, Vec<usize>> {
    let mut sessions: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, operation) in history.iter().enumerate() {
        sessions.entry(operation.process).or_default().push(index);
    }
    for operations in sessions.values_mut() {
        operations.sort_by_key(|&index| history.span(index).invoked);
    }
    sessions
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SyncedOp::{Read, Sync, Write};
    use super::SyncedRet::{Saw, Synced, Wrote};
    use super::*;
    use crate::checkers::linearizability::Operation;

    /// From session, call, return and answer.
    fn check(calls: &[(u32, u64, u64, SyncedRet)]) -> Result<(), WrongSight> {
        let operation = |&(process, invoked, returned, ret): &_| Operation {
            process,
            op: match ret {
                Wrote(_) => Write,
                Synced => Sync,
                Saw(_) => Read,
            },
            invoked: Duration::from_millis(invoked),
            returned: Some((Duration::from_millis(returned), ret)),
        };
        views_hold(&calls.iter().map(operation).collect())
    }

    #[test]
    fn an_old_read_without_a_sync_is_fine() {
        assert_eq!(check(&[(1, 1, 2, Wrote(7)), (2, 3, 4, Saw(0))]), Ok(()));
    }

    #[test]
    fn a_read_after_a_sync_sees_what_was_acknowledged_before_the_sync() {
        let history = |saw| [(1, 1, 2, Wrote(7)), (2, 3, 4, Synced), (2, 5, 6, Saw(saw))];
        assert_eq!(check(&history(7)), Ok(()));
        assert_eq!(check(&history(9)), Ok(()));
        let missing = WrongSight::NotSynced {
            write: 0,
            sync: 1,
            read: 2,
        };
        assert_eq!(check(&history(6)), Err(missing));
    }

    #[test]
    fn a_sync_called_before_the_acknowledgement_promises_nothing() {
        let history = [(1, 1, 4, Wrote(7)), (2, 3, 5, Synced), (2, 6, 7, Saw(0))];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_sync_of_another_session_promises_nothing() {
        let history = [(1, 1, 2, Wrote(7)), (2, 3, 4, Synced), (3, 5, 6, Saw(0))];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn a_read_in_one_line_behind_the_sync_counts_though_they_overlap() {
        let history = [(1, 1, 2, Wrote(7)), (2, 3, 6, Synced), (2, 4, 7, Saw(0))];
        let missing = WrongSight::NotSynced {
            write: 0,
            sync: 1,
            read: 2,
        };
        assert_eq!(check(&history), Err(missing));
    }

    #[test]
    fn a_later_sync_that_is_served_less_does_not_hide_the_earlier_one() {
        let history = [
            (1, 1, 2, Wrote(7)),
            (2, 3, 4, Synced),
            (2, 5, 6, Synced),
            (2, 7, 8, Saw(6)),
        ];
        assert!(matches!(check(&history), Err(WrongSight::NotSynced { .. })));
    }

    #[test]
    fn a_session_does_not_go_back() {
        let back = Err(WrongSight::WentBack {
            before: 0,
            operation: 1,
        });
        assert_eq!(check(&[(1, 1, 2, Saw(5)), (1, 3, 4, Saw(4))]), back);
        assert_eq!(check(&[(1, 1, 2, Wrote(5)), (1, 3, 4, Saw(4))]), back);
        assert_eq!(check(&[(1, 1, 2, Saw(5)), (1, 3, 4, Saw(5))]), Ok(()));
        assert_eq!(check(&[(1, 1, 2, Saw(5)), (2, 3, 4, Saw(4))]), Ok(()));
    }

    #[test]
    fn a_session_does_not_see_its_own_later_write() {
        let back = WrongSight::WentBack {
            before: 0,
            operation: 1,
        };
        assert_eq!(check(&[(1, 1, 9, Saw(5)), (1, 3, 8, Wrote(5))]), Err(back));
    }

    #[test]
    fn a_read_from_the_future_is_refused() {
        let future = WrongSight::Future { write: 1, read: 0 };
        assert_eq!(
            check(&[(1, 1, 2, Saw(5)), (2, 3, 4, Wrote(5))]),
            Err(future)
        );
        assert_eq!(check(&[(1, 1, 4, Saw(5)), (2, 3, 5, Wrote(5))]), Ok(()));
    }

    #[test]
    fn writes_rise_in_the_order_of_their_acknowledgements() {
        let writes = Err(WrongSight::Writes {
            earlier: 0,
            later: 1,
        });
        assert_eq!(check(&[(1, 1, 2, Wrote(5)), (2, 3, 4, Wrote(5))]), writes);
        assert_eq!(check(&[(1, 1, 2, Wrote(5)), (2, 3, 4, Wrote(4))]), writes);
        assert_eq!(check(&[(1, 1, 4, Wrote(5)), (2, 3, 5, Wrote(4))]), Ok(()));
    }
}
