//! [`MemcachedStore`]: the bytes that one server keeps.

use std::fmt;
use std::time::Duration;

use super::config::{Address, MemcachedConfig};
use super::key::wire_key;
use super::lifetime::time_to_live;
use super::pool::{Moment, Pool};
use super::wire::Claimed;
use crate::backend::bytes::{ByteStore, Claim, head};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The bytes that one server of a [`MemcachedBackend`](super::MemcachedBackend) keeps.
pub struct MemcachedStore {
    pool: Pool,
    clock: Clock,
}

/// The number of an item, and when it was told. The server begins again at 1 when it restarts, so it
/// is worth nothing on a connection that was opened later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemcachedToken {
    cas: u64,
    told: Moment,
}

impl MemcachedStore {
    pub(super) fn new(address: Address, config: &MemcachedConfig) -> Self {
        Self {
            pool: Pool::new(address, config.max_connections(), config.connect_deadline()),
            clock: Clock::system(),
        }
    }

    /// The server, as the configuration names it.
    pub fn server(&self) -> &str {
        self.pool.address().name()
    }

    fn ttl(&self, lifetime: Duration) -> u64 {
        time_to_live(lifetime, self.clock.now())
    }
}

impl ByteStore for MemcachedStore {
    type Token = MemcachedToken;

    const NARROW_KEYS: bool = true;

    /// A connection has one command under way, so each caller alone takes one of few.
    const LOOK_UPS_ALONE: usize = 4;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = wire_key(key);
        let mut lent = self.pool.any().await?;
        let value = lent.connection().value(&key).await;
        lent.settle(value, true)
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let wire: Vec<_> = keys.iter().map(|key| wire_key(key)).collect();
        let values = async {
            let mut lent = self.pool.any().await?;
            let values = lent.connection().values(&wire).await;
            lent.settle(values, true)
        };
        match values.await {
            Ok(values) => values.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<MemcachedToken>> {
        let (key, ttl) = (wire_key(key), self.ttl(lifetime));
        let mut lent = self.pool.any().await?;
        let told = self.pool.moment();
        let claimed = lent.connection().claim(&key, placeholder, ttl).await;
        Ok(match lent.settle(claimed, true)? {
            Claimed::Taken(cas) => Claim::Taken(MemcachedToken { cas, told }),
            Claimed::Standing(found) => Claim::Standing {
                head: head(&found.value).to_vec(),
                token: MemcachedToken {
                    cas: found.cas,
                    told,
                },
            },
        })
    }

    async fn swap(
        &self,
        key: &str,
        token: &MemcachedToken,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        let Some(mut lent) = self.pool.before(token.told).await? else {
            return Ok(false);
        };
        let (key, ttl) = (wire_key(key), lifetime.map(|it| self.ttl(it)));
        let swap = lent.connection().swap(&key, token.cas, value, ttl);
        let swapped = swap.await;
        lent.settle(swapped, false)
    }

    async fn remove(&self, key: &str, token: &MemcachedToken) -> Result<bool> {
        let Some(mut lent) = self.pool.before(token.told).await? else {
            return Ok(false);
        };
        let removed = lent.connection().remove(&wire_key(key), token.cas).await;
        lent.settle(removed, false)
    }

    async fn set(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<Option<MemcachedToken>> {
        let (wire, ttl) = (wire_key(key), self.ttl(lifetime));
        let mut lent = self.pool.any().await?;
        let told = self.pool.moment();
        let set = lent.connection().set(&wire, value, ttl).await;
        match lent.settle(set, true) {
            Ok(cas) => Ok(Some(MemcachedToken { cas, told })),
            // No memory for anything new, but deleting works.
            Err(Error::BackendRefused(_)) => self.delete(&[key]).await.map(|()| None),
            Err(error) => Err(error),
        }
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let deleted = self.delete(keys).await;
        keys.iter().map(|_| deleted.clone()).collect()
    }

    async fn ping(&self) -> Result<()> {
        self.delete(&["cache-kit:ping"]).await
    }
}

impl MemcachedStore {
    async fn delete(&self, keys: &[&str]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| wire_key(key)).collect();
        let mut lent = self.pool.any().await?;
        let deleted = lent.connection().delete_all(&keys).await;
        lent.settle(deleted, true)
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
