//! A packed struct allows no reference to a field, so its key is made of copies.
#![deny(warnings)]

use cache_kit::{CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder};
use serde::{Deserialize, Serialize};

#[repr(C, packed)]
#[derive(Clone, Copy, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Field {
    kind: u8,
    id: u64,
}

#[repr(C, packed(2))]
#[derive(Clone, Copy, Serialize, Deserialize, CacheEntity)]
#[cache(key("kind", "id"))]
struct Typed {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(Clone, Copy, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{kind}/{id}")]
struct Template {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(Clone, Copy, Serialize, Deserialize, CacheEntity)]
#[cache(key = "*id + u64::from(self.kind)", key_type = u64)]
struct Expression {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(Clone, Copy, CacheFeeder)]
#[feeder(entity = Field, key = "id")]
struct GetField {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(CacheFeeder)]
#[feeder(entity = Typed, key("kind", "id"))]
struct GetTyped<'a> {
    kind: u8,
    id: &'a u64,
}

#[repr(C, packed)]
#[derive(CacheFeeder)]
#[feeder(entity = Template, key = "{kind}/{id}")]
struct GetTemplate {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(CacheFeeder)]
#[feeder(entity = Template, key = "format!(\"{kind}/{}\", id.max(&0))")]
struct ByExpression {
    kind: u8,
    id: u64,
}

#[repr(C, packed)]
#[derive(CacheFeeder)]
#[feeder(entity = Field, key = "ids")]
struct GetMany<'a> {
    kind: u8,
    ids: &'a [u64],
}

#[test]
fn a_packed_struct_has_a_key() {
    let (kind, id) = (1, 7);
    assert_eq!(Field { kind, id }.cache_key(), 7);
    assert_eq!(Typed { kind, id }.cache_key(), TypedKey::new(1, 7));
    assert_eq!(Template { kind, id }.cache_key(), "1/7");
    assert_eq!(Expression { kind, id }.cache_key(), 8);
    let request = GetField { kind, id };
    assert_eq!({ request.kind }, 1);
    let mut feeder = request.into_feeder();
    assert_eq!((feeder.entity_id(), feeder.borrowed_id()), (7, None));
    let mut feeder = GetTyped { kind, id: &id }.into_feeder();
    assert_eq!(feeder.entity_id(), TypedKey::new(1, 7));
    assert_eq!(GetTemplate { kind, id }.into_feeder().entity_id(), "1/7");
    assert_eq!(ByExpression { kind, id }.into_feeder().entity_id(), "1/7");
    let request = GetMany { kind, ids: &[7, 8] };
    assert_eq!({ request.kind }, 1);
    assert_eq!(request.into_feeder().entity_ids(), [7, 8]);
}
