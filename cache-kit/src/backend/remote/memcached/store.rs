//! [`MemcachedStore`]: the bytes that one server keeps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Refusal;
use super::command::Claimed;
use super::config::{Address, MemcachedConfig};
use super::key::wire_key;
use super::lifetime::time_to_live;
use super::link::{Answered, Failure, Link};
use super::pool::{InOrder, Limits, Pool, UNDER_WAY};
use crate::answers::all_failed;
use crate::backend::remote::byte_store::{ByteStore, Claim, head};
use crate::backend::remote::scan::{ScanCursor, Scanned};
use crate::backend::{NodeInfo, NodeRole};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The bytes that one server of a [`MemcachedBackend`](super::MemcachedBackend) keeps.
pub struct MemcachedStore {
    pool: Pool,
    clock: Clock,
}

/// The number of an item, and the connection that it came from. A restarted server counts from 1
/// again, so the number is worthless on another connection. While a token is kept, its connection
/// is not idle.
#[derive(Debug)]
pub struct MemcachedToken {
    cas: u64,
    link: Arc<Link>,
    _held: Arc<()>,
}

impl MemcachedStore {
    pub(super) fn new(address: Address, config: &MemcachedConfig) -> Self {
        let limits = Limits {
            connections: config.max_connections(),
            connect: config.connect_deadline(),
            answer: config.encoded().operation_deadline,
        };
        Self {
            pool: Pool::new(address, limits),
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

    async fn link(&self) -> Result<Arc<Link>> {
        self.pool.link().await.map_err(|failure| self.said(failure))
    }

    async fn link_in_order(&self, key: &str) -> Result<(Arc<Link>, Arc<InOrder>)> {
        let link = self.pool.link_in_order(key).await;
        link.map_err(|failure| self.said(failure))
    }

    /// The error of a command that is tied to its connection. A second try would need the same
    /// connection, so it makes no sense.
    fn said_for_good(&self, failure: Failure) -> Error {
        match self.said(failure) {
            Error::ConnectionLost(text) => Error::BackendError(text),
            said => said,
        }
    }

    fn said_of_each<O>(&self, keys: usize, failure: Failure) -> Vec<Result<O>> {
        all_failed(keys, &self.said(failure))
    }

    fn said(&self, failure: Failure) -> Error {
        let address = self.pool.address();
        match failure {
            Failure::Unconnected(text) => {
                Error::BackendError(format!("memcached {address}: {text}"))
            }
            Failure::Lost(text) => Error::ConnectionLost(format!("memcached {address}: {text}")),
            Failure::Refused(Refusal::TooLarge) => Error::TooLarge(format!("memcached {address}")),
            Failure::Refused(refusal) => {
                Error::BackendRefused(format!("memcached {address}: {}", refusal.told()))
            }
            Failure::Unfit(text) => Error::BackendRefused(format!("memcached {address}: {text}")),
            Failure::Runtime(text) => Error::ConfigError(text.into()),
        }
    }
}

impl ByteStore for MemcachedStore {
    type Token = MemcachedToken;

    const NARROW_KEYS: bool = true;

    /// One batch leaves room for seven others, and delays only its own commands.
    const MAX_COMMANDS_IN_FLIGHT: usize = UNDER_WAY / 8;

    async fn admit(&self) -> Result<impl Send> {
        self.pool
            .admit()
            .await
            .map_err(|failure| self.said(failure))
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let link = self.link().await?;
        let value = link.value(&wire_key(key)).await;
        value.map_err(|failure| self.said(failure))
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let wire: Vec<_> = keys.iter().map(|key| wire_key(key)).collect();
        let values = match self.pool.link().await {
            Ok(link) => link.values(&wire).await,
            Err(failure) => Err(failure),
        };
        match values {
            Ok(values) => values.into_iter().map(Ok).collect(),
            Err(failure) => self.said_of_each(keys.len(), failure),
        }
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<MemcachedToken>> {
        let (key, ttl) = (wire_key(key), self.ttl(lifetime));
        let (link, in_order) = self.link_in_order(&key).await?;
        let held = link.hold();
        let claimed = link.claim(&key, placeholder, ttl, Some(in_order));
        let claimed = claimed.await.map_err(|failure| self.said(failure))?;
        let token = |cas| MemcachedToken {
            cas,
            link: Arc::clone(&link),
            _held: held,
        };
        Ok(match claimed {
            Claimed::Taken(cas) => Claim::Taken(token(cas)),
            Claimed::Standing(found) => Claim::Standing {
                head: head(&found.value).to_vec(),
                token: token(found.cas),
            },
        })
    }

    async fn compare_and_set(
        &self,
        key: &str,
        token: &MemcachedToken,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        if token.link.has_ended() {
            return Ok(false);
        }
        let (key, ttl) = (wire_key(key), lifetime.map(|lifetime| self.ttl(lifetime)));
        let swapped = token.link.compare_and_set(&key, token.cas, value, ttl);
        swapped.await.map_err(|failure| self.said_for_good(failure))
    }

    async fn compare_and_delete(&self, key: &str, token: &MemcachedToken) -> Result<bool> {
        if token.link.has_ended() {
            return Ok(false);
        }
        let key = wire_key(key);
        let removed = token.link.compare_and_delete(&key, token.cas);
        removed.await.map_err(|failure| self.said_for_good(failure))
    }

    async fn set(
        &self,
        key: &str,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<Option<MemcachedToken>> {
        let wire = wire_key(key);
        let (link, in_order) = self.link_in_order(&wire).await?;
        let held = link.hold();
        let set = link.set(&wire, value, self.ttl(lifetime), Some(in_order));
        match set.await {
            Ok(cas) => Ok(Some(MemcachedToken {
                cas,
                link: Arc::clone(&link),
                _held: held,
            })),
            // No memory for anything new, but deleting works.
            Err(Failure::Refused(_)) => {
                let deleted = link.delete(&wire).await;
                deleted.map(|_| None).map_err(|failure| self.said(failure))
            }
            Err(failure) => Err(self.said(failure)),
        }
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        if keys.is_empty() {
            return Vec::new();
        }
        let wire: Vec<_> = keys.iter().map(|key| wire_key(key)).collect();
        let deleted = match self.pool.link().await {
            Ok(link) => link.delete_each(&wire).await,
            Err(failure) => Err(failure),
        };
        match deleted {
            Ok(deleted) => {
                let said =
                    |each: Answered<bool>| each.map(|_| ()).map_err(|failure| self.said(failure));
                deleted.into_iter().map(said).collect()
            }
            Err(failure) => self.said_of_each(keys.len(), failure),
        }
    }

    async fn scan(&self, _: &str, _: Option<&ScanCursor>) -> Result<Scanned> {
        Err(Error::ConfigError(
            "memcached cannot list its keys: give the service another namespace, whose keys are new, and \
             let the old ones expire; or send `flush_all` to the servers, which drops everything"
                .into(),
        ))
    }

    async fn ping(&self) -> Result<()> {
        let link = self.link().await?;
        match link.ask_nothing().await {
            // A refusal shows that the server is alive.
            Ok(()) | Err(Failure::Refused(_)) => Ok(()),
            Err(failure) => Err(self.said(failure)),
        }
    }

    fn nodes(&self) -> Vec<NodeInfo> {
        vec![NodeInfo {
            number: Some(0),
            name: self.server().to_owned(),
            role: NodeRole::Primary,
        }]
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
