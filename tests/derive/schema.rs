//! The number for what only the derive sees: pinned, and different for every relevant change.

use cache_kit::entity::Schema;
use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

/// The number of a struct that is given here.
macro_rules! schema {
    ($(#[$attribute:meta])* struct { $($fields:tt)* }) => {{
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        $(#[$attribute])*
        #[allow(dead_code, reason = "only the shape counts")]
        struct Shape { $($fields)* }
        Shape::cache_schema()
    }};
}

/// Converts nothing.
mod plain {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::deserialize(from)
    }
}
use plain as other;

#[test]
fn what_deserialize_shows_is_not_told() {
    let shapes = [
        schema! { #[cache(key = "id")] struct { id: u64, name: Option<String> } },
        schema! { #[cache(key = "id", version = 0)] struct { id: u32 } },
        schema! { #[cache(key = "id", ttl = "1s")] struct { id: u64, #[serde(default, alias = "title")] name: String } },
        schema! { #[cache(key = "id")] #[serde(rename_all = "camelCase", deny_unknown_fields)] struct { id: u64 } },
    ];
    assert_eq!(shapes, [0; 4]);
}

#[test]
fn whatever_only_the_derive_sees_is_told() {
    let shapes = [
        0,
        schema! { #[cache(key = "id", version = 1)] struct { id: u64, at: u64 } },
        schema! { #[cache(key = "id", version = 2)] struct { id: u64, at: u64 } },
        schema! { #[cache(key = "id")] struct { id: u64, #[serde(with = "plain")] at: u64 } },
        schema! { #[cache(key = "id")] struct { id: u64, #[serde(with = "other")] at: u64 } },
        schema! { #[cache(key = "at")] struct { #[serde(with = "plain")] id: u64, at: u64 } },
    ];
    for (at, shape) in shapes.iter().enumerate() {
        assert!(
            !shapes[..at].contains(shape),
            "shape {at} has been seen before"
        );
    }
    // Stored entries depend on these numbers.
    assert_eq!(
        [shapes[1], shapes[3]],
        [0x27c5_660c_f32a_0763, 0xbb8b_935c_4f36_551c]
    );
}

/// The number of an entity around a nested type that is given here.
macro_rules! around {
    ($($nested:item)*) => {{
        $($nested)*
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        #[cache(key = "id")]
        #[allow(dead_code, reason = "only the shape counts")]
        struct Outer { id: u64, nested: Option<Vec<Nested>> }
        Outer::cache_schema()
    }};
}

/// With the derives of every nested type.
macro_rules! nested {
    ($(#[$attribute:meta])* $kind:ident { $($body:tt)* }) => {
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            $(#[$attribute])*
            #[allow(dead_code, reason = "only the shape counts")]
            $kind Nested { $($body)* }
        }
    };
}

#[test]
fn what_a_nested_type_tells_is_told() {
    let shapes = [
        nested! { struct { a: u8, b: String } },
        nested! { #[cache(version = 1)] struct { a: u8, b: String } },
        nested! { #[repr(u8)] enum { A = 1, B = 2 } },
        nested! { #[repr(u8)] enum { A = 2, B = 1 } },
        nested! { #[repr(u8)] enum { A, B } },
        nested! { #[repr(u8)] enum { B, A } },
        nested! { struct { #[serde(with = "plain")] a: u64, b: String } },
        // By hand.
        around! {
            #[derive(Clone, Serialize, Deserialize)]
            struct Nested { a: u8, b: String }
            impl CacheSchema for Nested {
                fn cache_shape(schema: &mut Schema) {
                    schema.number(7);
                }
            }
        },
        // An entity in an entity, too.
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheEntity)]
            #[cache(key = "a", version = 8)]
            struct Nested { a: u64, b: String }
        },
    ];
    for (at, shape) in shapes.iter().enumerate() {
        assert!(
            !shapes[..at].contains(shape),
            "shape {at} has been seen before"
        );
    }
}

#[test]
fn a_type_that_tells_nothing_changes_nothing() {
    let shapes = [
        nested! { struct { a: u8, b: String } },
        nested! { struct { a: u16 } },
        nested! { enum { A, B(u8) } },
        nested! { enum { A = 1, B = 2 } },
        around! {
            #[derive(Clone, Serialize, Deserialize)]
            struct Nested { a: u8, b: String }
        },
    ];
    assert_eq!(shapes, [0; 5]);
}

#[test]
fn whatever_stands_between_lets_it_through() {
    let shapes = [
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            enum Leaf { A(u8) }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: std::collections::HashMap<String, (u8, Leaf)> }
        },
        // The type in between declares nothing, and hides nothing of its type arguments.
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            enum Leaf { A(u8) }
            #[derive(Clone, Serialize, Deserialize)]
            struct Foreign<T>(T);
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: Foreign<Leaf> }
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            struct Leaf { a: u8 }
            type Nested = Vec<Option<Leaf>>;
        },
    ];
    assert_eq!(shapes[0], shapes[1]);
    assert!(!shapes.contains(&0), "{shapes:?}");
}

#[test]
fn what_one_type_declares_is_not_what_another_one_declares() {
    // Which of the three has the version.
    let shapes = [
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            struct A { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct B { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { a: A, b: B }
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct A { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            struct B { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { a: A, b: B }
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct A { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct B { a: u8 }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            #[cache(version = 1)]
            struct Nested { a: A, b: B }
        },
    ];
    let [first, second, both] = shapes;
    assert!(
        first != second && second != both && first != both,
        "{shapes:?}"
    );
}

/// Types that contain themselves and each other.
mod recursive {
    use super::*;

    macro_rules! tree {
        ($module:ident $version:literal) => {
            #[allow(dead_code, reason = "only the shape counts")]
            pub(super) mod $module {
                use super::*;

                #[derive(Clone, Serialize, Deserialize, CacheEntity)]
                #[cache(key = "id")]
                pub(crate) struct Tree {
                    id: u64,
                    parent: Option<Box<Tree>>,
                    branches: Vec<Branch>,
                    left: Option<Box<Self>>,
                }

                #[derive(Clone, Serialize, Deserialize, CacheSchema)]
                #[cache(version = $version)]
                pub(crate) enum Branch {
                    Leaf(u8),
                    Tree(Box<Tree>),
                    Branches(Vec<Branch>),
                }
            }
        };
    }

    tree!(one 1);
    tree!(same 1);
    tree!(other 2);
}

#[test]
fn recursive_types_tell() {
    let one = recursive::one::Tree::cache_schema();
    assert_eq!(one, recursive::same::Tree::cache_schema());
    assert_ne!(one, recursive::other::Tree::cache_schema());
}

#[test]
fn many_paths_to_one_type_are_walked_once() {
    // Each level holds the next one twice: 2^24 paths, 24 types.
    macro_rules! levels {
        ($name:ident $next:ident $($more:ident)*) => {
            #[derive(CacheSchema)]
            #[allow(dead_code, reason = "only the shape counts")]
            struct $name($next, ($next, u8));
            levels! { $next $($more)* }
        };
        ($name:ident) => {
            #[derive(CacheSchema)]
            #[cache(version = 1)]
            struct $name;
        };
    }
    levels! { A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 }
    assert_ne!(Schema::of::<A0>(), 0);
}
