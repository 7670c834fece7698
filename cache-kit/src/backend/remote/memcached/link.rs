//! [`Link`]: one connection, which carries the commands of many callers at a time.
//!
//! A caller leaves its command and waits for the answer; a task of the connection's runtime, the
//! [`Driver`](super::driver::Driver), sends it and hands out the answers. So a caller that goes
//! away, or is not polled, delays no other; its answer is read and dropped.
//!
//! A server answers in the order of the commands. Even so, every answer must carry the mark of its
//! command; otherwise the connection is closed, because an answer that comes twice would be taken
//! for the next one. Only `get` has no marks. It is sent for look-ups of many keys, where it costs
//! half as much as meta commands, and always after a command with a mark.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::{Notify, oneshot};

use super::answer::Refusal;
use super::expected::{Expected, Kept, Keys, Reply, Values};
use super::socket::Writing;

/// How many unsent bytes there may be before further commands have to wait.
const UNSENT: usize = 1 << 20;

/// An outgoing buffer that grew larger than this is not kept.
pub(super) const KEPT_BUFFER: usize = 256 << 10;

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no connection: nothing was sent.
    Unconnected(String),
    /// The connection was lost. Whether the command was done is unknown.
    Lost(String),
    /// The server refused the command.
    Refused(Refusal),
    /// The configuration of the server does not allow it.
    Unfit(&'static str),
    /// The configuration of the runtime does not allow it.
    Runtime(&'static str),
}

pub(super) type Answered<O> = Result<O, Failure>;

/// A connection as its callers see it.
pub(super) struct Link {
    state: Mutex<State>,
    ended: AtomicBool,
    /// Commands without an answer.
    under_way: AtomicUsize,
    /// Bytes that have not been sent.
    unsent: AtomicUsize,
    /// Signals that bytes have been sent, or that the connection has ended.
    sent: Notify,
    /// Held where the connection must stay open while nothing is in flight.
    held: Arc<()>,
}

struct State {
    /// What callers have left to send.
    out: Vec<u8>,
    /// The expected answers to the commands that callers have left; the driver takes them.
    left: Vec<Expected>,
    /// The last mark that was given.
    mark: u64,
    /// Whether the driver has bytes that come before `out`.
    writing: bool,
    /// Whether the driver has a timer running.
    watched: bool,
    driver: Option<Waker>,
    socket: Result<Arc<Writing>, Failure>,
}

/// What the driver takes from its link.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) left: Vec<Expected>,
    /// Why the connection must end.
    pub(super) end: Option<Failure>,
}

impl Link {
    pub(super) fn new(socket: Arc<Writing>) -> Self {
        Self {
            state: Mutex::new(State {
                out: Vec::new(),
                left: Vec::new(),
                mark: 0,
                writing: false,
                watched: false,
                driver: None,
                socket: Ok(socket),
            }),
            ended: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            sent: Notify::new(),
            held: Arc::new(()),
        }
    }

    /// Sends the command that `write` writes for a mark.
    pub(super) fn ask(
        &self,
        kept: Kept,
        write: impl FnOnce(&mut Vec<u8>, u64),
    ) -> impl Future<Output = Answered<Reply>> + Send {
        let (to, answer) = oneshot::channel();
        self.leave(|state| {
            let mark = state.next_mark();
            write(&mut state.out, mark);
            state.left.push(Expected::One {
                mark,
                to,
                _kept: kept,
            });
        });
        async move { self.answer(answer).await? }
    }

    /// Sends `count` commands, which `write` writes for the marks from a first one on.
    pub(super) fn ask_several(
        &self,
        kept: Kept,
        count: usize,
        write: impl FnOnce(&mut Vec<u8>, u64),
    ) -> impl Future<Output = Answered<Vec<Answered<Reply>>>> + Send {
        let (to, answer) = oneshot::channel();
        self.leave(|state| {
            let mark = state.mark + 1;
            state.mark += count as u64;
            write(&mut state.out, mark);
            state.left.push(Expected::Several {
                mark,
                left: count,
                replies: Vec::with_capacity(count),
                to,
                kept,
            });
        });
        self.answer(answer)
    }

