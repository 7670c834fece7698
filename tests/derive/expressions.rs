//! Names in key expressions, templates and hooks: their meaning where other items have the same
//! name.
#![deny(warnings)]

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "path")]
struct Document {
    path: String,
}

fn slug(text: &str) -> String {
    text.to_lowercase()
}

fn shown<T: ToString>(value: &T) -> String {
    value.to_string()
}

const ID: u8 = 7;

#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "slug(slug)")]
struct Called {
    slug: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "format!(\"{}/{shown}\", slug(slug))")]
struct CalledInAMacro {
    slug: String,
    shown: u8,
}

#[derive(CacheFeeder)]
#[feeder(
    entity = Document,
    key = "shown::<u8>(shown) + &format!(\"-{slug}-\") + &slug(&self.slug)"
)]
struct CalledBeside {
    slug: String,
    shown: u8,
}

#[expect(non_snake_case, reason = "a constant has the name")]
#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "format!(\"{}{other}\", ID.to_string() + other)")]
struct LikeAConstant {
    ID: u8,
    other: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "(shown)(id)")]
struct FieldIsCalled {
    shown: fn(&u8) -> String,
    id: u8,
}

#[test]
fn what_is_called_is_a_function_and_what_is_named_a_field() {
    let slug = || String::from("Ab");
    let called = Called { slug: slug() };
    assert_eq!(called.into_feeder().entity_id(), "ab");
    let (slug_1, shown) = (slug(), 7);
    let in_a_macro = CalledInAMacro {
        slug: slug_1,
        shown,
    };
    assert_eq!(in_a_macro.into_feeder().entity_id(), "ab/7");
    let beside = CalledBeside {
        slug: slug(),
        shown,
    };
    assert_eq!(beside.into_feeder().entity_id(), "7-Ab-ab");
    let constant = LikeAConstant {
        ID: 1,
        other: "x".into(),
    };
    assert_eq!(constant.into_feeder().entity_id(), "1xx");
    assert_eq!(ID, 7);
    let field = FieldIsCalled {
        shown: u8::to_string,
        id: 3,
    };
    assert_eq!(field.into_feeder().entity_id(), "3");
}

/// The type in which the hooks of a request are looked up.
trait Log {
    fn miss(&mut self, key: &str) -> Result<()>;

    fn path(&self) -> String;
}

fn hit<L: Log>(log: &mut L, key: &str) -> Result<()> {
    log.miss(key)
}

#[derive(CacheFeeder)]
#[feeder(
    entity = Document,
    key = "<Self as Log>::path(self)",
    on_miss = <Self as Log>::miss,
    on_hit = hit::<Self>,
    validate = Self::check
)]
struct Logged<'a, T: Send> {
    path: &'a str,
    misses: usize,
    other: T,
}

impl<T: Send> Log for Logged<'_, T> {
    fn miss(&mut self, key: &str) -> Result<()> {
        self.misses += key.len();
        Ok(())
    }

    fn path(&self) -> String {
        self.path.to_owned()
    }
}

impl<T: Send> Logged<'_, T> {
    fn check(&self) -> Result<()> {
        let _: &T = &self.other;
        Ok(())
    }
}

/// A request knows what it asks for.
trait Asks {
    type Entity;
}

#[derive(CacheFeeder)]
#[feeder(entity = <Self as Asks>::Entity, key = "Self::path(path)")]
struct GetDocument {
    path: String,
}

impl Asks for GetDocument {
    type Entity = Document;
}

impl GetDocument {
    fn path(path: &str) -> String {
        path.to_owned()
    }
}

trait Numbered {
    type Number;
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("number", "line"))]
struct Invoice {
    number: <Self as Numbered>::Number,
    line: u8,
}

impl Numbered for Invoice {
    type Number = u64;
}

/// A request may compute its own key.
#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key("number", "line"))]
struct GetInvoice {
    number: <Self as Numbered>::Number,
    line: u8,
}

impl Numbered for GetInvoice {
    type Number = u32;
}

#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "{number}")]
struct ByNumber {
    number: <Self as Numbered>::Number,
}

impl Numbered for ByNumber {
    type Number = u8;
}

#[test]
fn self_is_the_struct_that_the_derive_stands_on() -> Result<()> {
    let request = Logged {
        path: "a",
        misses: 0,
        other: (),
    };
    let mut feeder = request.into_feeder();
    assert_eq!(feeder.entity_id(), "a");
    feeder.on_miss("ab")?;
    feeder.on_hit("abc")?;
    feeder.validate()?;
    assert_eq!(feeder.request.misses, 5);
    let request = GetDocument { path: "b".into() };
    assert_eq!(request.into_feeder().entity_id(), "b");
    let invoice = Invoice { number: 7, line: 1 };
    assert_eq!(invoice.cache_key(), InvoiceKey::new(7, 1));
    let request = GetInvoice { number: 7, line: 1 };
    assert_eq!(request.into_feeder().entity_id(), invoice.cache_key());
    assert_eq!(ByNumber { number: 7 }.into_feeder().entity_id(), "7");
    Ok(())
}

#[derive(Clone, Serialize, Deserialize)]
struct Meta {
    id: u64,
    day: (u8, u8),
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "meta.id", key_type = u64)]
struct InAField {
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{self.shop}-{meta.id}/{meta.day.1}")]
struct InATemplate {
    shop: String,
    meta: Meta,
}

#[derive(CacheFeeder)]
#[feeder(entity = InATemplate, key = "{self.shop}-{meta.id}/{meta.day.1}")]
struct AskedByTemplate {
    shop: String,
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "self.shop")]
struct OfSelf {
    shop: String,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("self.shop", "number"))]
struct PartsOfSelf {
    shop: String,
    number: u8,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "format!(\"{shop}-{}\", meta.id)", key_type = String)]
struct Formatted {
    shop: String,
    meta: Meta,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "self.0.id.max(self.1)", key_type = u64)]
struct OfATuple(Meta, u64);

#[test]
fn an_entity_says_its_key_as_a_request_does() {
    let meta = Meta { id: 7, day: (1, 2) };
    let shop = || String::from("s");
    let entity = InAField { meta: meta.clone() };
    assert_eq!(entity.cache_key(), 7);
    let entity = InATemplate {
        shop: shop(),
        meta: meta.clone(),
    };
    let request = AskedByTemplate {
        shop: shop(),
        meta: meta.clone(),
    };
    assert_eq!(entity.cache_key(), "s-7/2");
    assert_eq!(request.into_feeder().entity_id(), "s-7/2");
    assert_eq!(OfSelf { shop: shop() }.cache_key(), "s");
    let entity = PartsOfSelf {
        shop: shop(),
        number: 1,
    };
    assert_eq!(entity.cache_key(), PartsOfSelfKey::new(shop(), 1));
    let entity = Formatted {
        shop: shop(),
        meta: meta.clone(),
    };
    assert_eq!(entity.cache_key(), "s-7");
    assert_eq!(OfATuple(meta, 9).cache_key(), 9);
}
