//! [`Queue`]: the ids that wait to be sent, and what they wait for.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::batch::{Answer, Caller};
use crate::entity::CacheEntity;
use crate::timer;
use crate::together::behind_the_others;

/// How long an id waits for a load that is running, and how long after its begin a load makes ids
/// wait. Long enough for a usual query, so that a busy service sends few of them; a slow one must not
/// hold up other keys.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);

/// For how long ids are gathered while there are more with every turn of the scheduler.
const GATHERS: Duration = Duration::from_millis(1);

/// The ids that wait, by runtime: a task of another one might stand still while this one goes on, or
/// end.
pub(super) struct Queue<T: CacheEntity> {
    max: usize,
    state: Mutex<State<T>>,
}

struct State<T: CacheEntity> {
    groups: Vec<Group<T>>,
    last_ticket: Ticket,
}

/// Tells apart callers and loads of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket(u64);

struct Group<T: CacheEntity> {
    runtime: Id,
    /// Fewer than `max`, oldest first.
    waiting: Vec<Waiting<T>>,
    /// The loads that are running and may still make ids wait, oldest first.
    running: VecDeque<(Ticket, Instant)>,
    /// Wakes the task that is going to send the ids, if there is one.
    flusher: Option<Arc<Notify>>,
}

/// A caller that waits.
pub(super) struct Waiting<T: CacheEntity> {
    ticket: Ticket,
    since: Instant,
    pub(super) id: T::Key,
    pub(super) caller: Caller<T>,
}

/// What a caller does after it has left its id. In all cases, its [`Place`] brings the answer.
pub(super) enum Next<T: CacheEntity> {
    /// Nothing is loaded and no other id waits: it lets the others run, and then loads its id alone
    /// if none has come.
    Turn,
    /// It starts the task that sends the ids.
    Flush(Flusher<T>),
    /// There are `max` ids: it starts their query.
    Send(Vec<Waiting<T>>, Running<T>),
    /// Nothing, there is a task already.
    Wait,
}

