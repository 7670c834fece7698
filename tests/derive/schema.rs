//! The schema fingerprint: pinned, and different for every shape.

use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

/// The fingerprint of a struct that is written out here.
macro_rules! schema {
    ($(#[$attribute:meta])* struct { $($fields:tt)* }) => {{
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        $(#[$attribute])*
        #[allow(dead_code, reason = "only the shape counts")]
        struct Shape { $($fields)* }
        Shape::cache_schema()
    }};
}

fn reference() -> u64 {
    schema! { #[cache(key = "id")] struct { id: u64, name: Option<String> } }
}

#[test]
fn the_fingerprint_is_the_same_for_ever() {
    // Entries in every store carry this number: if it changes, a deploy empties the cache.
    assert_eq!(reference(), 0xed30_2224_7256_8228);
}

#[test]
fn only_the_shape_counts() {
    let others = [
        schema! { #[cache(key = "id", prefix = "other", ttl = "1s")] struct { id: u64, name: Option<String> } },
        schema! { #[cache(key = "id", version = 0)] struct { id:u64,name:Option<String>, } },
        schema! {
            #[cache(key = "id")]
            #[doc = "Documented."]
            struct {
                /// Documented.
                id: u64,
                #[allow(unused, reason = "a lint is not a part of the shape")]
                name: Option<String>,
            }
        },
    ];
    assert_eq!(others, [reference(); 3]);
}

#[test]
fn every_change_of_the_shape_changes_it() {
    let shapes = [
        reference(),
        schema! { #[cache(key = "id", version = 1)] struct { id: u64, name: Option<String> } },
        schema! { #[cache(key = "id", version = 2)] struct { id: u64, name: Option<String> } },
        schema! { #[cache(key = "id")] struct { id: u64, title: Option<String> } },
        schema! { #[cache(key = "id")] struct { id: u32, name: Option<String> } },
        schema! { #[cache(key = "id")] struct { id: u64, name: String } },
        schema! { #[cache(key = "id")] struct { name: Option<String>, id: u64 } },
        schema! { #[cache(key = "id")] struct { id: u64 } },
        schema! { #[cache(key = "id")] struct { id: u64, name: Option<String>, age: u8 } },
        schema! { #[cache(key = "id")] struct { id: u64, #[serde(skip)] name: Option<String> } },
        schema! { #[cache(key = "id")] #[serde(rename_all = "camelCase")] struct { id: u64, name: Option<String> } },
    ];
    for (at, shape) in shapes.iter().enumerate() {
        assert_ne!(*shape, 0, "0 means that nothing was said");
        assert!(
            !shapes[..at].contains(shape),
            "shape {at} has been seen before"
        );
    }
}

#[test]
fn a_type_that_a_macro_passes_on_is_the_type_that_was_written() {
    macro_rules! passed_on {
        ($id:ty, $name:ty) => {
            schema! { #[cache(key = "id")] struct { id: $id, name: $name } }
        };
    }
    assert_eq!(passed_on!(u64, Option<String>), reference());
}
