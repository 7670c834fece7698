//! [`AnyBackend`]: the backend that a URL or a configuration chooses when the program starts.

mod config;
mod delegate;
mod duration;
mod lease;
mod memory;
mod parameters;
#[cfg(feature = "codec")]
mod store;
#[cfg(all(test, not(cache_kit_model)))]
mod tests;

use std::fmt;

#[cfg(feature = "memcached")]
use super::MemcachedBackend;
#[cfg(feature = "redis")]
use super::RedisBackend;
#[cfg(feature = "codec")]
use super::remote::Limits;
#[cfg(feature = "codec")]
use super::{ByteStore, Encoded, EncodedConfig};
use super::{CacheBackend, Health, InMemoryBackend};
use crate::error::Result;
use crate::trace::chosen;

pub use config::AnyConfig;
pub use lease::AnyLease;

use config::Chosen;
#[cfg(feature = "codec")]
use store::AnyStore;

/// A backend that is chosen at run time: in memory, Redis, Memcached, or a store of your own.
///
/// A service holds a `CacheService<AnyBackend>` and takes the rest from one variable of its
/// environment. Clones share their entries, as those of the chosen backend do, and every promise of
/// that backend holds. A hit in memory still allocates nothing.
///
/// ```
/// use cache_kit::CacheService;
/// use cache_kit::backend::AnyBackend;
///
/// struct App {
///     cache: CacheService<AnyBackend>,
/// }
///
/// # fn main() -> cache_kit::Result<()> {
/// let url = std::env::var("CACHE_URL").unwrap_or_else(|_| "memory://?ttl=5m".to_string());
/// # let url = "memory://?ttl=5m";
/// let app = App { cache: CacheService::new(AnyBackend::from_url(&url)?) };
/// assert!(app.cache.health().available);
/// # Ok(())
/// # }
/// ```
///
/// # URLs
///
/// | URL | backend | feature |
/// |---|---|---|
/// | `memory://` | [`InMemoryBackend`] | |
/// | `redis://[user][:password@]host[:port][/db]`, `unix:///path`, and the other forms that `RedisConfig::from_url` takes: `redis+cluster://`, `redis+sentinel://`, each with `rediss`, and with `valkey` for `redis` | `RedisBackend` | `redis`, and `redis-cluster`, `redis-sentinel`, `redis-tls` |
/// | `memcached://host[:port][,host[:port]…]`, `memcached:///path` | `MemcachedBackend` | `memcached` |
///
/// Parameters follow a question mark, with `&` between them: `memory://?capacity=10000&ttl=5m`. Each
/// may be given once. A duration is a number with `d`, `h`, `m`, `s` or `ms`, the larger unit first:
/// `500ms`, `30s`, `1h30m`. Zero is none.
///
/// | parameter | value | of |
/// |---|---|---|
/// | `ttl` | duration: how long an entry lives if nothing else says so | all |
/// | `capacity` | how many entries are kept | memory |
/// | `engine` | `quick_cache`, or `moka` with that feature | memory |
/// | `time_to_idle` | duration: entries that are not looked up for so long are dropped, by moka | memory |
/// | `operation_deadline` | duration | remote |
/// | `connect_deadline` | duration | remote |
/// | `lease_lifetime` | duration | remote |
/// | `max_value_bytes` | bytes | remote |
/// | `store_proof` | `true` or `false` | remote |
/// | `pending_invalidations` | number of keys | remote |
/// | `refused_invalidations` | duration | remote |
/// | `breaker_failures` | number | remote |
/// | `breaker_first_pause`, `breaker_longest_pause` | duration | remote |
/// | `max_connections` | number for each runtime and server | Memcached |
///
/// Redis has further ones: see `RedisConfig::from_url`. Defaults and bounds are those of the setters of the
/// same names: of [`InMemoryBuilder`](super::InMemoryBuilder), of `EncodedConfig`, and of the
/// configuration of each store. A value out of bounds is clamped as by the setter.
///
/// # A backend of your own
///
/// `AnyBackend::custom` takes a `ByteStore` (feature `codec`). It cannot take a
/// [`CacheBackend`](super::CacheBackend) of yours: its methods are generic over the entity, so there
/// is no `dyn CacheBackend`. Write an enum over your backend and this one, or make your service
/// generic.
///
/// # Readiness
///
/// [`health`](Self::health) is what this process knows without asking; [`ping`](Self::ping) asks now.
/// A readiness probe that says whether the *cache* answers is a route whose handler awaits
/// `cache.ping()`, and answers 200 for `Ok` and 503, with the text of the error, for
/// `Err`. In Axum:
///
/// ```text
/// async fn ready(State(app): State<App>) -> Result<&'static str, (StatusCode, String)> {
///     let answered = app.cache.ping().await;
///     answered.map(|()| "ready").map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
/// }
/// ```
///
/// Think twice before you take instances out of service because their cache is away: reads are
/// answered from the repository, and all instances would go at once.
#[derive(Clone)]
pub struct AnyBackend(Inner);

