//! URLs and files: what is understood, and what is said about the rest.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is what a test is for"
)]

#[cfg(any(feature = "redis", feature = "memcached"))]
mod remote;

use std::time::Duration;

use proptest::prelude::*;

use super::config::Chosen;
use super::memory::MemorySettings;
use super::{AnyBackend, AnyConfig};
use crate::backend::{CacheBackend, Engine};
use crate::error::{Error, Result};

fn memory(config: Result<AnyConfig>) -> MemorySettings {
    match config.unwrap().chosen {
        Chosen::Memory(settings) => settings,
        #[allow(
            unreachable_patterns,
            reason = "a build with memory alone has one kind"
        )]
        other => panic!("{other:?}"),
    }
}

fn of_url(url: &str) -> MemorySettings {
    memory(AnyConfig::from_url(url))
}

fn file(text: &str) -> Result<AnyConfig, serde_json::Error> {
    serde_json::from_str(text)
}

fn refusal(url: &str) -> String {
    let error = AnyConfig::from_url(url).unwrap_err();
    assert!(matches!(error, Error::ConfigError(_)), "{url}: {error:?}");
    format!("{error} {error:?}")
}

const SECONDS: Duration = Duration::from_secs(1);

#[test]
fn memory_has_the_defaults_of_its_builder_and_every_setting_that_is_text() {
    let default = MemorySettings::default();
    for url in ["memory://", "memory://?", "MEMORY://"] {
        assert_eq!(of_url(url), default, "{url}");
    }
    assert_eq!(memory(Ok(AnyConfig::default())), default);
    let set = MemorySettings {
        capacity: Some(10_000),
        default_ttl: Some(300 * SECONDS),
        engine: Some(Engine::QuickCache),
        time_to_idle: None,
    };
    let url = "memory://?capacity=10000&ttl=5m&engine=quick_cache";
    assert_eq!(of_url(url), set);
    let text = r#"{ "url": "memory://", "capacity": 10000, "default_ttl_ms": 300000,
                    "engine": "quick_cache", "time_to_idle_ms": null }"#;
    assert_eq!(memory(Ok(file(text).unwrap())), set);
    // Half in the file, half in the URL.
    let text = r#"{ "engine": "quick_cache", "url": "memory://?ttl=5m", "capacity": 10000 }"#;
    assert_eq!(memory(Ok(file(text).unwrap())), set);
    let backend = AnyBackend::from_url(url).unwrap();
    assert_eq!(backend.default_ttl(), Some(300 * SECONDS));
}

#[cfg(feature = "moka")]
#[test]
fn entries_that_are_idle_are_for_moka() {
    let settings = of_url("memory://?time_to_idle=1h30m");
    assert_eq!(settings.time_to_idle, Some(5_400 * SECONDS));
    let settings = of_url("memory://?engine=moka&time_to_idle=1s");
    assert_eq!(settings.engine, Some(Engine::Moka));
    let said = refusal("memory://?time_to_idle=1s&engine=quick_cache");
    assert!(
        said.contains("time_to_idle needs the engine moka"),
        "{said}"
    );
}

#[cfg(not(feature = "moka"))]
#[test]
fn moka_names_its_feature() {
    for url in ["memory://?engine=moka", "memory://?time_to_idle=1s"] {
        let said = refusal(url);
        assert!(said.contains("needs the feature `moka`"), "{said}");
    }
}

#[test]
fn a_wrong_url_of_memory_names_the_parameter_and_says_what_is_allowed() {
    let all = "allowed: capacity, ttl, engine, time_to_idle";
    for (url, said) in [
        (
            "memory://?size=5",
            &*format!("unknown parameter `size`; {all}"),
        ),
        (
            "memory://?TTL=5m",
            &*format!("unknown parameter `TTL`; {all}"),
        ),
        (
            "memory://?operation_deadline=5m",
            "unknown parameter `operation_deadline`",
        ),
        ("memory://?=5", &*format!("unknown parameter; {all}")),
        ("memory://?ttl=5m&", "unknown parameter;"),
        ("memory://?ttl=5m&&capacity=1", "unknown parameter;"),
        (
            "memory://?ttl=5m;capacity=1",
            "`ttl` wants a duration above zero, as 500ms",
        ),
        ("memory://?ttl", "`ttl` wants a duration"),
        ("memory://?ttl=", "`ttl` wants a duration"),
        ("memory://?ttl=5", "`ttl` wants a duration"),
        ("memory://?ttl=0s", "`ttl` wants a duration above zero"),
        ("memory://?ttl=-5m", "`ttl` wants a duration"),
        ("memory://?ttl=5m&ttl=5m", "`ttl` is given twice"),
        ("memory://?capacity=", "`capacity` wants a whole number"),
        ("memory://?capacity=-1", "`capacity` wants a whole number"),
        ("memory://?capacity=+1", "`capacity` wants a whole number"),
        ("memory://?capacity=1e6", "`capacity` wants a whole number"),
        (
            "memory://?capacity=18446744073709551616",
            "`capacity` wants a whole number",
        ),
        ("memory://?engine=", "`engine` wants quick_cache or moka"),
        ("memory://?engine=Moka", "engine is quick_cache or moka"),
        ("memory://hunter2", "followed by parameters alone"),
        ("memory:///?ttl=5m", "followed by parameters alone"),
        ("memory://#hunter2", "followed by parameters alone"),
        ("memory:?ttl=5m", "followed by parameters alone"),
        (
            "memory",
            "unknown scheme; allowed: memory://, memcached://, redis://",
        ),
        ("memorys://", "unknown scheme; allowed: memory://"),
        ("", "it is empty; allowed: memory://"),
        (
            "memory://?namespace=hunter2",
            "`namespace` belongs to the service",
        ),
        (
            "redis://h?namespace=hunter2",
            "`namespace` belongs to the service",
        ),
        ("://", "unknown scheme"),
        ("hunter2", "unknown scheme"),
        ("http://:hunter2@h", "unknown scheme"),
    ] {
        let refused = refusal(url);
        assert!(refused.contains(said), "{url}: {refused}");
        assert!(!refused.contains("hunter2"), "{url}: {refused}");
    }
}

