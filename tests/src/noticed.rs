//! A service that knows nothing of its cache, and what it shows to a user with a subscriber alone.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use cache_kit::CacheService;
use cache_kit::backend::AnyBackend;
use cache_kit::repository::from_fn;

use crate::row;
use crate::traced::Traced;

/// In every key of a row, and in no line.
pub const SECRET: &str = "id-of-someone";

/// In every value, and in no line.
pub const VALUE: u64 = 42_424_242;

/// The password of those who have one, and in no line.
pub const PASSWORD: &str = "pw-of-app";

/// A service at `url`, with the defaults.
///
/// # Panics
///
/// When the URL is wrong.
pub fn service(url: &str) -> CacheService<AnyBackend> {
    CacheService::new(AnyBackend::from_url(url).unwrap())
}

/// Reads a few hundred rows and invalidates some, as a service does that knows nothing of its cache.
///
/// # Panics
///
/// When a call fails or does not find its row.
pub async fn work(service: &CacheService<AnyBackend>) {
    let rows = service.repository(from_fn(|id: &String| {
        std::future::ready(Ok(Some(row(id, VALUE))))
    }));
    for n in 0..300 {
        let id = format!("{SECRET}{n}");
        let found = rows.get(&id).await.unwrap();
        assert!(found.is_some(), "the repository answers");
        if n % 10 == 0 {
            rows.invalidate(&id).await.unwrap();
        }
    }
}

/// The lines, which are few, and none of which has a key, a value or a password.
///
/// # Panics
///
/// When there is none, there are many, or one says too much.
pub fn lines(traced: &Traced) -> Vec<String> {
    let lines = traced.lines();
    assert!(!lines.is_empty() && lines.len() <= 8, "{lines:#?}");
    for line in &lines {
        for part in [SECRET, &VALUE.to_string(), PASSWORD] {
            assert!(!line.contains(part), "{line}");
        }
        assert!(line.contains(" cache_kit: "), "{line}");
    }
    lines
}

/// The one line with all of `parts`.
///
/// # Panics
///
/// When there is none, or another one.
pub fn the_line<'l>(lines: &'l [String], parts: &[&str]) -> &'l str {
    let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
    let found: Vec<&String> = lines.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{parts:?} in {lines:#?}");
    found[0]
}
