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

    use cache_kit::{CacheEntity, CacheFeeder, CacheSchema};
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

    /// A part that has neither an order nor a way back from its text.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, CacheSchema)]
    pub struct Tag {
        /// Its name.
        pub name: String,
    }

    impl std::fmt::Display for Tag {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.name)
        }
    }

    /// Something with a tag.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("id", "tag"), ttl = "1h", stale_if_error = "1m", negative_ttl = "1s", max_bytes = "1 KiB")]
    #[cache(jitter = "12.3456789%", stale_while_revalidate = "1s", answer_within = "1ms", refresh_ahead = 1)]
    #[cache(validate = Self::check)]
    pub struct Tagged {
        /// Its number.
        pub id: u64,
        /// Its tag.
        pub tag: Tag,
    }

    impl Tagged {
        fn check(&self) -> cache_kit::Result<()> {
            Ok(())
        }
    }

    /// A place, with a key that could be `Copy`.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("row", "seat"))]
    pub struct Place {
        /// The row.
        pub row: u16,
        /// The seat.
        pub seat: u32,
        /// Who sits there.
        pub guest: String,
    }

    /// What a page is made of.
    pub trait Paged {
        /// The prefix of its pages.
        fn prefix() -> &'static str;
    }

    /// A page.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(prefix_with = T::prefix, key = "number", bound = "T: Paged + CacheSchema")]
    pub struct Page<T> {
        /// Its number.
        pub number: u64,
        /// What is on it.
        pub items: Vec<T>,
    }

    /// An animal.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key_with = Self::id, key_type = u64)]
    pub enum Animal {
        /// A cat.
        Cat(u64),
        /// A dog, and who it belongs to.
        Dog(u64, Borrowed<'static>),
    }

    impl Animal {
        fn id(&self) -> u64 {
            let (Self::Cat(id) | Self::Dog(id, _)) = self;
            *id
        }
    }

    /// A name that may be borrowed.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheSchema)]
    pub struct Borrowed<'a>(
        /// The name.
        pub std::borrow::Cow<'a, str>,
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
