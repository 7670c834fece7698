//! Dropping all keys that begin alike: a walk over the keys of the store, in steps of bounded size.
//!
//! What stood before the walk began is listed by it, since the key of an entry and of a lease stays in
//! the store until it is dropped or replaced. What is put under a key after the walk has dropped it
//! comes of a lease that was taken after that, and so of a row that was read after that.

use super::Encoded;
use crate::backend::remote::byte_store::ByteStore;
use crate::error::Result;
use crate::lease::{Cleared, Invalidated};

impl<S: ByteStore> Encoded<S> {
    /// Drops all keys that begin with `beginning`, and notes in `cleared` what has been dropped so far.
    ///
    /// # Errors
    /// A step has failed. The keys of the steps before are dropped.
    pub(in crate::backend::remote) async fn clear_into(
        &self,
        beginning: &str,
        cleared: &mut Cleared,
    ) -> Result<()> {
        let mut cursor = None;
        loop {
            let step = self.store.scan(beginning, cursor.as_ref()).await?;
            let mut keys: Vec<&str> = step.keys.iter().map(String::as_str).collect();
            // A store may list more than it was asked for.
            keys.retain(|key| key.starts_with(beginning));
            keys.sort_unstable();
            keys.dedup();
            let mut failed = None;
            for answer in self.store.invalidate_many(&keys).await {
                match answer {
                    Ok(Invalidated::Pending) => cleared.invalidated = Invalidated::Pending,
                    Ok(_) => cleared.keys += 1,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            match (failed, step.next) {
                (Some(error), _) => return Err(error),
                (None, None) => return Ok(()),
                (None, next) => cursor = next,
            }
        }
    }
}
