//! What remote stores have in common, and what is left to the configuration of each.

use super::*;

/// All settings of every remote store, as parameters and as a file.
const EVERY: (&str, &str) = (
    "ttl=1s&operation_deadline=2s&connect_deadline=3s&lease_lifetime=4s&max_value_bytes=5\
     &store_proof=false&pending_invalidations=6&refused_invalidations=7s&breaker_failures=8\
     &breaker_first_pause=9s&breaker_longest_pause=1m",
    r#""default_ttl_ms": 1000, "operation_deadline_ms": 2000, "connect_deadline_ms": 3000,
       "lease_lifetime_ms": 4000, "max_value_bytes": 5, "store_proof": false,
       "pending_invalidations": 6, "refused_invalidations_ms": 7000, "breaker_failures": 8,
       "breaker_first_pause_ms": 9000, "breaker_longest_pause_ms": 60000"#,
);

/// How a configuration prints, which shows every setting.
fn shown(config: &impl std::fmt::Debug) -> String {
    format!("{config:?}")
}

#[cfg(feature = "memcached")]
mod memcached {
    use super::*;
    use crate::backend::MemcachedConfig;

    fn chosen(url: &str) -> MemcachedConfig {
        match AnyConfig::from_url(url).unwrap().chosen {
            Chosen::Memcached(config) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_without_parameters_is_the_one_of_memcached() {
        for url in ["memcached://a,b:7000", "memcached:///run/m.sock"] {
            assert_eq!(chosen(url), MemcachedConfig::from_url(url).unwrap());
        }
        assert_eq!(chosen("MEMCACHED://a"), chosen("memcached://a"));
    }

    #[test]
    fn parameters_are_what_the_same_settings_in_a_file_are() {
        let (url, settings) = EVERY;
        let text = format!(r#"{{ "url": "memcached://a,b", {settings}, "max_connections": 2 }}"#);
        let own: MemcachedConfig = serde_json::from_str(&text).unwrap();
        let chosen = chosen(&format!("memcached://a,b?{url}&max_connections=2"));
        assert_eq!(chosen, own);
        assert_ne!(
            chosen,
            MemcachedConfig::from_url("memcached://a,b").unwrap()
        );
        assert_eq!(
            shown(&file(&text).unwrap()),
            shown(
                &AnyConfig::from_url(&format!("memcached://a,b?{url}&max_connections=2")).unwrap()
            ),
        );
    }

    #[test]
    fn errors_say_what_is_allowed_and_do_not_repeat_the_url() {
        for (url, said) in [
            (
                "memcached://a?protocol=x",
                "unknown parameter `protocol`; allowed: ttl, operation_",
            ),
            (
                "memcached://a?ttl=1s&x=1",
                "breaker_longest_pause, max_connections",
            ),
            (
                "memcached://a?max_connections=x",
                "`max_connections` wants a whole number",
            ),
            (
                "memcached://a?breaker_failures=4294967296",
                "whole number up to 4294967295",
            ),
            (
                "memcached://a?store_proof=yes",
                "`store_proof` wants true or false",
            ),
            ("memcached://a?hunter2@b", "unknown parameter; allowed"),
            ("memcached://a#hunter2", "not a host name"),
            ("memcached://ann:hunter2@a", "neither users nor passwords"),
            ("memcacheds://hunter2", "no TLS to memcached"),
            ("memcached://", "not a host name"),
        ] {
            let refused = refusal(url);
            assert!(refused.contains(said), "{url}: {refused}");
            assert!(!refused.contains("hunter2"), "{url}: {refused}");
        }
        let text = r#"{ "url": "memcached://a", "max_connections": "hunter2" }"#;
        let error = file(text).unwrap_err().to_string();
        assert!(
            error.contains("`max_connections` wants a whole number"),
            "{error}"
        );
    }
}

#[cfg(feature = "redis")]
mod redis {
    use super::*;
    use crate::backend::RedisConfig;

    fn chosen(url: &str) -> RedisConfig {
        match AnyConfig::from_url(url).unwrap().chosen {
            Chosen::Redis(config) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_without_shared_parameters_is_the_one_of_redis() {
        for url in [
            "redis://h",
            "redis://u:p%3Fq%23@h:7000/3?protocol=resp2",
            "valkey://[::1]:6379/2",
            "REDIS://h/1",
            "unix:///run/redis.sock?db=4&user=u&pass=p",
        ] {
            let own = RedisConfig::from_url(url).unwrap();
            assert_eq!(shown(&chosen(url)), shown(&own), "{url}");
        }
    }

    #[test]
    fn parameters_are_what_the_same_settings_in_a_file_are() {
        let (url, settings) = EVERY;
        let text = format!(r#"{{ "url": "redis://u:p@h/3?protocol=resp2", {settings} }}"#);
        let own: RedisConfig = serde_json::from_str(&text).unwrap();
        for url in [
            format!("redis://u:p@h/3?protocol=resp2&{url}"),
            format!("redis://u:p@h/3?{url}&protocol=resp2"),
        ] {
            assert_eq!(shown(&chosen(&url)), shown(&own));
        }
        let any = file(&text).unwrap();
        assert_eq!(
            shown(&any),
            shown(&AnyConfig::from_url(&format!("redis://u:p@h/3?protocol=resp2&{url}")).unwrap())
        );
        assert_ne!(
            shown(&own),
            shown(&chosen("redis://u:p@h/3?protocol=resp2"))
        );
    }

    /// What `RedisConfig` says of its own part is for its own tests.
    const THEIRS: &str = "";

    #[test]
    fn errors_say_what_is_allowed_and_do_not_repeat_the_url() {
        for (url, said) in [
            (
                "redis://h?timeout=1s",
                "parameters of every remote store: ttl, operation_deadline",
            ),
            ("redis://h?ttl=1s&ttl=2s", "`ttl` is given twice"),
            ("redis://h?ttl=1s&protocol=resp4", THEIRS),
            ("redis://h?ttl=", "`ttl` wants a duration"),
            ("redis://h?default_ttl_ms=1", THEIRS),
            ("redis://:hunter2?ttl=5m@h", "`ttl` wants a duration"),
            ("redis://:a?hunter2@h", THEIRS),
            ("redis://:a#hunter2@h", THEIRS),
            ("redis://h?ttl=5m#hunter2", THEIRS),
            ("redis://:hunter2@h:port?ttl=5m", THEIRS),
            ("redis:", THEIRS),
            ("unix:///s?pass=p4ss&hunter2", THEIRS),
            ("unix:///s?ttl=5m&pass=p4ss&hunter2=", THEIRS),
        ] {
            let refused = refusal(url);
            assert!(refused.contains(said), "{url}: {refused}");
            assert!(!refused.contains("hunter2"), "{url}: {refused}");
        }
        for (text, said) in [
            (
                r#"{ "url": "redis://:hunter2@h", "operation_deadline_ms": "hunter2" }"#,
                "`operation_deadline_ms` wants a whole number of milliseconds",
            ),
            (
                r#"{ "url": "redis://:hunter2@h?ttl=5m", "default_ttl_ms": 1 }"#,
                "`default_ttl_ms` is set in the url, too",
            ),
            (
                r#"{ "url": "redis://:hunter2@h", "max_connections": 1 }"#,
                "max_connections",
            ),
        ] {
            let error = file(text).unwrap_err().to_string();
            assert!(
                error.contains(said) && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }

    /// One half of a pair in the URL, the other beside it.
    #[cfg(feature = "redis-tls")]
    #[test]
    fn what_a_url_lacks_may_be_in_the_file() {
        let text = r#"{ "url": "rediss://h?cert=/c", "key": "/k", "default_ttl_ms": 1 }"#;
        let own = serde_json::from_str::<RedisConfig>(text);
        let any = file(text).map(|config| match config.chosen {
            Chosen::Redis(config) => shown(&*config),
            other => panic!("{other:?}"),
        });
        assert_eq!(any.ok(), own.ok().map(|config| shown(&config)));
    }

    #[test]
    fn no_output_holds_the_password() {
        let url = "redis://ann:hunter2@localhost:7000/3?ttl=5m";
        let config = AnyConfig::from_url(url).unwrap();
        assert!(shown(&config).contains("localhost:7000"));
        let backend = AnyBackend::new(config.clone()).unwrap();
        for shown in [shown(&config), shown(&backend)] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
