//! [`Demoted`]: a server that is not to be used, and how it proves that it may be used again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::RedisResult;

use super::connection::Link;
use super::said::said_of;
use crate::error::{Error, Result};

/// How often callers try a server that is not to be used.
const PAUSE: Duration = Duration::from_millis(500);

/// A server that turned out not to keep all keys and take writes.
pub(super) struct Demoted {
    /// A key that it refused.
    key: Arc<str>,
    /// The error of every command until it has proved to take this key.
    error: Error,
    /// When a caller tried last. Not a flag, since a caller may go away before it knows.
    tried: Option<Instant>,
}

impl Demoted {
    pub(super) fn new(key: &str, error: Error) -> Self {
        Self {
            key: key.into(),
            error,
            tried: None,
        }
    }

    pub(super) fn key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    /// The key, for one caller in each pause, which is to try it. The error for the others.
    pub(super) fn turn(&mut self) -> Result<Arc<str>> {
        if self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return Err(self.error.clone());
        }
        self.tried = Some(Instant::now());
        Ok(self.key())
    }
}

/// Finds out whether a server that was a replica takes writes. The key is one of ours, whose
/// deletion or store the server refused.
pub(super) async fn prove(link: &Link, key: &str) -> Result<()> {
    let mut connection = link.apart().await?;
    let deleted: RedisResult<()> = ::redis::cmd("DEL")
        .arg(key)
        .query_async(&mut connection)
        .await;
    match deleted.map_err(|error| said_of(&error, "DEL")) {
        Ok(()) | Err(Error::BackendRefused(_)) => {
            link.promoted();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_in_a_pause_tries_it() {
        let mut demoted = Demoted::new("k", Error::BackendError("a replica".into()));
        assert_eq!(&*demoted.turn().unwrap(), "k");
        let error = demoted.turn().unwrap_err();
        assert_eq!(error.to_string(), demoted.error.to_string());
        // The one that tried may be gone.
        demoted.tried = Instant::now().checked_sub(PAUSE);
        assert!(demoted.turn().is_ok() && demoted.turn().is_err());
    }
}