    /// Asks for the values of `keys`; there is at least one.
    pub(super) fn ask_items<'k>(
        &self,
        keys: impl ExactSizeIterator<Item = &'k str>,
    ) -> impl Future<Output = Answered<Values>> + Send {
        let (to, answer) = oneshot::channel();
        let count = keys.len();
        self.leave(|state| {
            let mark = state.next_mark();
            super::command::marked_nothing(&mut state.out, mark);
            state.left.push(Expected::Mark(mark));
            state.out.extend_from_slice(b"get");
            let begin = state.out.len();
            for key in keys {
                state.out.push(b' ');
                state.out.extend_from_slice(key.as_bytes());
            }
            let keys = Keys::of(&state.out[begin..]);
            state.out.extend_from_slice(b"\r\n");
            state.left.push(Expected::Items {
                keys,
                values: Vec::with_capacity(count),
                to,
            });
        });
        async move { self.answer(answer).await? }
    }

    /// Finds out whether the server answers. Touches no key.
    pub(super) fn ask_nothing(&self) -> impl Future<Output = Answered<()>> + Send {
        let (to, answer) = oneshot::channel();
        self.leave(|state| {
            state.out.extend_from_slice(b"mn\r\n");
            state.left.push(Expected::Nothing(to));
        });
        async move { self.answer(answer).await? }
    }

    /// Leaves a command with the driver. If nothing else is in flight it is sent at once, and the
    /// driver only reads its answer.
    fn leave(&self, command: impl FnOnce(&mut State)) {
        let (driver, written) = {
            let mut state = self.lock();
            if state.socket.is_err() {
                // This drops what `command` would have put in, and that is an answer, too.
                return;
            }
            let alone = !state.writing && state.out.is_empty();
            let before = state.out.len();
            command(&mut state);
            self.unsent
                .fetch_add(state.out.len() - before, Ordering::Relaxed);
            let others = self.under_way.fetch_add(1, Ordering::Relaxed);
            let written = if alone && others == 0 {
                state.send_at_once()
            } else {
                0
            };
            let driver = if state.out.is_empty() && state.watched {
                None
            } else {
                state.driver.take()
            };
            (driver, written)
        };
        self.has_sent(written);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    async fn answer<O>(&self, answer: oneshot::Receiver<O>) -> Answered<O> {
        answer.await.map_err(|_| self.failure())
    }

    /// Why it has ended.
    fn failure(&self) -> Failure {
        let failure = self.lock().socket.as_ref().err().cloned();
        failure.unwrap_or_else(|| Failure::Lost("the connection is lost".into()))
    }

    /// Keeps the connection open while nothing is in flight.
    pub(super) fn hold(&self) -> Arc<()> {
        Arc::clone(&self.held)
    }

    pub(super) fn is_held(&self) -> bool {
        Arc::strong_count(&self.held) > 1
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether several commands are in flight.
    pub(super) fn is_shared(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 1
    }

    /// How much is in flight.
    pub(super) fn load(&self) -> usize {
        /// This many bytes take as long to send as one command.
        const BYTES: usize = 16 << 10;
        let unsent = self.unsent.load(Ordering::Relaxed);
        self.under_way.load(Ordering::Relaxed) + unsent / BYTES
    }

    /// Waits until there is room for more to be sent.
    pub(super) async fn room(&self) {
        while self.unsent.load(Ordering::Relaxed) >= UNSENT {
            let mut sent = std::pin::pin!(self.sent.notified());
            sent.as_mut().enable();
            if self.unsent.load(Ordering::Relaxed) < UNSENT || self.has_ended() {
                return;
            }
            sent.await;
        }
    }

    /// Ends the connection, if it has not ended, and tells all waiters why.
    pub(super) fn end(&self, failure: Failure) {
        let dropped = {
            let mut state = self.lock();
            let socket = match &state.socket {
                Ok(_) => std::mem::replace(&mut state.socket, Err(failure)).ok(),
                Err(_) => None,
            };
            self.ended.store(true, Ordering::Release);
            state.out = Vec::new();
            (std::mem::take(&mut state.left), state.driver.take(), socket)
        };
        let (left, driver, socket) = dropped;
        drop((left, socket));
        if let Some(driver) = driver {
            driver.wake();
        }
        self.sent.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's side.
impl Link {
    /// Takes what callers have left. From now on `driver` is woken for more, and has a timer
    /// running.
    pub(super) fn take(&self, driver: &Waker) -> Taken {
        let (taken, replaced) = {
            let mut state = self.lock();
            let replaced = match &state.driver {
                Some(known) if known.will_wake(driver) => None,
                _ => state.driver.replace(driver.clone()),
            };
            state.watched = true;
            let taken = Taken {
                left: std::mem::take(&mut state.left),
                end: state.socket.as_ref().err().cloned(),
            };
            (taken, replaced)
        };
        // This is foreign code, so it runs outside of the lock.
        drop(replaced);
        taken
    }

    /// Notes that the driver has no timer from now on; `false` if it needs one.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.lock();
        state.watched = !(state.left.is_empty() && state.out.is_empty());
        !state.watched
    }

    /// Takes the expectations that were added since the last [`take`](Self::take).
    pub(super) fn take_left(&self) -> Vec<Expected> {
        std::mem::take(&mut self.lock().left)
    }

    /// Exchanges a buffer that has been sent for the next one; an empty one means that there is
    /// nothing more to send.
    pub(super) fn exchange(&self, mut sent: Vec<u8>) -> Vec<u8> {
        if sent.capacity() > KEPT_BUFFER {
            sent = Vec::new();
        }
        sent.clear();
        let mut state = self.lock();
        let out = std::mem::replace(&mut state.out, sent);
        state.writing = !out.is_empty();
        out
    }

    pub(super) fn has_sent(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        if before >= UNSENT && before - bytes < UNSENT {
            self.sent.notify_waiters();
        }
    }

    pub(super) fn has_answered(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn next_mark(&mut self) -> u64 {
        self.mark += 1;
        self.mark
    }

    /// Sends what the socket has room for, and says how many bytes.
    fn send_at_once(&mut self) -> usize {
        // The driver will meet the same error and handle it.
        let Ok(Ok(written)) = self.socket.as_ref().map(|socket| socket.write(&self.out)) else {
            return 0;
        };
        self.out.drain(..written);
        written
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("under_way", &self.under_way)
            .field("unsent", &self.unsent)
            .field("held", &self.is_held())
            .finish_non_exhaustive()
    }
}
