//! [`Tickets`]: callers that wait, each with the waker of its last poll.

use std::collections::BTreeMap;
use std::task::Waker;

/// The place of one caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

/// Callers that wait, each with the waker of its last poll.
#[derive(Default)]
pub(super) struct Tickets {
    wakers: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl Tickets {
    pub(super) fn enter(&mut self) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.wakers.insert(ticket, None);
        Ticket(ticket)
    }

    /// Keeps `waker` for the holder of `ticket`; returns the one that it replaces.
    pub(super) fn wait(&mut self, ticket: Option<Ticket>, waker: &Waker) -> Option<Waker> {
        let kept = self.wakers.get_mut(&ticket?.0)?;
        match kept {
            Some(kept) if kept.will_wake(waker) => None,
            _ => kept.replace(waker.clone()),
        }
    }

    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        self.wakers.remove(&ticket.0).flatten()
    }

    /// The wakers of all callers; the callers stay until they leave.
    pub(super) fn wake(&mut self) -> Vec<Waker> {
        self.wakers.values_mut().filter_map(Option::take).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}