impl<T: CacheEntity> Queue<T> {
    pub(super) fn new(max: NonZeroUsize) -> Self {
        Self {
            max: max.get(),
            state: Mutex::new(State {
                groups: Vec::new(),
                last_ticket: Ticket(0),
            }),
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Leaves `id` with those of the runtime.
    pub(super) fn enter(self: &Arc<Self>, runtime: Id, id: T::Key) -> (Place<T>, Next<T>) {
        let (caller, answer) = oneshot::channel();
        let mut state = self.lock();
        let now = Instant::now();
        let ticket = state.next_ticket();
        let group = state.group(runtime);
        group.waiting.push(Waiting {
            ticket,
            since: now,
            id,
            caller,
        });
        let next = if group.waiting.len() >= self.max {
            let waiting = mem::take(&mut group.waiting);
            Next::Send(waiting, self.begins(&mut state, runtime, now))
        } else if group.flusher.is_some() {
            Next::Wait
        } else if group.waiting.len() == 1 && group.wait_until(now).is_none() {
            Next::Turn
        } else {
            let woken = Arc::default();
            group.flusher = Some(Arc::clone(&woken));
            Next::Flush(Flusher {
                queue: Arc::clone(self),
                runtime,
                woken: Some(woken),
            })
        };
        drop(state);
        let place = Place {
            queue: Arc::clone(self),
            runtime,
            ticket,
            answer: Some(answer),
        };
        (place, next)
    }

    /// A load begins on the caller's runtime; `None` outside of one.
    pub(super) fn begins_here(self: &Arc<Self>) -> Option<Running<T>> {
        let runtime = Handle::try_current().ok()?.id();
        let mut state = self.lock();
        Some(self.begins(&mut state, runtime, Instant::now()))
    }

    fn begins(self: &Arc<Self>, state: &mut State<T>, runtime: Id, now: Instant) -> Running<T> {
        let ticket = state.next_ticket();
        state.group(runtime).running.push_back((ticket, now));
        Running {
            queue: Arc::clone(self),
            runtime,
            ticket,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits and nothing is remembered.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().groups.is_empty()
    }
}

impl<T: CacheEntity> State<T> {
    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket.0 += 1;
        self.last_ticket
    }

    fn position(&self, runtime: Id) -> Option<usize> {
        let of_runtime = |group: &Group<T>| group.runtime == runtime;
        self.groups.iter().position(of_runtime)
    }

    fn group(&mut self, runtime: Id) -> &mut Group<T> {
        let place = self.position(runtime).unwrap_or_else(|| {
            self.groups.push(Group {
                runtime,
                waiting: Vec::new(),
                running: VecDeque::new(),
                flusher: None,
            });
            self.groups.len() - 1
        });
        &mut self.groups[place]
    }

    /// Changes a group, and forgets it if nothing is left of it.
    fn change<O>(&mut self, runtime: Id, change: impl FnOnce(&mut Group<T>) -> O) -> Option<O> {
        let place = self.position(runtime)?;
        let group = &mut self.groups[place];
        let changed = change(group);
        if group.waiting.is_empty() && group.running.is_empty() && group.flusher.is_none() {
            self.groups.swap_remove(place);
        }
        Some(changed)
    }
}

impl<T: CacheEntity> Group<T> {
    /// Until when the ids wait, unless the loads that are running end sooner; `None` if they need not
    /// wait.
    fn wait_until(&mut self, now: Instant) -> Option<Instant> {
        while let Some((_, began)) = self.running.front()
            && *began + PATIENCE <= now
        {
            self.running.pop_front();
        }
        let (_, began) = self.running.back()?;
        let asked = self.waiting.first()?.since;
        let until = asked.min(*began) + PATIENCE;
        (until > now).then_some(until)
    }
}

/// A caller's place in the queue, until it has been answered. Dropping it takes the id out again, if
/// it has not been sent.
pub(super) struct Place<T: CacheEntity> {
    queue: Arc<Queue<T>>,
    runtime: Id,
    ticket: Ticket,
    /// `None` once it has been answered or taken out.
    answer: Option<oneshot::Receiver<Answer<T>>>,
}

impl<T: CacheEntity> Place<T> {
    /// The answer; `None` if there will not be any.
    pub(super) async fn answer(mut self) -> Option<Answer<T>> {
        let answer = match &mut self.answer {
            Some(answer) => answer.await.ok(),
            None => None,
        };
        let answered = self.answer.take();
        drop(answered);
        answer
    }

    /// Takes the id out if no other one waits; the load that is running from now on is the caller's.
    pub(super) fn leave_if_alone(&mut self) -> Option<Running<T>> {
        let (waiting, running) = {
            let mut state = self.queue.lock();
            let alone = |group: &mut Group<T>| match &group.waiting[..] {
                [waiting] if waiting.ticket == self.ticket => group.waiting.pop(),
                _ => None,
            };
            let waiting = state.change(self.runtime, alone).flatten()?;
            let now = Instant::now();
            (waiting, self.queue.begins(&mut state, self.runtime, now))
        };
        // The drop of a key is foreign code, so it runs outside of the lock.
        drop(waiting);
        self.answer = None;
        Some(running)
    }
}

impl<T: CacheEntity> Drop for Place<T> {
    fn drop(&mut self) {
        if self.answer.is_none() {
            return;
        }
        let waiting = self.queue.lock().change(self.runtime, |group| {
            let own = |waiting: &Waiting<T>| waiting.ticket == self.ticket;
            let place = group.waiting.iter().position(own)?;
            Some(group.waiting.remove(place))
        });
        // Outside of the lock, as above.
        drop(waiting);
    }
}

/// A load that is running. Others wait for its end, which is its drop.
pub(super) struct Running<T: CacheEntity> {
    queue: Arc<Queue<T>>,
    runtime: Id,
    ticket: Ticket,
}

impl<T: CacheEntity> Drop for Running<T> {
    fn drop(&mut self) {
        let flusher = self.queue.lock().change(self.runtime, |group| {
            // The youngest decides how long the others wait.
            let youngest = group.running.back().map(|(load, _)| *load);
            group.running.retain(|(load, _)| *load != self.ticket);
            let flusher = group.flusher.clone();
            flusher.filter(|_| youngest == Some(self.ticket))
        });
        if let Some(woken) = flusher.flatten() {
            woken.notify_one();
        }
    }
}

/// Held by the task that is going to send the ids of a runtime. If the runtime drops it first, their
/// callers load them themselves.
pub(super) struct Flusher<T: CacheEntity> {
    queue: Arc<Queue<T>>,
    runtime: Id,
    /// `None` once it has taken the ids.
    woken: Option<Arc<Notify>>,
}

impl<T: CacheEntity> Flusher<T> {
    /// Waits until the ids are to be sent.
    pub(super) async fn due(&self) {
        let Some(woken) = &self.woken else { return };
        while let Some(until) = self.wait_until() {
            // Without a timer, no id waits.
            let Ok(timer) = timer::sleep(until, "a batch of loads") else {
                break;
            };
            let (mut timer, mut ended) = (pin!(timer), pin!(woken.notified()));
            poll_fn(|cx| match ended.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => timer.as_mut().poll(cx),
            })
            .await;
        }
        // Callers that the end of a load has woken may ask for more, and so may those on other threads.
        let begun = Instant::now();
        let mut waiting = 0;
        while self.waiting() > waiting && begun.elapsed() < GATHERS {
            waiting = self.waiting();
            behind_the_others().await;
        }
    }

    /// How many ids wait.
    fn waiting(&self) -> usize {
        let state = self.queue.lock();
        let group = state
            .groups
            .iter()
            .find(|group| group.runtime == self.runtime);
        group.map_or(0, |group| group.waiting.len())
    }

    fn wait_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.queue.lock();
        state.group(self.runtime).wait_until(now)
    }

    /// Takes the ids; `None` if there are none.
    pub(super) fn take(mut self) -> Option<(Vec<Waiting<T>>, Running<T>)> {
        self.woken = None;
        let mut state = self.queue.lock();
        let waiting = state.change(self.runtime, Group::leave)?;
        if waiting.is_empty() {
            return None;
        }
        let running = self.queue.begins(&mut state, self.runtime, Instant::now());
        Some((waiting, running))
    }
}

impl<T: CacheEntity> Group<T> {
    /// The flusher goes, with the ids.
    fn leave(&mut self) -> Vec<Waiting<T>> {
        self.flusher = None;
        mem::take(&mut self.waiting)
    }
}

impl<T: CacheEntity> Drop for Flusher<T> {
    fn drop(&mut self) {
        if self.woken.is_some() {
            let waiting = self.queue.lock().change(self.runtime, Group::leave);
            // Wakes the callers, outside of the lock.
            drop(waiting);
        }
    }
}
