//! [`Rooms`]: bounds what is under way of large values, so that they do not wait for each other inside
//! their deadlines.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::timer::within;
use crate::backend::remote::UNDER_WAY_BYTES;
use crate::error::{Error, Result};

/// From this size on, in bytes, a command needs room. Smaller ones are bounded by their number.
const LARGE: usize = 4 << 10;

/// Room is counted in units of this many bytes.
const UNIT: usize = 1 << 10;

/// What is under way to and from each node, by its number. Each runtime has connections of its own, and room
/// of its own, since another one might stand still.
#[derive(Default)]
pub(super) struct Rooms(Mutex<HashMap<Way, Arc<Semaphore>>>);

/// From a runtime, if there is one, to a node.
type Way = (Option<Id>, usize);

/// A part of a node's room, until it is dropped. A small command has none.
pub(in super::super) type Room = Option<OwnedSemaphorePermit>;

impl Rooms {
    pub(super) fn is_needed(bytes: usize) -> bool {
        bytes >= LARGE
    }

    /// Waits until there is room for `bytes` on the way to or from a node, first come, first served. A
    /// value larger than all room gets all of it.
    ///
    /// # Errors
    /// [`Error::Timeout`] if there is none within `limit`. It says nothing of the node.
    pub(super) async fn enter(&self, node: usize, bytes: usize, limit: Duration) -> Result<Room> {
        let units = u32::try_from(bytes.min(UNDER_WAY_BYTES) / UNIT).unwrap_or(u32::MAX);
        let room = self.of(node);
        if let Ok(at_once) = Arc::clone(&room).try_acquire_many_owned(units) {
            return Ok(Some(at_once));
        }
        let entered = async { Ok(room.acquire_many_owned(units).await.ok()) };
        let entered = within(limit, pin!(entered)).await;
        entered.map_err(|error| match error {
            Error::Timeout(_) => Error::Timeout(format!(
                "not sent: other large values were under way for {limit:?}"
            )),
            other => other,
        })
    }

    fn of(&self, node: usize) -> Arc<Semaphore> {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(&(runtime, node)) {
            return Arc::clone(room);
        }
        // Of runtimes that have ended, nothing is under way.
        rooms.retain(|_, room| Arc::strong_count(room) > 1);
        let room = Arc::new(Semaphore::new(UNDER_WAY_BYTES / UNIT));
        rooms.insert((runtime, node), Arc::clone(&room));
        room
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_node_has_so_much_room_and_no_more() {
        let rooms = Rooms::default();
        let half = rooms.enter(3, UNDER_WAY_BYTES / 2, LIMIT).await;
        let other = rooms.enter(3, UNDER_WAY_BYTES / 2, LIMIT).await;
        assert!(half.is_ok() && other.is_ok());
        let full = rooms.enter(3, LARGE, LIMIT).await;
        assert!(matches!(full, Err(Error::Timeout(_))), "{full:?}");
        assert!(rooms.enter(2, LARGE, LIMIT).await.is_ok(), "another node");
        drop(half);
        assert!(rooms.enter(3, LARGE, LIMIT).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_is_larger_than_the_room_gets_all_of_it() {
        let rooms = Rooms::default();
        let all = rooms.enter(0, usize::MAX, LIMIT).await;
        assert!(all.is_ok());
        assert!(rooms.enter(0, LARGE, LIMIT).await.is_err());
        drop(all);
        assert!(rooms.enter(0, LARGE, LIMIT).await.is_ok());
    }

    #[test]
    fn each_runtime_has_room_of_its_own() {
        let rooms = Rooms::default();
        let all = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            runtime.map(|runtime| {
                let all = runtime.block_on(rooms.enter(0, UNDER_WAY_BYTES, LIMIT));
                (runtime, all)
            })
        };
        let (first, second) = (all(), all());
        assert!(matches!(
            (&first, &second),
            (Ok((_, Ok(_))), Ok((_, Ok(_))))
        ));
        drop((first, second));
        let third = all();
        assert!(matches!(third, Ok((_, Ok(_)))));
        let left = rooms.0.lock().map(|rooms| rooms.len());
        assert!(matches!(left, Ok(1)), "{left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_takes_no_room() {
        let rooms = Rooms::default();
        let all = rooms.enter(0, UNDER_WAY_BYTES, LIMIT).await;
        let given_up = tokio::time::timeout(LIMIT / 2, rooms.enter(0, LARGE, LIMIT)).await;
        assert!(given_up.is_err());
        drop(all);
        assert!(rooms.enter(0, UNDER_WAY_BYTES, LIMIT).await.is_ok());
    }
}
