//! Every form of the feeders in a crate that allows no warning.
#![deny(
    warnings,
    dead_code,
    elided_lifetimes_in_paths,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    non_local_definitions,
    private_interfaces,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

/// What everybody may use.
pub mod open {
    use std::sync::Arc;

    use cache_kit::{CacheEntity, CacheFeeder, Result};
    use serde::{Deserialize, Serialize};

    /// A user.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key = "id")]
    pub struct User {
        /// Who it is.
        pub id: String,
    }

    /// An item of an order.
    #[derive(Debug, Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key("order_id", "item_id"))]
    pub struct Item {
        /// The order.
        pub order_id: String,
        /// Which one.
        pub item_id: u8,
    }

    /// Gets users.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = User, key = "ids", name = "Users", validate = Self::check)]
    pub struct GetUsers<'a> {
        /// Who they are.
        pub ids: &'a [String],
    }

    impl GetUsers<'_> {
        fn check(&self) -> Result<()> {
            Ok(())
        }
    }

    /// Feeds users.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = User)]
    pub struct UsersFeeder {
        /// Who they are.
        #[feeder(key)]
        pub ids: Vec<String>,
        /// The users.
        #[feeder(entity)]
        pub users: Vec<Option<Arc<User>>>,
    }

    /// Gets an item.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = Item, key("order_id", "item_id"))]
    pub struct GetItem<'a, T> {
        /// The order.
        pub order_id: &'a str,
        /// Which one.
        pub item_id: u8,
        /// Something else.
        pub other: T,
    }

    /// Feeds an item.
    #[derive(Debug, CacheFeeder)]
    #[feeder(entity = Item, on_hit = note, on_miss = note, on_loaded = Self::loaded)]
    pub struct ItemFeeder {
        /// The order.
        #[feeder(key)]
        pub order_id: String,
        /// Which one.
        #[feeder(key = "item_id")]
        pub item: u8,
        /// The item.
        #[feeder(entity)]
        pub found: Option<Item>,
    }

    impl ItemFeeder {
        fn loaded(&mut self, item: &Item) -> Result<()> {
            self.item = item.item_id;
            Ok(())
        }
    }

    fn note(feeder: &mut ItemFeeder, key: &str) -> Result<()> {
        feeder.order_id.push_str(key);
        Ok(())
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

    #[derive(CacheFeeder)]
    #[feeder(entity = Shown, key = "{shop}:{id}")]
    struct ByTemplate {
        shop: u16,
        id: u64,
    }

    #[derive(CacheFeeder)]
    #[feeder(entity = Shown, key = "format!(\"{shop}:{}\", self.id)", name = "ByText")]
    struct ByExpression {
        shop: u16,
        id: u64,
    }

    #[derive(CacheFeeder)]
    #[feeder(entity = Shown, key = "keys")]
    struct Many {
        keys: Vec<String>,
    }

    pub(crate) fn used() -> String {
        let template = ByTemplate { shop: 1, id: 2 }.into_feeder();
        let text = ByExpression { shop: 1, id: 2 }.into_feeder();
        let many = Many { keys: Vec::new() }.into_feeder();
        format!("{template:?} {text:?} {many:?}")
    }
}

fn main() {
    println!("{}", closed::used());
}
