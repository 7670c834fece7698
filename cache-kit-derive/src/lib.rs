//! The derive macros of [cache-kit](https://docs.rs/cache-kit): `CacheEntity` for cached types,
//! `CacheSchema` for the types inside them, `CacheFeeder` for requests. Use them through
//! `cache_kit`, which exports all three.
//!
//! The first compile reports every mistake in an attribute, at its place and with what to write
//! instead.

mod ast;
mod attr;
mod check;
mod diag;
mod expand;
mod fallback;
#[cfg(test)]
mod fuzz;
mod lints;
mod text;
mod tokens;

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

/// Implements `CacheFeed`, which carries a request to the cache and an entity back, or
/// `CacheFeedMany`, which does the same for many entities.
///
/// It has two forms: [around a request](#around-a-request), where the feeder is generated, and [in
/// place](#in-place), on a feeder of your own. Both ask for one entity, or [for many](#many-keys)
/// if the key field is a `Vec` or a slice.
///
/// # Around a request
///
/// On any struct that contains a key. The derive generates a feeder with a field for the answer,
/// which shares the cache's own copy. It has the visibility, generics and lifetimes of the request.
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
/// `GetUser::into_feeder` is `GetUserFeeder::new`. The feeder is always `Debug`, and shows only
/// whether it has been answered.
///
/// # In place
///
/// On a struct that has a field for the answer, `Option<Arc<User>>` to share the cache's own copy
/// or `Option<User>` to own one. `CacheFeed` is implemented on the struct itself.
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
/// The derive generates this:
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
/// All go into `#[feeder(…)]`, in any order, in one attribute or in several.
///
/// | attribute | where | value | default |
/// |---|---|---|---|
/// | [`entity`](#entity) | struct | a type | none: it is needed |
/// | [`key`](#key) | struct, around a request | text, or names in parentheses | none: it is needed |
/// | [`name`](#name) | struct, around a request | the name of a type, as text | `GetUserFeeder` for `GetUser` |
/// | [`validate`](#hooks) | struct | the path of a function | none: any request is fine |
/// | [`on_hit`](#hooks), [`on_miss`](#hooks), [`on_loaded`](#hooks) | struct | the path of a function | none |
/// | [`crate`](#crate) | struct | a path, as text | `"::cache_kit"` |
/// | [`key`](#key-on-fields) | field, in place | none, or the name of a part | none: it is needed |
/// | [`entity`](#entity) | field, in place | none | none: it is needed |
///
/// ## `entity`
///
/// On the struct, the requested type itself: `entity = User`, not `Arc<User>`. On a field, the
/// field for the answer: `Option<Arc<User>>` or `Option<User>`, and for [many keys](#many-keys)
/// `Vec<Option<Arc<User>>>` or `Vec<Option<User>>`.
///
/// ## `key`
///
/// What a request asks for. There are four forms. A tuple struct's fields are named `"0"`, `"1"`
/// and so on.
///
/// **`key = "user_id"`**: the field. If it has the type of the entity's key, or is a reference to
/// that, a hit copies no key. Anything else is converted by [`Into`] from its owned form: `&str`
/// for a `String`, `u32` for a `u64`, an id of your own with a `From`. If there is no conversion,
/// the compiler reports the field.
///
/// **`key("order_id", "item_id")`**: the parts of a typed key, by name and in any order. Each is
/// converted as above.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key("order_id", "item_id"))]
/// struct OrderItem {
///     order_id: String,
///     item_id: u64,
/// }
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = OrderItem, key("item_id", "order_id"))]
/// struct GetItem<'a> {
///     order_id: &'a str,
///     item_id: u32,
/// }
///
/// let mut feeder = GetItem { order_id: "2024:7", item_id: 3 }.into_feeder();
/// assert_eq!(feeder.entity_id(), OrderItemKey::new("2024:7".into(), 3));
/// // It stands for `OrderItemKey { order_id: self.request.order_id.into(), … }`.
/// ```
///
/// **`key = "{year}/{number}"`**: a template, for an entity whose key is a template. A nested field
/// is written as in code, `{meta.id}`.
///
/// **`key = "caller.id"`**: an expression. The name of a field is a reference to that field; `self`
/// is the request, and `Self` its type. Calls, fields, operators and macros are allowed, but not
/// blocks and closures: put longer code into a method and call it. A callee is always a function,
/// even if a field has its name: `slug(slug)` passes the field to the function, and `(slug)(id)`
/// calls the field. The value of the expression is converted as above.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "path")]
/// struct Document {
///     path: String,
/// }
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = Document, key = "format!(\"{tenant}/{name}.md\")")]
/// struct GetPage {
///     tenant: String,
///     name: String,
/// }
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = Document, key = "self.path()")]
/// struct GetIndex {
///     tenant: String,
/// }
///
/// impl GetIndex {
///     fn path(&self) -> String {
///         self.tenant.to_lowercase() + "/index.md"
///     }
/// }
///
/// let page = GetPage { tenant: "acme".into(), name: "faq".into() };
/// assert_eq!(page.into_feeder().entity_id(), "acme/faq.md");
/// let index = GetIndex { tenant: "ACME".into() };
/// assert_eq!(index.into_feeder().entity_id(), "acme/index.md");
/// ```
///
/// ## `key` on fields
///
/// In place, `#[feeder(key)]` marks the key. On several fields it marks the parts of a typed key,
/// each the part with its own name. `#[feeder(key = "order_id")]` gives the name of the part if the
/// field has another name. The parts of a numbered key are counted from `0` in the order of the
/// fields.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// # #[cache(key("order_id", "item_id"))]
/// # struct OrderItem { order_id: String, item_id: u64 }
/// #[derive(CacheFeeder)]
/// #[feeder(entity = OrderItem)]
/// struct ItemFeeder {
///     #[feeder(key = "order_id")]
///     order: String,
///     #[feeder(key)]
///     item_id: u64,
///     #[feeder(entity)]
///     item: Option<OrderItem>,
/// }
///
/// let mut feeder = ItemFeeder { order: "7".into(), item_id: 3, item: None };
/// assert_eq!(feeder.entity_id(), OrderItemKey::new("7".into(), 3));
/// assert!(feeder.item.is_none());
/// ```
///
/// ## `name`
///
/// The name of the feeder around a request: `name = "UserLookup"`.
///
/// ## Hooks
///
/// Functions that are called during a call. They get the struct with the derive: in place the
/// feeder, and around a request the request. `Self` in their paths is that struct, too, at any
/// position: `<Self as Log>::miss`.
///
/// | hook | is called | as |
/// |---|---|---|
/// | `validate` | before anything is looked up | `fn(&Self) -> cache_kit::Result<()>` |
/// | `on_hit` | when the cache answered | `fn(&mut Self, key: &str) -> cache_kit::Result<()>` |
/// | `on_miss` | when it was asked and had no answer | `fn(&mut Self, key: &str) -> cache_kit::Result<()>` |
/// | `on_loaded` | when the repository answered with an entity | `fn(&mut Self, entity: &User) -> cache_kit::Result<()>` |
///
/// The key is the whole one, `user:user_001`. An error ends the call with that error, and nothing
/// is fed. With many keys `validate` is called once, the others for each key, with its position in
/// the batch before it: `fn(&mut Self, position: usize, key: &str)`.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// # #[cache(key = "id")]
/// # struct User { id: String }
/// use cache_kit::{Error, Result};
///
/// #[derive(CacheFeeder)]
/// #[feeder(entity = User, key = "user_id", validate = Self::check, on_miss = count)]
/// struct GetUser {
///     user_id: String,
///     misses: usize,
/// }
///
/// impl GetUser {
///     fn check(&self) -> Result<()> {
///         match self.user_id.as_str() {
///             "" => Err(Error::ValidationError("no user id".into())),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// fn count(request: &mut GetUser, _key: &str) -> Result<()> {
///     request.misses += 1;
///     Ok(())
/// }
///
/// let mut feeder = GetUser { user_id: String::new(), misses: 0 }.into_feeder();
/// assert!(feeder.validate().is_err());
/// feeder.on_miss("user:")?;
/// assert_eq!(feeder.request.misses, 1);
/// # Ok::<(), cache_kit::Error>(())
/// ```
///
/// ## `crate`
///
/// Where cache-kit is, for a crate that uses it under another name or re-exports it:
/// `crate = "vendor::cache_kit"`.
///
/// # Many keys
///
/// A key field that is a `Vec`, a slice, or a slice in a `Box`, an `Arc` or a `Cow` asks for many
/// entities at once: `CacheFeedMany` is implemented. The type must be written out: the derive
/// cannot resolve an alias. There is one answer per key, in the order of the keys, with `None`
/// where there is no entity. Around a request the feeder has `entities` and `into_entities`.
///
/// ```
/// # use cache_kit::{CacheEntity, CacheFeedMany, CacheFeeder};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheEntity)]
/// # #[cache(key = "id")]
/// # struct User { id: String }
/// #[derive(CacheFeeder)]
/// #[feeder(entity = User, key = "members")]
/// struct GetTeam<'a> {
///     members: &'a [&'a str],
/// }
///
/// // Generated:
/// // struct GetTeamFeeder<'a> { request: GetTeam<'a>, entities: Vec<Option<Arc<User>>> }
///
/// let mut feeder = GetTeam { members: &["ada", "bob"] }.into_feeder();
/// assert_eq!(feeder.entity_ids(), ["ada", "bob"]);
/// feeder.feed_many(vec![None, None]);
/// assert_eq!(feeder.into_entities(), [None, None]);
/// ```
///
/// # What it refuses
///
/// - Enums, unions and structs without fields: implement `CacheFeed` by hand.
/// - Keys without an order, such as a `HashSet`: hold them in a `Vec`.
/// - A feeder that is not `Send`: it is held across an await.
/// - A packed struct with a place for the answer. A packed request is fine: its key is copied.
///
/// Lint attributes on the struct [apply to the generated code](derive.CacheEntity.html#lints).
#[proc_macro_derive(CacheFeeder, attributes(feeder))]
pub fn derive_cache_feeder(input: TokenStream) -> TokenStream {
    expand::cache_feeder(input.into()).into()
}
