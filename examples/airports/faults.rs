//! [`Faults`]: makes the database fail or hang on demand, for the tour and the tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// The switches on a repository's way to the database. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    switches: Arc<Switches>,
}

#[derive(Debug, Default)]
struct Switches {
    failing: AtomicBool,
    hold: Mutex<Option<Hold>>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    Read,
    Write,
}

#[derive(Debug)]
struct Hold {
    statement: Statement,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl Faults {
    /// Makes every statement fail from now on, or none.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.switches.failing.store(failing, Ordering::SeqCst);
    }

    /// Holds the next read after it has its row, or the next write after its commit, until it is
    /// released.
    pub(crate) fn hold_next(&self, statement: Statement) -> Held {
        let (reached_sender, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        *self.hold() = Some(Hold {
            statement,
            reached: reached_sender,
            released,
        });
        Held { reached, release }
    }

    /// The way in: fails like a pool without a free connection.
    pub(crate) fn before_statement(&self) -> Result<(), sqlx::Error> {
        if self.switches.failing.load(Ordering::SeqCst) {
            Err(sqlx::Error::PoolTimedOut)
        } else {
            Ok(())
        }
    }

    /// The way out, with the row read or the change committed.
    pub(crate) async fn after(&self, statement: Statement) {
        let hold = self.hold().take_if(|hold| hold.statement == statement);
        if let Some(hold) = hold {
            // If either end has been dropped, no caller waits for this statement.
            let _ = hold.reached.send(());
            let _ = hold.released.await;
        }
    }

    fn hold(&self) -> std::sync::MutexGuard<'_, Option<Hold>> {
        self.switches
            .hold
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement that waits on its way out. Dropping this releases it.
#[derive(Debug)]
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until a statement is being held; `false` if none comes within ten seconds.
    pub(crate) async fn reached(&mut self) -> bool {
        let reached = timeout(Duration::from_secs(10), &mut self.reached).await;
        reached.is_ok_and(|reached| reached.is_ok())
    }

    /// Lets the statement go on.
    pub(crate) fn release(self) {
        let _ = self.release.send(());
    }
}
