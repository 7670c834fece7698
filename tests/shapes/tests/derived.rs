//! What only the derives see, in two builds on one store.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use cache_kit_shapes::Store;

/// A build's entity and the types in it.
macro_rules! build {
    ($module:ident, $low:literal, $high:literal, $with:literal, $version:literal) => {
        mod $module {
            use cache_kit::{CacheEntity, CacheSchema};
            use serde::{Deserialize, Serialize};
            use serde_repr::{Deserialize_repr, Serialize_repr};

            #[derive(Debug, Clone, PartialEq, Serialize_repr, Deserialize_repr, CacheSchema)]
            #[repr(u8)]
            pub(crate) enum Level {
                Low = $low,
                High = $high,
            }

            #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
            #[cache(key = "id", version = $version)]
            pub(crate) struct Alarm {
                pub(crate) id: u64,
                pub(crate) levels: Vec<Level>,
                #[serde(with = $with)]
                pub(crate) at: chrono::DateTime<chrono::Utc>,
            }

            #[allow(dead_code, reason = "two of the builds are asked for theirs")]
            pub(crate) fn alarm() -> Alarm {
                Alarm {
                    id: 7,
                    levels: vec![Level::Low, Level::High],
                    at: chrono::DateTime::UNIX_EPOCH,
                }
            }
        }
    };
}

build!(first, 1, 2, "chrono::serde::ts_seconds", 0);
build!(same, 1, 2, "chrono::serde::ts_seconds", 0);
build!(renumbered, 2, 1, "chrono::serde::ts_seconds", 0);
build!(in_millis, 1, 2, "chrono::serde::ts_milliseconds", 0);
build!(raised, 1, 2, "chrono::serde::ts_seconds", 1);

#[tokio::test]
async fn what_only_a_derive_sees_is_a_miss() {
    let store = Store::default();
    store.put_entity(first::alarm()).await.unwrap();
    let same = store.get_entity::<same::Alarm>().await.unwrap().unwrap();
    assert_eq!(same.levels, same::alarm().levels);
    assert!(
        store
            .get_entity::<renumbered::Alarm>()
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .get_entity::<in_millis::Alarm>()
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.get_entity::<raised::Alarm>().await.unwrap().is_none());
}
