//! [`AnyConfig`]: which backend, and its settings, from a URL or a configuration file.

#[cfg(any(feature = "redis", feature = "memcached"))]
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::memory::MemorySettings;
#[cfg(feature = "memcached")]
use super::parameters::MEMCACHED;
use super::parameters::MEMORY;
#[cfg(feature = "redis")]
use super::parameters::REDIS;
#[cfg(feature = "memcached")]
use crate::backend::MemcachedConfig;
#[cfg(feature = "redis")]
use crate::backend::RedisConfig;
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::backend::value::Refused;
use crate::backend::value::Value;
use crate::error::{Error, Result};

/// Which backend to use, and how. `Debug` hides passwords.
///
/// It can be read from a configuration file of any self-describing format (JSON, TOML, YAML). `url`
/// chooses the backend; the other settings are those of its own configuration, so a file that is
/// written for `RedisConfig` or `MemcachedConfig` is read unchanged. Durations are in milliseconds.
/// Memory has `capacity`, `default_ttl_ms`, `engine` and `time_to_idle_ms`.
///
/// The URL may have the [parameters](super::AnyBackend#urls) of its backend, too. A setting that is
/// in both is an error.
///
/// ```
/// use cache_kit::backend::{AnyBackend, AnyConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: AnyConfig = serde_json::from_str(
///     r#"{ "url": "memory://", "capacity": 10000, "default_ttl_ms": 300000 }"#,
/// )?;
/// let backend = AnyBackend::new(config)?;
/// assert_eq!(backend.kind(), "memory");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AnyConfig {
    pub(super) chosen: Chosen,
}

#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Memory(MemorySettings),
    #[cfg(feature = "redis")]
    Redis(Box<RedisConfig>),
    #[cfg(feature = "memcached")]
    Memcached(Box<MemcachedConfig>),
}

/// In memory, with its defaults: `memory://`.
impl Default for AnyConfig {
    fn default() -> Self {
        Self {
            chosen: Chosen::Memory(MemorySettings::default()),
        }
    }
}

/// A URL in its parts, none of which is checked.
struct Parts<'u> {
    scheme: String,
    /// From the colon to the question mark.
    address: &'u str,
    query: &'u str,
    fragment: Option<&'u str>,
}

impl AnyConfig {
    /// The backend that `url` names: see [`AnyBackend`](super::AnyBackend#urls).
    ///
    /// # Errors
    /// [`Error::ConfigError`]: it names the parameter or the feature and says what is allowed. It
    /// does not repeat the URL, which may contain a password.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::read(url, Vec::new())
    }

    /// The backend that `url` names, with the `settings` of a file.
    fn read(url: &str, settings: Vec<(String, Value)>) -> Result<Self> {
        let parts = Parts::of(url);
        if parts.has("namespace") {
            return Err(wrong(
                "`namespace` belongs to the service and not to its backend: set it with \
                 `CacheExpander::with_namespace`",
            ));
        }
        let chosen = match &*parts.scheme {
            "memory" => Chosen::Memory(memory(&parts, settings)?),
            #[cfg(feature = "redis")]
            scheme if is_redis(scheme) => Chosen::Redis(Box::new(redis(&parts, settings)?)),
            #[cfg(not(feature = "redis"))]
            scheme if is_redis(scheme) => return Err(needs("redis")),
            #[cfg(feature = "memcached")]
            scheme if is_memcached(scheme) => {
                Chosen::Memcached(Box::new(memcached(&parts, settings)?))
            }
            #[cfg(not(feature = "memcached"))]
            scheme if is_memcached(scheme) => return Err(needs("memcached")),
            _ if url.is_empty() => {
                return Err(wrong(&format!("it is empty; allowed: {SCHEMES}")));
            }
            // The scheme is not repeated: a text without one may be a password.
            _ => return Err(wrong(&format!("unknown scheme; allowed: {SCHEMES}"))),
        };
        Ok(Self { chosen })
    }
}

const SCHEMES: &str =
    "memory://, memcached://, redis://, valkey:// and their forms such as rediss://, unix://";

/// The forms of Redis. Which of them exist is for `RedisConfig` to say.
fn is_redis(scheme: &str) -> bool {
    scheme.starts_with("redis") || scheme.starts_with("valkey") || scheme == "unix"
}

fn is_memcached(scheme: &str) -> bool {
    scheme.starts_with("memcached")
}

