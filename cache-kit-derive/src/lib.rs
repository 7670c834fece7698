//! The derive macros of [cache-kit](https://docs.rs/cache-kit): `CacheEntity` for what is
//! cached, `CacheFeeder` for what asks for it. Use them through `cache_kit`, which exports both.
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

/// Implements `CacheEntity`: says how a struct is keyed in the cache.
///
/// ```
/// use cache_kit::CacheEntity;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(prefix = "user", key = "id")]
/// struct User {
///     id: String,
///     name: String,
/// }
///
/// let ada = User { id: "user_001".into(), name: "Ada".into() };
/// assert_eq!(User::cache_prefix(), "user");
/// assert_eq!(ada.cache_key(), "user_001"); // the cache key is "user:user_001"
/// # assert_eq!(User::cache_schema(), 0x2e8e_581d_b0b9_8bf5);
/// ```
///
/// The derive stands for this:
///
/// ```
/// # use cache_kit::CacheEntity;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct User { id: String, name: String }
/// impl CacheEntity for User {
///     type Key = String;
///
///     fn cache_key(&self) -> String {
///         self.id.clone()
///     }
///
///     fn cache_prefix() -> &'static str {
///         "user"
///     }
///
///     fn cache_schema() -> u64 {
///         0x2e8e_581d_b0b9_8bf5 // computed from the fields
///     }
/// }
/// ```
///
/// # Attributes of the struct
///
/// All go into `#[cache(…)]`, in any order, in one attribute or in several.
///
/// | attribute | value | default |
/// |---|---|---|
/// | [`prefix`](#prefix) | text | the name of the type in snake_case |
/// | [`key`](#key) | text, or names in parentheses | none: a key is needed |
/// | [`ttl`](#ttl) | a duration, as text | none: the service or the backend decides |
/// | [`version`](#version) | a number, `u32` | 0 |
/// | [`crate`](#crate) | a path, as text | `"::cache_kit"` |
///
/// ## `prefix`
///
/// What every key of this type starts with, up to the first colon. At most 64 bytes, without
/// colons, blanks and control characters. Two types on one store need two prefixes.
/// `OrderItem` has the prefix `order_item` unless another one is stated.
///
/// ## `key`
///
/// Which fields identify an entity. There are four ways to say it; a tuple struct's fields are
/// named `"0"`, `"1"` and so on.
///
/// **`key = "id"`**: the field as it is. `Key` is the field's type, which must be
/// `Display + Clone + Eq + Hash + Send + Sync + 'static` and no float.
///
/// **`#[cache(key)]` on a field**: the same, said on the field. On several fields it is the next
/// form, in the order in which they stand.
///
/// **`key("order_id", "item_id")`**: a typed key of several fields, for any of which the same
/// holds, and `Debug` too. It is a struct named after the entity and as visible as the entity.
/// Its text is its parts joined by `:`, with `%` written as `%25` and `:` as `%3A` inside a part,
/// so that two different keys never share a text.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key("order_id", "item_id"))]
/// struct OrderItem {
///     order_id: String,
///     item_id: u32,
///     amount: u32,
/// }
///
/// // Generated, with `Clone`, `Debug`, `PartialEq`, `Eq`, `Hash`, `Display` and `new`:
/// // struct OrderItemKey { order_id: String, item_id: u32 }
///
/// let item = OrderItem { order_id: "2024:7".into(), item_id: 3, amount: 1 };
/// assert_eq!(item.cache_key(), OrderItemKey::new("2024:7".into(), 3));
/// assert_eq!(item.cache_key().to_string(), "2024%3A7:3");
/// ```
///
/// **`key = "{order_id}:{item_id}"`**: a template. `Key` is `String`, and the fields need only
/// `Display`. Braces are doubled to stand for themselves. The text is used as written, nothing is
/// escaped: with `a = "x:y", b = "z"` and with `a = "x", b = "y:z"` the template `{a}:{b}` gives
/// `x:y:z`, and the cache takes two entities for one. Write `key("a", "b")` unless no field can
/// hold what stands between them.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "{year}/{number}")]
/// struct Invoice {
///     year: u16,
///     number: u32,
/// }
///
/// assert_eq!(Invoice { year: 2024, number: 7 }.cache_key(), "2024/7");
/// ```
///
/// ## `ttl`
///
/// How long an entity may be served, where neither the call nor the service says otherwise.
/// Whole numbers with `d`, `h`, `m`, `s` or `ms`, the larger unit first: `"30s"`, `"5m"`,
/// `"1h30m"`, `"500ms"`, `"2d"`. Zero is refused.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # use serde::{Deserialize, Serialize};
/// # use std::time::Duration;
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id", ttl = "1h30m")]
/// struct Session {
///     id: u64,
/// }
///
/// assert_eq!(Session::cache_ttl(), Some(Duration::from_secs(5_400)));
/// ```
///
/// ## `version`
///
/// A part of the schema fingerprint. The fingerprint is a number made, when the code is compiled,
/// of the fields' names, types, order and serde attributes; an entry that carries another one is
/// a miss. It can't look into the types of the fields: when the struct inside a field changes,
/// or what a field's `#[serde(with = …)]` does, raise the version.
///
/// ```
/// # use cache_kit::CacheEntity;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Address { city: String }
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id", version = 2)] // 2: `Address` has a postcode
/// struct Customer {
///     id: u64,
///     address: Address,
/// }
///
/// assert_ne!(Customer::cache_schema(), 0);
/// ```
///
/// ## `crate`
///
/// Where cache-kit is, for a crate that has it under another name or re-exports it.
///
/// ```
/// mod vendor {
///     pub use cache_kit as kit;
/// }
///
/// use serde::{Deserialize, Serialize};
/// use vendor::kit::CacheEntity;
///
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id", crate = "vendor::kit")]
/// struct User {
///     id: u64,
/// }
///
/// assert_eq!(User { id: 7 }.cache_key(), 7);
/// ```
///
/// # What it refuses
///
/// - Enums and unions: implement `CacheEntity` by hand.
/// - Generic structs. `Page<User>` and `Page<Order>` would share a prefix, and so each other's
///   entries. Derive it for a struct that wraps one of them.
/// - What postcard, the stored format, cannot carry: serde's `skip_serializing_if`, `flatten`,
///   `untagged`, `tag`, and `skip_serializing` without `skip_deserializing` or the reverse.
#[proc_macro_derive(CacheEntity, attributes(cache))]
pub fn derive_cache_entity(input: TokenStream) -> TokenStream {
    expand::cache_entity(input.into()).into()
}

/// Implements `CacheSchema`.
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
