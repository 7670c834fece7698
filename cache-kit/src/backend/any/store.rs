//! [`AnyStore`]: a [`ByteStore`] of the user's without its type.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::backend::{ByteStore, Claim, NodeInfo, ScanCursor, Scanned};
use crate::error::{Error, Result};

type Boxed<'a, O> = Pin<Box<dyn Future<Output = O> + Send + 'a>>;

/// A store behind a pointer. Each command costs an allocation or two, which is little beside its
/// round trip.
///
/// Its constants are those of the trait; the limits of the store itself are passed to
/// [`Encoded::with_limits`](crate::backend::Encoded).
pub(super) struct AnyStore(Box<dyn DynStore>);

/// A token of the store, whose type only the store knows.
pub(super) struct AnyToken(Box<dyn Any + Send + Sync>);

impl AnyStore {
    pub(super) fn new(store: impl ByteStore) -> Self {
        Self(Box::new(store))
    }
}

impl AnyToken {
    fn of<K: Send + Sync + 'static>(token: K) -> Self {
        Self(Box::new(token))
    }

    fn as_of<K: 'static>(&self) -> Result<&K> {
        let token = self.0.downcast_ref();
        token.ok_or_else(|| Error::BackendError("the token is of another store".into()))
    }
}

/// [`ByteStore`] as an object: the same commands, boxed. It has no default methods, so that a
/// command which a store overrides reaches that store.
trait DynStore: Send + Sync + 'static {
    fn admit(&self) -> Boxed<'_, Result<Box<dyn Send + '_>>>;

    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>>;

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> Boxed<'a, Vec<Result<Option<Vec<u8>>>>>;

    fn claim<'a>(
        &'a self,
        key: &'a str,
        placeholder: &'a [u8],
        lifetime: Duration,
    ) -> Boxed<'a, Result<Claim<AnyToken>>>;

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a AnyToken,
        value: &'a [u8],
        lifetime: Option<Duration>,
    ) -> Boxed<'a, Result<bool>>;

    fn compare_and_delete<'a>(
        &'a self,
        key: &'a str,
        token: &'a AnyToken,
    ) -> Boxed<'a, Result<bool>>;

    fn set<'a>(
        &'a self,
        key: &'a str,
        value: &'a [u8],
        lifetime: Duration,
    ) -> Boxed<'a, Result<Option<AnyToken>>>;

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> Boxed<'a, Vec<Result<()>>>;

    fn scan<'a>(
        &'a self,
        beginning: &'a str,
        cursor: Option<&'a ScanCursor>,
    ) -> Boxed<'a, Result<Scanned>>;

    fn ping(&self) -> Boxed<'_, Result<()>>;

    fn node_of(&self, key: &str) -> usize;

    fn ping_node(&self, node: usize) -> Boxed<'_, Result<()>>;

    fn nodes(&self) -> Vec<NodeInfo>;
}

impl<S: ByteStore> DynStore for S {
    fn admit(&self) -> Boxed<'_, Result<Box<dyn Send + '_>>> {
        Box::pin(async move {
            let room: Box<dyn Send + '_> = Box::new(ByteStore::admit(self).await?);
            Ok(room)
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>> {
        Box::pin(ByteStore::get(self, key))
    }

    fn get_many<'a>(&'a self, keys: &'a [&'a str]) -> Boxed<'a, Vec<Result<Option<Vec<u8>>>>> {
        Box::pin(ByteStore::get_many(self, keys))
    }

    fn claim<'a>(
        &'a self,
        key: &'a str,
        placeholder: &'a [u8],
        lifetime: Duration,
    ) -> Boxed<'a, Result<Claim<AnyToken>>> {
        Box::pin(async move {
            let claim = ByteStore::claim(self, key, placeholder, lifetime).await?;
            Ok(match claim {
                Claim::Taken(token) => Claim::Taken(AnyToken::of(token)),
                Claim::Standing { head, token } => Claim::Standing {
                    head,
                    token: AnyToken::of(token),
                },
            })
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a AnyToken,
        value: &'a [u8],
        lifetime: Option<Duration>,
    ) -> Boxed<'a, Result<bool>> {
        Box::pin(async move {
            ByteStore::compare_and_set(self, key, token.as_of()?, value, lifetime).await
        })
    }

    fn compare_and_delete<'a>(
        &'a self,
        key: &'a str,
        token: &'a AnyToken,
    ) -> Boxed<'a, Result<bool>> {
        Box::pin(async move { ByteStore::compare_and_delete(self, key, token.as_of()?).await })
    }

    fn set<'a>(
        &'a self,
        key: &'a str,
        value: &'a [u8],
        lifetime: Duration,
    ) -> Boxed<'a, Result<Option<AnyToken>>> {
        Box::pin(async move {
            let token = ByteStore::set(self, key, value, lifetime).await?;
            Ok(token.map(AnyToken::of))
        })
    }

    fn delete_many<'a>(&'a self, keys: &'a [&'a str]) -> Boxed<'a, Vec<Result<()>>> {
        Box::pin(ByteStore::delete_many(self, keys))
    }

    fn scan<'a>(
        &'a self,
        beginning: &'a str,
        cursor: Option<&'a ScanCursor>,
    ) -> Boxed<'a, Result<Scanned>> {
        Box::pin(ByteStore::scan(self, beginning, cursor))
    }

    fn ping(&self) -> Boxed<'_, Result<()>> {
        Box::pin(ByteStore::ping(self))
    }

    fn node_of(&self, key: &str) -> usize {
        ByteStore::node_of(self, key)
    }

    fn ping_node(&self, node: usize) -> Boxed<'_, Result<()>> {
        Box::pin(ByteStore::ping_node(self, node))
    }

    fn nodes(&self) -> Vec<NodeInfo> {
        ByteStore::nodes(self)
    }
}

#[deny(clippy::missing_trait_methods)]
impl ByteStore for AnyStore {
    type Token = AnyToken;

    // Not used: see `AnyStore`.
    const NARROW_KEYS: bool = false;
    const MAX_SINGLE_GETS: usize = 16;
    const MAX_KEYS_PER_COMMAND: usize = 256;
    const MAX_COMMANDS_IN_FLIGHT: usize = 1_024;

    async fn admit(&self) -> Result<impl Send> {
        self.0.admit().await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.get(key).await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        self.0.get_many(keys).await
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<AnyToken>> {
        self.0.claim(key, placeholder, lifetime).await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        token: &AnyToken,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        self.0.compare_and_set(key, token, value, lifetime).await
    }

    async fn compare_and_delete(&self, key: &str, token: &AnyToken) -> Result<bool> {
        self.0.compare_and_delete(key, token).await
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<Option<AnyToken>> {
        self.0.set(key, value, lifetime).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        self.0.delete_many(keys).await
    }

    async fn scan(&self, beginning: &str, cursor: Option<&ScanCursor>) -> Result<Scanned> {
        self.0.scan(beginning, cursor).await
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    fn node_of(&self, key: &str) -> usize {
        self.0.node_of(key)
    }

    async fn ping_node(&self, node: usize) -> Result<()> {
        self.0.ping_node(node).await
    }

    fn nodes(&self) -> Vec<NodeInfo> {
        self.0.nodes()
    }
}

impl fmt::Debug for AnyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyToken").finish_non_exhaustive()
    }
}
