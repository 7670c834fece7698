//! The derive macros of [cache-kit](https://docs.rs/cache-kit): `CacheEntity` for what is
//! cached, `CacheSchema` for what is in it, `CacheFeeder` for what asks for it. Use them through
//! `cache_kit`, which exports all three.
//!
//! Every mistake in an attribute is reported in the first compile, where it stands and with what
//! to write instead.

mod ast;
mod attr;
mod check;
mod diag;
mod expand;
mod fallback;
#[cfg(test)]
mod fuzz;
mod text;

use proc_macro::TokenStream;

#[doc = include_str!("../docs/cache_entity.md")]
#[proc_macro_derive(CacheEntity, attributes(cache))]
pub fn derive_cache_entity(input: TokenStream) -> TokenStream {
    expand::cache_entity(input.into()).into()
}

#[doc = include_str!("../docs/cache_schema.md")]
#[proc_macro_derive(CacheSchema, attributes(cache))]
pub fn derive_cache_schema(input: TokenStream) -> TokenStream {
    expand::cache_schema(input.into()).into()
}

/// Implements `CacheFeed`: carries a request to the cache and an entity back.
///
/// It has two forms.
///
/// # Around a request
///
/// On any struct that holds a key. A feeder is generated that has a place for the answer, and
/// shares the cache's own copy of it. It is as visible as the request and keeps its generics and
/// lifetimes.
///
/// ```
/// use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id")]
/// struct User {
///     id: String,
/// }
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = User, key = "user_id")]
/// struct GetUser<'a> {
///     user_id: &'a str,
///     verbose: bool,
/// }
///
/// // Generated:
/// // struct GetUserFeeder<'a> { request: GetUser<'a>, entity: Option<Arc<User>> }
///
/// let mut feeder = GetUser { user_id: "user_001", verbose: true }.into_feeder();
/// assert_eq!(feeder.entity_id(), "user_001");
///
/// // What the cache does when it has the answer:
/// feeder.feed(Some(User { id: "user_001".into() }));
/// assert!(feeder.request.verbose);
/// assert_eq!(feeder.into_entity().unwrap().id, "user_001");
/// ```
///
/// `GetUser::into_feeder` is `GetUserFeeder::new`. The feeder is `Debug`, whatever the request
/// is, and shows only whether it has been answered.
///
/// # In place
///
/// On a struct that has a field for the answer, `Option<Arc<User>>` to share the cache's own copy
/// or `Option<User>` to get one's own. `CacheFeed` is implemented on the struct itself.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// # #[cache(key = "id")]
/// # struct User { id: String }
/// use std::sync::Arc;
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = User)]
/// struct UserFeeder {
///     #[feeder(key)]
///     id: String,
///     #[feeder(entity)]
///     user: Option<Arc<User>>,
/// }
///
/// let mut feeder = UserFeeder { id: "user_001".into(), user: None };
/// feeder.feed(Some(User { id: "user_001".into() }));
/// assert!(feeder.user.is_some());
/// ```
///
/// The derive stands for this:
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed};
/// # use serde::{Deserialize, Serialize};
/// # use std::sync::Arc;
/// # #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// # #[cache(key = "id")]
/// # struct User { id: String }
/// # struct UserFeeder { id: String, user: Option<Arc<User>> }
/// impl CacheFeed<User> for UserFeeder {
///     fn entity_id(&mut self) -> String {
///         self.id.clone()
///     }
///
///     fn borrowed_id(&self) -> Option<&String> {
///         Some(&self.id)
///     }
///
///     fn feed(&mut self, entity: Option<User>) {
///         self.user = entity.map(Arc::new);
///     }
///
///     fn feed_shared(&mut self, entity: Option<Arc<User>>) {
///         self.user = entity;
///     }
/// }
/// ```
///
/// # Attributes
///
/// | attribute | where | value | default |
/// |---|---|---|---|
/// | `entity = User` | struct | a type | none: it is needed |
/// | `key = "user_id"` | struct, first form | the name of a field | none: it is needed |
/// | `crate = "path"` | struct | a path, as text | `"::cache_kit"` |
/// | `key` | field, second form | none | none: it is needed |
/// | `entity` | field, second form | none | none: it is needed |
///
/// # The key field
///
/// It is of the entity's `Key` type, or a reference to it, and then a hit copies no key. Text of
/// another type (`&str`, `Cow<str>`, `Box<str>`, `Arc<str>`) does for a `String` key, and an
/// integer for a wider one. One feeder asks for one entity: a `Vec` of keys is refused.
#[proc_macro_derive(CacheFeeder, attributes(feeder))]
pub fn derive_cache_feeder(input: TokenStream) -> TokenStream {
    expand::cache_feeder(input.into()).into()
}
