//! Tools for the tests of a service (feature `testing`, for `[dev-dependencies]`).
//!
//! | tool | what a test does with it |
//! |---|---|
//! | [`FakeRepository`] | lets the database fail, hang, be slow or panic; changes rows behind the cache; counts queries |
//! | [`CountingRepository`] | counts the queries of a repository of yours |
//! | [`FaultyBackend`] | lets the cache fail |
//! | [`ManualClock`] | lets entries expire |
//! | [`RecordingMetrics`] | asks afterwards what the cache did |
//! | [`seed`] | makes random decisions repeatable |
//! | `assert_storable` (with feature `codec`) | asks whether an entity can be read back from a remote store |
//! | [`conformance`] | for the tests of a backend: a function for each behaviour |
//!
//! # Which clock decides what
//!
//! | decided by | what |
//! |---|---|
//! | the service's clock, a [`ManualClock`] in a test | how old and how fresh an entry is; how long a load took, for `refresh_ahead`; the pause after a load that failed |
//! | tokio's time, which a test pauses | every deadline and every wait: of loads, `answer_within`, retries, of commands to a store, `drain`, [`FakeRepository::slow`] |
//! | the machine | durations that a listener hears, how long the breaker of a remote store is open, moka's time to idle, and expiry on a server |
//!
//! Paused time (`#[tokio::test(start_paused = true)]` or `tokio::time::pause`, with tokio's feature
//! `test-util`) stands still while a task can run. When all of them wait, it jumps to the next timer: a
//! deadline of 8 s passes at once. A manual clock only ever moves by [`ManualClock::advance`]. So
//! where a test is about both, it moves both:
//!
//! ```
//! # use cache_kit::CacheEntity;
//! # #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! # struct User { id: u64, name: String }
//! # impl CacheEntity for User {
//! #     type Key = u64;
//! #     fn cache_key(&self) -> u64 { self.id }
//! #     fn cache_prefix() -> &'static str { "user" }
//! # }
//! use std::time::Duration;
//!
//! use cache_kit::backend::InMemoryBackend;
//! use cache_kit::testing::{FakeRepository, ManualClock};
//! use cache_kit::{CacheExpander, CacheService, ErrorKind, TtlPolicy};
//!
//! const SECOND: Duration = Duration::from_secs(1);
//!
//! async fn pass(time: &ManualClock, duration: Duration) {
//!     time.advance(duration);
//!     tokio::time::advance(duration).await;
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cache_kit::Result<()> {
//! tokio::time::pause(); // `#[tokio::test(start_paused = true)]` in a test
//! let time = ManualClock::new();
//! let expander = CacheExpander::new(InMemoryBackend::new())
//!     .with_clock(time.clock())
//!     .with_ttl_policy(TtlPolicy::Fixed(60 * SECOND));
//! let table = FakeRepository::new();
//! table.insert(User { id: 1, name: "Ann".to_string() });
//! let users = CacheService::from(expander).repository(table.clone());
//! users.get(&1).await?;
//!
//! pass(&time, 59 * SECOND).await; // fresh
//! let (_, outcome) = users.get(&1).with_outcome().await?;
//! assert_eq!((outcome.age(), table.queries()), (Some(59 * SECOND), 1));
//!
//! pass(&time, SECOND).await; // expired
//! users.get(&1).await?;
//! assert_eq!(table.queries(), 2);
//!
//! table.hang();
//! pass(&time, 60 * SECOND).await; // expired again, and the deadline of the load passes at once
//! let late = users.get(&1).deadline(5 * SECOND).await;
//! assert!(late.is_err_and(|error| error.kind() == ErrorKind::Timeout));
//! # Ok(())
//! # }
//! ```
//!
//! With a real server, do not pause: while a task waits for a socket, paused time jumps to the next
//! deadline.

mod clock;
pub mod conformance;
mod counting;
mod fake;
mod faulty;
mod random;
mod recording;
#[cfg(feature = "codec")]
mod storable;

#[cfg(test)]
mod user;

pub use clock::ManualClock;
pub use counting::CountingRepository;
pub use fake::FakeRepository;
pub use faulty::{Fault, FaultyBackend};
pub use random::seed;
pub use recording::{Heard, HeardCounts, RecordingMetrics};
#[cfg(feature = "codec")]
pub use storable::assert_storable;
