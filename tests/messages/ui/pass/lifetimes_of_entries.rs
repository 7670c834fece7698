//! Every length of time, and the other settings of freshness.
use std::time::Duration;

use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h30m", stale_if_error = "2d", negative_ttl = "500ms")]
struct User {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id", ttl = "1h", jitter = "2.5%", stale_while_revalidate = "30s")]
#[cache(answer_within = "50ms", refresh_ahead = 1.5)]
struct Refreshed {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Plain {
    id: u64,
}

fn main() {
    assert_eq!(User::cache_ttl(), Some(Duration::from_secs(5_400)));
    assert_eq!(User::cache_stale_if_error(), Some(Duration::from_secs(172_800)));
    assert_eq!(User::cache_negative_ttl(), Some(Duration::from_millis(500)));
    assert_eq!(Refreshed::cache_jitter(), Some(0.025));
    assert_eq!(Refreshed::cache_stale_while_revalidate(), Some(Duration::from_secs(30)));
    assert_eq!(Refreshed::cache_stale_if_error(), None);
    assert_eq!(Refreshed::cache_answer_within(), Some(Duration::from_millis(50)));
    assert_eq!(Refreshed::cache_refresh_ahead(), Some(1.5));
    assert_eq!(Plain::cache_ttl(), None);
    assert_eq!(Plain::cache_stale_if_error(), None);
    assert_eq!(Plain::cache_negative_ttl(), None);
}
