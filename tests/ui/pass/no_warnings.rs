//! Generated code in a crate that allows no warning.
#![deny(
    warnings,
    dead_code,
    elided_lifetimes_in_paths,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    private_interfaces,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

/// An entity with a plain key, seen from outside.
pub mod open {
    use std::sync::Arc;

    use cache_kit::{CacheEntity, CacheFeeder};
    use serde::{Deserialize, Serialize};

    /// A user.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(prefix = "user", key = "id", ttl = "1h30m", version = 2)]
    pub struct User {
        /// Who it is.
        pub id: String,
    }

    /// An item of an order.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("order_id", "r#type"))]
    pub struct Item {
        /// The order.
        pub order_id: String,
        /// The kind.
        pub r#type: u8,
    }

    /// A pair.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("0", "1"))]
    pub struct Pair(
        /// The first.
        pub u8,
        /// The second.
        pub String,
    );

    /// Gets a user.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = User, key = "id")]
    pub struct GetUser<'a, T> {
        /// Who it is.
        pub id: &'a str,
        /// Something else.
        pub other: T,
    }

    /// Feeds a user.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = User)]
    pub struct UserFeeder {
        /// Who it is.
        #[feeder(key)]
        pub id: String,
        /// The user.
        #[feeder(entity)]
        pub user: Option<Arc<User>>,
    }
}

/// The same for nobody else, with most of what is generated left unused.
mod closed {
    use cache_kit::{CacheEntity, CacheFeeder};
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "{shop}:{id}")]
    struct Shown {
        shop: u16,
        id: u64,
    }

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    pub(crate) struct Part {
        #[cache(key)]
        shop: u16,
        #[cache(key)]
        id: u64,
    }

    #[derive(CacheFeeder)]
    #[feeder(entity = Shown, key = "key")]
    struct GetShown {
        key: String,
    }

    #[derive(CacheFeeder)]
    #[feeder(entity = Part, key = "key")]
    pub(crate) struct GetPart {
        key: PartKey,
    }

    pub(crate) fn used() -> String {
        let shown = Shown { shop: 1, id: 2 };
        let part = Part { shop: 1, id: 2 };
        let request = GetShown {
            key: shown.cache_key(),
        };
        let part = GetPart {
            key: part.cache_key(),
        };
        format!("{:?} {:?}", request.into_feeder(), part.into_feeder())
    }
}

fn main() {
    println!("{}", closed::used());
}
