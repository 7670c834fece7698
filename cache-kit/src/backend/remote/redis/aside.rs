//! [`Aside`]: what may block, such as reading a file.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::error::{Error, Result};

/// Runs what may block outside of the runtime's tasks, one call after the other. So one that hangs
/// costs one thread, and not one for every attempt to connect. Clones share this.
#[derive(Clone, Default)]
pub(super) struct Aside(Arc<Mutex<()>>);

impl Aside {
    /// Waits for the calls before, and runs `work`. A caller that goes away leaves it running.
    pub(super) async fn run<O: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<O> + Send + 'static,
    ) -> Result<O> {
        let turn = Arc::clone(&self.0).lock_owned().await;
        let working = tokio::task::spawn_blocking(move || {
            // It ends with the work, not with the caller.
            let _turn = turn;
            work()
        });
        working.await.unwrap_or_else(|_| {
            Err(Error::BackendError(format!(
                "redis: asking for {what} panicked, or its runtime has ended"
            )))
        })
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one at a time")
    }
}
