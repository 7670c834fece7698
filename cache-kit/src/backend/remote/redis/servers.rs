//! [`Servers`]: which server keeps a key.

use std::fmt;
use std::sync::Arc;

use super::RedisConfig;
use super::connection::Link;
use super::ping::ping;
use super::session::Session;
use crate::error::Result;

/// The servers of a store.
pub(super) enum Servers {
    One(Arc<Link>),
}

impl Servers {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self::One(Arc::new(Link::new(config)?)))
    }

    /// A connection to the server that keeps `key`.
    pub(super) async fn session(&self, key: &str) -> Result<Session<'_>> {
        let _ = key;
        match self {
            Self::One(link) => {
                let usable = link.connection().await?;
                Ok(Session::new(self, Arc::clone(link), usable))
            }
        }
    }
}

impl Servers {
    /// Asks every server for an answer.
    pub(super) async fn ping(&self) -> Result<()> {
        match self {
            Self::One(link) => ping(link).await,
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(link) => link.fmt(f),
        }
    }
}
