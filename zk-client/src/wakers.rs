//! Tasks that wait for the same thing.

use std::task::Waker;

/// The place of one waiting future; its own, so that a future that is dropped takes
/// nobody else's waker with it, not even one of the same task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Wakers, one per future that waits.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Vec<(Ticket, Waker)>,
    tickets: u64,
}

impl Wakers {
    /// Leaves `waker` to be woken, under the future's ticket if it has one already.
    pub(crate) fn register(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) {
        let known = *ticket.get_or_insert_with(|| {
            self.tickets += 1;
            Ticket(self.tickets)
        });
        match self.waiting.iter_mut().find(|(at, _)| *at == known) {
            Some((_, old)) => old.clone_from(waker),
            None => self.waiting.push((known, waker.clone())),
        }
    }

    /// The future waits no longer.
    pub(crate) fn forget(&mut self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.waiting.retain(|(at, _)| *at != ticket);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Everyone who waits: to be woken once no lock is held.
    pub(crate) fn take(&mut self) -> Vec<Waker> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|(_, waker)| waker).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_gives_up_leaves_the_others_of_its_task_waiting() {
        let (mut wakers, mut first, mut second) = (Wakers::default(), None, None);
        wakers.register(&mut first, Waker::noop());
        wakers.register(&mut second, Waker::noop());
        wakers.forget(first);
        assert_eq!(wakers.take().len(), 1);
        assert!(wakers.is_empty());
    }

    #[test]
    fn polling_again_takes_no_second_place() {
        let (mut wakers, mut ticket) = (Wakers::default(), None);
        wakers.register(&mut ticket, Waker::noop());
        wakers.register(&mut ticket, Waker::noop());
        assert_eq!(wakers.take().len(), 1);
        wakers.register(&mut ticket, Waker::noop());
        wakers.forget(ticket);
        assert!(wakers.is_empty());
    }
}