fn memory(parts: &Parts<'_>, mut settings: Vec<(String, Value)>) -> Result<MemorySettings> {
    if parts.address != "//" || parts.fragment.is_some() {
        return Err(wrong(
            "memory:// is followed by parameters alone, as in memory://?capacity=10000&ttl=5m",
        ));
    }
    MEMORY.check(&mut settings)?;
    let (of_url, _) = MEMORY.of_query(parts.query)?;
    MEMORY.merge(&mut settings, of_url)?;
    MemorySettings::read(settings)
}

#[cfg(feature = "redis")]
fn redis(parts: &Parts<'_>, mut settings: Vec<(String, Value)>) -> Result<RedisConfig> {
    REDIS.check(&mut settings)?;
    let (of_url, left) = REDIS.of_query(parts.query)?;
    REDIS.merge(&mut settings, of_url)?;
    let url = parts.url(&left);
    remote(RedisConfig::from_url, url, settings).map_err(|error| match error {
        // It knows of its own parameters only.
        Error::ConfigError(what) if !left.is_empty() => Error::ConfigError(format!(
            "{what}; parameters of every remote store: {}",
            REDIS.names()
        )),
        error => error,
    })
}

#[cfg(feature = "memcached")]
fn memcached(parts: &Parts<'_>, mut settings: Vec<(String, Value)>) -> Result<MemcachedConfig> {
    MEMCACHED.check(&mut settings)?;
    let (of_url, left) = MEMCACHED.of_query(parts.query)?;
    MEMCACHED.merge(&mut settings, of_url)?;
    remote(MemcachedConfig::from_url, parts.url(&left), settings)
}

/// A store's own configuration, read from `settings` as if they stood in its file.
#[cfg(any(feature = "redis", feature = "memcached"))]
fn remote<C: serde::de::DeserializeOwned>(
    from_url: fn(&str) -> Result<C>,
    url: String,
    mut settings: Vec<(String, Value)>,
) -> Result<C> {
    if settings.is_empty() {
        return from_url(&url);
    }
    settings.push(("url".into(), Value::Text(url.clone())));
    let file = MapDeserializer::new(settings.into_iter());
    // What is wrong with the URL alone is said in the words of `from_url`. It is not asked first, since
    // a file may have what a URL lacks.
    C::deserialize(file).or_else(|refused: Refused| from_url(&url).and(Err(refused.into())))
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Self {
        let (before, fragment) = match url.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (url, None),
        };
        let (before, query) = before.split_once('?').unwrap_or((before, ""));
        let (scheme, address) = before.split_once(':').unwrap_or(("", before));
        Self {
            scheme: scheme.to_ascii_lowercase(),
            address,
            query,
            fragment,
        }
    }

    /// Whether there is a parameter of this name. A question mark may belong to a password, too.
    fn has(&self, name: &str) -> bool {
        let parts = self
            .query
            .split('&')
            .filter_map(|part| part.split_once('='));
        !self.query.contains('@') && parts.into_iter().any(|(of, _)| of == name)
    }

    /// The URL with another query.
    #[cfg(any(feature = "redis", feature = "memcached"))]
    fn url(&self, query: &str) -> String {
        let mut url = format!("{}:{}", self.scheme, self.address);
        for (mark, part) in [('?', Some(query)), ('#', self.fragment)] {
            if let Some(part) = part.filter(|part| mark == '#' || !part.is_empty()) {
                url.push(mark);
                url.push_str(part);
            }
        }
        url
    }
}

impl<'de> Deserialize<'de> for AnyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Map(mut settings) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("the cache wants a map with a `url`"));
        };
        let place = settings.iter().position(|(name, _)| name == "url");
        let Some((_, url)) = place.map(|place| settings.remove(place)) else {
            return Err(D::Error::missing_field("url"));
        };
        let Value::Text(url) = url else {
            return Err(D::Error::custom("`url` wants a text"));
        };
        Self::read(&url, settings).map_err(D::Error::custom)
    }
}

#[cfg(any(not(feature = "redis"), not(feature = "memcached")))]
fn needs(feature: &str) -> Error {
    wrong(&format!(
        "{feature} is not in this build: enable the feature `{feature}` of cache-kit"
    ))
}

fn wrong(what: &str) -> Error {
    Error::ConfigError(format!("cache url: {what}"))
}
