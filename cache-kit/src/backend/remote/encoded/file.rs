//! [`FileSettings`]: the settings of every remote backend, as a configuration file has them; and how
//! such a file is read.

use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::EncodedConfig;
use crate::backend::value::{Value, is_word};

/// The settings that every remote backend reads from its file. Flatten it into the struct of the
/// whole file, which refuses what is unknown.
#[derive(Debug, Default, Deserialize)]
pub(in crate::backend::remote) struct FileSettings {
    default_ttl_ms: Option<u64>,
    max_value_bytes: Option<usize>,
    store_proof: Option<bool>,
    lease_lifetime_ms: Option<u64>,
    operation_deadline_ms: Option<u64>,
    pending_invalidations: Option<usize>,
    refused_invalidations_ms: Option<u64>,
    breaker_failures: Option<u32>,
    breaker_first_pause_ms: Option<u64>,
    breaker_longest_pause_ms: Option<u64>,
}

impl FileSettings {
    /// `config` with the settings of the file. Each goes through its setter, which checks its bounds.
    pub(in crate::backend::remote) fn apply(self, mut config: EncodedConfig) -> EncodedConfig {
        let millis = Duration::from_millis;
        if let Some(ttl) = self.default_ttl_ms {
            config = config.with_default_ttl(millis(ttl));
        }
        if let Some(bytes) = self.max_value_bytes {
            config = config.with_max_value_bytes(bytes);
        }
        if let Some(proves) = self.store_proof {
            config = config.with_store_proof(proves);
        }
        if let Some(lifetime) = self.lease_lifetime_ms {
            config = config.with_lease_lifetime(millis(lifetime));
        }
        if let Some(deadline) = self.operation_deadline_ms {
            config = config.with_operation_deadline(millis(deadline));
        }
        if let Some(keys) = self.pending_invalidations {
            config = config.with_pending_invalidations(keys);
        }
        if let Some(patience) = self.refused_invalidations_ms {
            config = config.with_refused_invalidations(millis(patience));
        }
        if let Some(failures) = self.breaker_failures {
            config = config.with_breaker_failures(failures);
        }
        let default = &config.breaker;
        let first = self
            .breaker_first_pause_ms
            .map_or(default.first_pause, millis);
        let longest = self
            .breaker_longest_pause_ms
            .map_or(default.longest_pause, millis);
        config.with_breaker_pauses(first, longest)
    }
}

/// Reads the file of a remote backend. No error shows a value, as those of serde do: one in the wrong
/// place may be a password.
pub(in crate::backend::remote) fn read_file<'de, F: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<F, D::Error> {
    let Value::Map(settings) = Value::deserialize(deserializer)? else {
        return Err(D::Error::custom("the cache wants a map with a `url`"));
    };
    if settings.iter().any(|(name, _)| !is_word(name)) {
        return Err(D::Error::custom("unknown setting"));
    }
    F::deserialize(Value::Map(settings.clone())).map_err(|refused| {
        let said = refused.to_string();
        // A flattened struct does not know which of its settings is wrong.
        let wrong = settings.iter().find(|setting| !is_read::<F>(setting));
        let name = wrong.map(|(name, _)| format!("`{name}`"));
        D::Error::custom(match name.filter(|name| !said.contains(name)) {
            Some(name) => format!("{name}: {said}"),
            None => said,
        })
    })
}

/// Whether a file could have this setting. All but the `url` may be left out.
fn is_read<F: DeserializeOwned>(setting: &(String, Value)) -> bool {
    let mut file = vec![setting.clone()];
    if setting.0 != "url" {
        file.push(("url".into(), Value::Text(String::new())));
    }
    F::deserialize(Value::Map(file)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_every_setting() {
        let file = r#"{
            "default_ttl_ms": 1, "max_value_bytes": 2, "store_proof": false,
            "lease_lifetime_ms": 3, "operation_deadline_ms": 4, "pending_invalidations": 5,
            "refused_invalidations_ms": 6, "breaker_failures": 7,
            "breaker_first_pause_ms": 8, "breaker_longest_pause_ms": 9
        }"#;
        let millis = Duration::from_millis;
        let read = serde_json::from_str::<FileSettings>(file).unwrap();
        let written = EncodedConfig::new()
            .with_default_ttl(millis(1))
            .with_max_value_bytes(2)
            .with_store_proof(false)
            .with_lease_lifetime(millis(3))
            .with_operation_deadline(millis(4))
            .with_pending_invalidations(5)
            .with_refused_invalidations(millis(6))
            .with_breaker_failures(7)
            .with_breaker_pauses(millis(8), millis(9));
        assert_eq!(read.apply(EncodedConfig::new()), written);
    }

    #[test]
    fn an_empty_file_changes_nothing_and_extremes_are_cut_as_by_the_setters() {
        fn read(file: &str) -> FileSettings {
            serde_json::from_str(file).unwrap()
        }
        assert_eq!(read("{}").apply(EncodedConfig::new()), EncodedConfig::new());
        for extreme in [0, u64::MAX] {
            let file = format!(
                r#"{{ "lease_lifetime_ms": {extreme}, "operation_deadline_ms": {extreme},
                      "breaker_failures": 0 }}"#
            );
            let set = EncodedConfig::new()
                .with_lease_lifetime(Duration::from_millis(extreme))
                .with_operation_deadline(Duration::from_millis(extreme))
                .with_breaker_failures(0);
            assert_eq!(read(&file).apply(EncodedConfig::new()), set);
        }
    }
}
