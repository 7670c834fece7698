//! [`MemorySettings`]: what a URL or a file may say of the backend in memory.

use std::time::Duration;

use super::parameters::MEMORY;
use crate::backend::value::Value;
use crate::backend::{Engine, InMemoryBackend};
use crate::error::{Error, Result};

/// Settings of the backend in memory. What is missing has the default of the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MemorySettings {
    pub(super) capacity: Option<u64>,
    pub(super) default_ttl: Option<Duration>,
    pub(super) engine: Option<Engine>,
    pub(super) time_to_idle: Option<Duration>,
}

impl MemorySettings {
    /// Reads settings whose types have been checked.
    ///
    /// # Errors
    /// A setting is unknown, wants a feature, or contradicts another one.
    pub(super) fn read(settings: Vec<(String, Value)>) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in settings {
            match (&*name, value) {
                ("capacity", Value::Number(entries)) => read.capacity = Some(entries),
                ("default_ttl_ms", Value::Number(ttl)) => {
                    read.default_ttl = Some(Duration::from_millis(ttl));
                }
                ("time_to_idle_ms", Value::Number(idle)) => {
                    read.time_to_idle = Some(Duration::from_millis(idle));
                }
                ("engine", Value::Text(word)) => read.engine = Some(engine(&word)?),
                _ => return Err(MEMORY.unknown_setting(&name)),
            }
        }
        if read.time_to_idle.is_some() {
            if cfg!(not(feature = "moka")) {
                return Err(wrong("time_to_idle needs the feature `moka` of cache-kit"));
            }
            if read.engine == Some(Engine::QuickCache) {
                return Err(wrong("time_to_idle needs the engine moka"));
            }
        }
        Ok(read)
    }

    pub(super) fn build(self) -> InMemoryBackend {
        let mut builder = InMemoryBackend::builder();
        if let Some(entries) = self.capacity {
            builder = builder.max_entries(entries);
        }
        if let Some(ttl) = self.default_ttl {
            builder = builder.default_ttl(ttl);
        }
        if let Some(engine) = self.engine {
            builder = builder.engine(engine);
        }
        #[cfg(feature = "moka")]
        if let Some(idle) = self.time_to_idle {
            builder = builder.time_to_idle(idle);
        }
        builder.build()
    }
}

fn engine(word: &str) -> Result<Engine> {
    match word {
        "quick_cache" => Ok(Engine::QuickCache),
        #[cfg(feature = "moka")]
        "moka" => Ok(Engine::Moka),
        #[cfg(not(feature = "moka"))]
        "moka" => Err(wrong("engine moka needs the feature `moka` of cache-kit")),
        _ => Err(wrong("engine is quick_cache or moka")),
    }
}

fn wrong(what: &str) -> Error {
    Error::ConfigError(format!("memory: {what}"))
}