#[derive(Clone)]
enum Inner {
    Memory(InMemoryBackend),
    #[cfg(feature = "redis")]
    Redis(RedisBackend),
    #[cfg(feature = "memcached")]
    Memcached(MemcachedBackend),
    #[cfg(feature = "codec")]
    Custom(Encoded<AnyStore>),
}

/// Asks the chosen backend.
macro_rules! each {
    ($any:expr, $inner:ident => $call:expr) => {
        match &$any.0 {
            Inner::Memory($inner) => $call,
            #[cfg(feature = "redis")]
            Inner::Redis($inner) => $call,
            #[cfg(feature = "memcached")]
            Inner::Memcached($inner) => $call,
            #[cfg(feature = "codec")]
            Inner::Custom($inner) => $call,
        }
    };
}
use each;

impl AnyBackend {
    /// The backend that `url` names. A remote one connects at its first use, so that a service starts
    /// while it is down.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError): it names the parameter or the feature and
    /// says what is allowed. It does not repeat the URL, which may contain a password.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::new(AnyConfig::from_url(url)?)
    }

    /// The backend that `config` describes. A remote one connects at its first use. A line of the log,
    /// at level INFO, says which it is.
    ///
    /// # Errors
    /// [`Error::ConfigError`](crate::Error::ConfigError) if the configuration makes no sense.
    pub fn new(config: AnyConfig) -> Result<Self> {
        let backend: Self = match config.chosen {
            Chosen::Memory(settings) => settings.build().into(),
            #[cfg(feature = "redis")]
            Chosen::Redis(config) => RedisBackend::new(*config)?.into(),
            #[cfg(feature = "memcached")]
            Chosen::Memcached(config) => MemcachedBackend::new(*config)?.into(),
        };
        chosen(backend.kind(), &backend.health().nodes);
        Ok(backend)
    }

    /// A store of your own, whose type is erased. What is stored, and every promise, is the same as
    /// with [`Encoded::with_config`]; a command costs an allocation or two more.
    ///
    /// Keep a handle to the store if you need it later: this backend does not give it back.
    #[cfg(feature = "codec")]
    pub fn custom<S: ByteStore>(store: S, config: EncodedConfig) -> Self {
        let store = Encoded::with_limits(AnyStore::new(store), Limits::of::<S>(), config);
        Self(Inner::Custom(store))
    }

    /// Which kind of backend it is: `memory`, `redis`, `memcached` or `custom`; for logs and labels.
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Inner::Memory(_) => "memory",
            #[cfg(feature = "redis")]
            Inner::Redis(_) => "redis",
            #[cfg(feature = "memcached")]
            Inner::Memcached(_) => "memcached",
            #[cfg(feature = "codec")]
            Inner::Custom(_) => "custom",
        }
    }

    /// The backend in memory, if it is one: for its statistics, or to clear it.
    pub fn as_memory(&self) -> Option<&InMemoryBackend> {
        match &self.0 {
            Inner::Memory(memory) => Some(memory),
            #[allow(
                unreachable_patterns,
                reason = "a build with memory alone has one kind"
            )]
            _ => None,
        }
    }

    /// The backend over Redis, if it is one.
    #[cfg(feature = "redis")]
    pub fn as_redis(&self) -> Option<&RedisBackend> {
        match &self.0 {
            Inner::Redis(redis) => Some(redis),
            _ => None,
        }
    }

    /// The backend over Memcached, if it is one.
    #[cfg(feature = "memcached")]
    pub fn as_memcached(&self) -> Option<&MemcachedBackend> {
        match &self.0 {
            Inner::Memcached(memcached) => Some(memcached),
            _ => None,
        }
    }

    /// How the store is doing, as this process sees it, without asking it. Memory is always
    /// available.
    pub fn health(&self) -> Health {
        CacheBackend::health(self).unwrap_or_default()
    }

    /// Asks the store now whether it answers, as `Encoded::ping` and
    /// `MemcachedBackend::ping` do. Memory answers at once, and needs no runtime.
    ///
    /// # Errors
    /// What the store failed with, or [`Error::Timeout`](crate::Error::Timeout) after the deadline of
    /// an operation.
    ///
    /// # Cancellation
    /// It may be dropped at any await.
    pub async fn ping(&self) -> Result<()> {
        CacheBackend::ping(self).await
    }
}

impl From<InMemoryBackend> for AnyBackend {
    fn from(memory: InMemoryBackend) -> Self {
        Self(Inner::Memory(memory))
    }
}

#[cfg(feature = "redis")]
impl From<RedisBackend> for AnyBackend {
    fn from(redis: RedisBackend) -> Self {
        Self(Inner::Redis(redis))
    }
}

#[cfg(feature = "memcached")]
impl From<MemcachedBackend> for AnyBackend {
    fn from(memcached: MemcachedBackend) -> Self {
        Self(Inner::Memcached(memcached))
    }
}

impl fmt::Debug for AnyBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(self, inner => f.debug_tuple("AnyBackend").field(inner).finish())
    }
}
