//! [`Driver`]: the task of a connection. It sends the commands that callers leave with the
//! [`Link`], and hands out the answers.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::answer::parse;
use super::expected::{After, Expected, unasked};
use super::link::{Failure, KEPT_BUFFER, Link, Taken};
use super::socket::{Reading, Writing};
use crate::backend::remote::drive::drive;

/// How many bytes are read at a time, at least.
const CHUNK: usize = 16 << 10;

/// How often it reads before it yields to the runtime.
const READS_AT_ONCE: usize = 32;

/// The shortest and longest time between two checks of its connection.
const TICK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

pub(super) struct Driver {
    link: Arc<Link>,
    reading: Reading,
    writing: Arc<Writing>,
    /// The answers that are expected next, each with the tick at which it was taken over.
    expected: VecDeque<(u32, Expected)>,
    /// What is being sent, and how much of it has been.
    out: Vec<u8>,
    sent: usize,
    input: Input,
    watch: Watch,
    /// Whether the server has answered at all. Until then, the connecting task decides how long to
    /// wait.
    greeted: bool,
}

/// What has been read: `bytes[begin..end]` has not been parsed yet.
struct Input {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

/// Checks the connection while something is in flight, or the connection is held.
struct Watch {
    timer: Pin<Box<Sleep>>,
    running: bool,
    tick: Duration,
    /// How many ticks have passed.
    now: u32,
    /// After how many ticks an answer is not waited for any longer.
    patience: u32,
    /// Whether anything was sent or read since the last tick.
    stirred: bool,
}

/// How the connection ends.
type End = Failure;

impl Driver {
    /// A driver that closes the connection when the server owes an answer for longer than
    /// `patience`.
    pub(super) fn new(
        link: Arc<Link>,
        reading: Reading,
        writing: Arc<Writing>,
        patience: Duration,
    ) -> Self {
        Self {
            link,
            reading,
            writing,
            expected: VecDeque::new(),
            out: Vec::new(),
            sent: 0,
            input: Input {
                bytes: Vec::new(),
                begin: 0,
                end: 0,
            },
            watch: Watch::new(patience),
            greeted: false,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self) {
        let link = Arc::clone(&self.link);
        let polled = poll_fn(|cx| self.poll(cx));
        let end = drive(polled, || link.is_shared()).await;
        link.end(end);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Taken { left, end } = self.link.take(cx.waker());
        if let Some(end) = end {
            return Poll::Ready(end);
        }
        self.expect(left);
        let ended = self.write(cx).and_then(|()| self.read(cx));
        match ended.and_then(|()| self.watch_over(cx)) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    fn expect(&mut self, left: Vec<Expected>) {
        let now = self.watch.now;
        self.watch.stirred |= !left.is_empty();
        self.expected
            .extend(left.into_iter().map(|expected| (now, expected)));
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            if self.sent == self.out.len() {
                self.out = self.link.exchange(mem::take(&mut self.out));
                self.sent = 0;
                if self.out.is_empty() {
                    return Ok(());
                }
            }
            let written = self.writing.write(&self.out[self.sent..]).map_err(lost)?;
            self.sent += written;
            self.link.has_sent(written);
            if written == 0 {
                match self.writing.poll_room(cx) {
                    Poll::Ready(room) => room.map_err(lost)?,
                    Poll::Pending => return Ok(()),
                }
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        for _ in 0..READS_AT_ONCE {
            let room = self.input.room();
            match self.reading.poll_read(cx, room) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(Failure::Lost("closed by the server".into())),
                Poll::Ready(Ok(read)) => self.input.end += read,
                Poll::Ready(Err(error)) => return Err(lost(error)),
            }
            self.watch.stirred = true;
            self.understand()?;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Hands out all answers that have been read.
    fn understand(&mut self) -> Result<(), End> {
        loop {
            let bytes = &self.input.bytes[self.input.begin..self.input.end];
            let parsed = match parse(bytes) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => break,
                Err(_) => return Err(none_of_memcached()),
            };
            if self.expected.is_empty() {
                // Sent and answered since this poll began.
                let left = self.link.take_left();
                let now = self.watch.now;
                self.expected
                    .extend(left.into_iter().map(|expected| (now, expected)));
            }
            let Some((since, expected)) = self.expected.pop_front() else {
                return Err(unasked());
            };
            let length = parsed.length;
            self.greeted = true;
            match expected.take(parsed.answer)? {
                After::More(more) => self.expected.push_front((since, more)),
                After::Complete => self.link.has_answered(),
                After::Next => {}
            }
            self.input.begin += length;
        }
        self.input.tidy();
        Ok(())
    }

    /// Ends the connection if an answer is overdue, and keeps a held one from looking idle.
    fn watch_over(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if !self.watch.running {
            self.watch.start();
        }
        while self.watch.timer.as_mut().poll(cx).is_ready() {
            self.watch.now += 1;
            let overdue = self.watch.now.saturating_sub(self.watch.patience);
            let front = self.expected.front();
            if self.greeted && front.is_some_and(|(since, _)| *since < overdue) {
                return Err(Failure::Lost("the server has stopped answering".into()));
            }
            let quiet = !mem::take(&mut self.watch.stirred) && self.expected.is_empty();
            if quiet && self.link.is_held() {
                // So that the server does not find the connection idle (its option idle_timeout).
                drop(self.link.ask_nothing());
            } else if quiet && self.link.rest() {
                self.watch.running = false;
                return Ok(());
            }
            self.watch.start();
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let end = "the runtime of the connection has ended";
        self.link.end(Failure::Lost(end.into()));
    }
}

fn none_of_memcached() -> End {
    Failure::Lost(
        "the answer is not one of memcached's protocol: is this a memcached server?".into(),
    )
}

fn lost(error: std::io::Error) -> End {
    Failure::Lost(error.to_string())
}

impl Input {
    /// Where to read to.
    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() - self.end < CHUNK / 2 {
            if self.begin > 0 {
                self.bytes.copy_within(self.begin..self.end, 0);
                self.end -= self.begin;
                self.begin = 0;
            }
            if self.bytes.len() - self.end < CHUNK / 2 {
                let larger = (2 * self.bytes.len()).max(CHUNK);
                self.bytes.resize(larger, 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    fn tidy(&mut self) {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
            if self.bytes.len() > KEPT_BUFFER {
                self.bytes = Vec::new();
            }
        }
    }
}

impl Watch {
    fn new(patience: Duration) -> Self {
        let tick = (patience / 4).clamp(TICK.0, TICK.1);
        let ticks = patience.as_nanos().div_ceil(tick.as_nanos());
        Self {
            timer: Box::pin(sleep(tick)),
            running: false,
            tick,
            now: 0,
            patience: u32::try_from(ticks).unwrap_or(u32::MAX),
            stirred: false,
        }
    }

    fn start(&mut self) {
        self.running = true;
        self.timer.as_mut().reset(Instant::now() + self.tick);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::io::Read;
    use std::pin::pin;
    use std::task::Waker;

    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_several_callers_leave_goes_out_behind_the_others_and_together() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut theirs = theirs.into_std().unwrap();
        ours.writable().await.unwrap();
        let (reading, writing) = ours.into_split();
        let writing = Arc::new(Writing::Unix(writing));
        let link = Arc::new(Link::new(Arc::clone(&writing)));
        let reading = Reading::Unix(reading);
        let driver = Driver::new(Arc::clone(&link), reading, writing, Duration::MAX);
        let mut driver = pin!(driver.run());
        let mut poll = || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(driver.as_mut().poll(&mut cx).is_pending());
        };
        let mut arrived = || {
            let mut bytes = [0; 64];
            theirs.read(&mut bytes).unwrap_or(0)
        };

        // The first one is sent without the driver.
        let one = link.ask_nothing();
        assert_eq!(arrived(), "mn\r\n".len());
        let others = [link.ask_nothing(), link.ask_nothing()];
        poll();
        assert_eq!(arrived(), 0);
        poll();
        assert_eq!(arrived(), 2 * "mn\r\n".len());
        drop((one, others));
    }
}