#[test]
fn a_wrong_file_names_the_setting_and_says_what_is_allowed() {
    for (text, said) in [
        (r#""memory://""#, "wants a map with a `url`"),
        ("{}", "missing field `url`"),
        (r#"{ "url": 4711 }"#, "`url` wants a text"),
        (
            r#"{ "url": "memory://", "ttl": 1 }"#,
            "unknown setting `ttl`; allowed: url, capacity, default_ttl_ms, engine, time_to_idle_ms",
        ),
        (
            r#"{ "url": "memory://", "url": "memory://" }"#,
            "unknown setting `url`",
        ),
        (
            r#"{ "url": "memory://", "capacity": "4711" }"#,
            "`capacity` wants a whole number",
        ),
        (
            r#"{ "url": "memory://", "default_ttl_ms": -4711 }"#,
            "`default_ttl_ms` wants a whole number of milliseconds",
        ),
        (
            r#"{ "url": "memory://", "engine": { "4711": 4711 } }"#,
            "`engine` wants quick_cache or moka",
        ),
        (
            r#"{ "url": "memory://", "capacity": 1, "capacity": 4711 }"#,
            "`capacity` is set twice",
        ),
        (
            r#"{ "url": "memory://?ttl=5m", "default_ttl_ms": 4711 }"#,
            "`default_ttl_ms` is set in the url, too",
        ),
        (r#"{ "url": "4711://" }"#, "unknown scheme"),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains("4711"), "{text}: {error}");
    }
}

#[cfg(any(not(feature = "redis"), not(feature = "memcached")))]
#[test]
fn a_backend_that_is_not_built_in_names_its_feature() {
    for (feature, urls) in [
        (
            "redis",
            ["redis://h", "rediss://h", "valkey://h", "unix:///s"],
        ),
        (
            "memcached",
            [
                "memcached://h",
                "memcached:///s",
                "memcacheds://h",
                "memcached://",
            ],
        ),
    ] {
        let built = match feature {
            "redis" => cfg!(feature = "redis"),
            _ => cfg!(feature = "memcached"),
        };
        for url in urls.iter().filter(|_| !built) {
            let said = refusal(url);
            let wants = format!("enable the feature `{feature}` of cache-kit");
            assert!(said.contains(&wants), "{said}");
        }
    }
}

/// Texts that look like URLs.
fn urls() -> impl Strategy<Value = String> {
    let scheme = "(memory|redis|rediss|redis[+]cluster|valkey|unix|memcached|http|)";
    let address = "(://|:///|:|//|)[a-c@:/,\\[\\]0-9.%-]{0,12}";
    let name = "(ttl|capacity|engine|time_to_idle|operation_deadline|store_proof|protocol|db\
                |max_connections|breaker_failures|[a-zé=%]{0,6})";
    let value = "(=[0-9]{0,21}(ms|s|m|h|d|µ)?[0-9]{0,3}(ms|s)?|=moka|=quick_cache|=true|=é|)";
    let query = format!("([?]({name}{value}&?){{0,4}})?([#?]{{1,2}}.{{0,6}})?");
    proptest::string::string_regex(&format!("{scheme}{address}{query}")).unwrap()
}

proptest! {
    /// Whatever is accepted can be built, and nothing panics.
    #[test]
    fn any_text_is_a_backend_or_a_setting_that_is_wrong(url in urls()) {
        match AnyBackend::from_url(&url) {
            Ok(backend) => prop_assert!(backend.health().available),
            Err(error) => prop_assert!(matches!(error, Error::ConfigError(_)), "{url}: {error:?}"),
        }
    }

    #[test]
    fn no_text_at_all_panics(url in ".{0,40}", settings in ".{0,40}") {
        let _ = AnyBackend::from_url(&url);
        for scheme in ["memory://?", "redis://h?", "memcached://h?"] {
            if let Err(error) = AnyBackend::from_url(&format!("{scheme}{settings}")) {
                prop_assert!(matches!(error, Error::ConfigError(_)), "{settings}: {error:?}");
            }
        }
    }

    /// A duration that is written is the one that is read.
    #[test]
    fn durations_survive(millis in 1_u64..) {
        let settings = of_url(&format!("memory://?ttl={millis}ms"));
        prop_assert_eq!(settings.default_ttl, Some(Duration::from_millis(millis)));
    }
}
