//! The schema fingerprint: pinned, and different for every shape.

use cache_kit::entity::Schema;
use cache_kit::{CacheEntity, CacheSchema};
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
        schema! { #[cache(key = "id")] struct { id: u64, #[serde(skip)] #[cache(skip_ok)] name: Option<String> } },
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

#[test]
fn what_serde_reads_besides_changes_nothing() {
    let others = [
        schema! { #[cache(key = "id")] #[serde(deny_unknown_fields)] struct { id: u64, name: Option<String> } },
        schema! { #[cache(key = "id")] struct { id: u64, #[serde(default, alias = "title")] name: Option<String> } },
    ];
    assert_eq!(others, [reference(); 2]);
}

/// The fingerprints of an entity around a nested type that is written out here. The entity's own
/// tokens are always the same.
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

/// With the derives that every nested type has.
macro_rules! nested {
    ($(#[$attribute:meta])* struct { $($fields:tt)* }) => {
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            $(#[$attribute])*
            #[allow(dead_code, reason = "only the shape counts")]
            struct Nested { $($fields)* }
        }
    };
    ($(#[$attribute:meta])* enum { $($variants:tt)* }) => {
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            $(#[$attribute])*
            #[allow(dead_code, reason = "only the shape counts")]
            enum Nested { $($variants)* }
        }
    };
}

#[test]
fn a_change_of_a_nested_type_changes_the_fingerprint() {
    let shapes = [
        nested! { struct { a: u8, b: String } },
        nested! { struct { a: u16, b: String } },
        nested! { struct { b: String, a: u8 } },
        nested! { struct { a: u8, c: String } },
        nested! { struct { a: u8 } },
        nested! { struct { a: u8, #[serde(skip)] #[cache(skip_ok)] b: String } },
        nested! { #[cache(version = 1)] struct { a: u8, b: String } },
        nested! { enum { A, B(u8) } },
        nested! { enum { B(u8), A } },
        nested! { enum { A, B(u16) } },
        nested! { enum { A, B { x: u8 } } },
        // A type that tells nothing is its name.
        around! {
            #[derive(Clone, Serialize, Deserialize)]
            struct Nested { a: u8, b: String }
        },
        // By hand.
        around! {
            #[derive(Clone, Serialize, Deserialize)]
            struct Nested { a: u8, b: String }
            impl CacheSchema for Nested {
                fn cache_shape(schema: &mut Schema) {
                    schema.number(1);
                }
            }
        },
        // An entity in an entity, too.
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheEntity)]
            #[cache(key = "a")]
            struct Nested { a: u64, b: String }
        },
    ];
    for (at, shape) in shapes.iter().enumerate() {
        assert!(
            !shapes[..at].contains(shape),
            "shape {at} has been seen before"
        );
    }
    // Entries in every store carry these numbers.
    assert_eq!(
        [shapes[0], shapes[11]],
        [0xd8b8_8f2d_404e_48e9, 0x91b1_9eb0_7786_7194]
    );
}

#[test]
fn a_change_two_levels_down_changes_it_too() {
    let with_leaf = [
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            enum Leaf { A(u8) }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: std::collections::HashMap<String, (u8, Leaf)> }
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            enum Leaf { A(u16) }
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: std::collections::HashMap<String, (u8, Leaf)> }
        },
        // The type between tells nothing and hides nothing that stands in its name.
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            enum Leaf { A(u8) }
            #[derive(Clone, Serialize, Deserialize)]
            struct Foreign<T>(T);
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: Foreign<Leaf> }
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            enum Leaf { A(u16) }
            #[derive(Clone, Serialize, Deserialize)]
            struct Foreign<T>(T);
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Nested { leaves: Foreign<Leaf> }
        },
    ];
    assert_ne!(with_leaf[0], with_leaf[1]);
    assert_ne!(with_leaf[2], with_leaf[3]);
}

#[test]
fn an_alias_is_what_it_stands_for() {
    let through_alias = [
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Leaf { a: u8 }
            type Nested = Vec<Option<Leaf>>;
        },
        around! {
            #[derive(Clone, Serialize, Deserialize, CacheSchema)]
            struct Leaf { a: u16 }
            type Nested = Vec<Option<Leaf>>;
        },
    ];
    assert_ne!(through_alias[0], through_alias[1]);
}

/// Types that hold themselves and each other.
mod recursive {
    use super::*;

    macro_rules! tree {
        ($module:ident $leaf:ty) => {
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
                pub(crate) enum Branch {
                    Leaf($leaf),
                    Tree(Box<Tree>),
                    Branches(Vec<Branch>),
                }
            }
        };
    }

    tree!(one u8);
    tree!(same u8);
    tree!(other u16);
}

#[test]
fn recursive_types_have_a_fingerprint() {
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
            struct $name;
        };
    }
    levels! { A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 }
    assert_ne!(Schema::of::<A0>(), Schema::of::<A1>());
}
