//! Names that are keywords in newer editions than this crate's.

use std::fmt;
use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "gen")]
struct Field {
    gen: u64,
}

/// A part with a type that the derive does not know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Id(u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("gen", "id"))]
struct Typed {
    gen: u64,
    id: Id,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("gen", "part"), key_derive(Copy, Serialize))]
struct Plain {
    gen: u64,
    part: u8,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{gen}/{field.gen}")]
struct Template {
    gen: u64,
    field: Field,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "field.gen + gen", key_type = u64)]
struct Expression {
    gen: u64,
    field: Field,
}

#[allow(non_camel_case_types)]
#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "gen")]
struct gen {
    gen: String,
}

#[derive(CacheFeeder)]
#[feeder(entity = Field, key = "gen", validate = Self::gen)]
struct GetField {
    gen: u64,
}

impl GetField {
    fn gen(&self) -> cache_kit::Result<()> {
        Ok(())
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = Plain)]
struct PlainFeeder {
    #[feeder(key)]
    gen: u64,
    #[feeder(key)]
    part: u8,
    #[feeder(entity)]
    plain: Option<Arc<Plain>>,
}

#[derive(CacheFeeder)]
#[feeder(entity = Template, key = "{gen}/{field.gen}")]
struct GetTemplate {
    gen: u64,
    field: Field,
}

#[derive(CacheFeeder)]
#[feeder(entity = gen, key = "format!(\"{gen}{}{}\", self.gen, shown(gen))")]
struct ByExpression {
    gen: u64,
}

fn shown(number: &u64) -> String {
    number.to_string()
}

/// Uses each of them.
pub fn are_used() {
    let field = || Field { gen: 2 };
    let mut feeder = GetField { gen: 2 }.into_feeder();
    assert_eq!(feeder.entity_id(), field().cache_key());
    assert!(feeder.validate().is_ok());
    let typed = Typed { gen: 1, id: Id(2) };
    assert_eq!(typed.cache_key(), TypedKey::new(1, Id(2)));
    let mut feeder = PlainFeeder {
        gen: 1,
        part: 2,
        plain: None,
    };
    let key = Plain { gen: 1, part: 2 }.cache_key();
    let same = key;
    assert_eq!(feeder.entity_id(), same);
    assert!(feeder.plain.is_none());
    let (template, field_1) = (field(), field());
    let template = Template {
        gen: 1,
        field: template,
    };
    let request = GetTemplate {
        gen: 1,
        field: field_1,
    };
    assert_eq!(template.cache_key(), "1/2");
    assert_eq!(request.into_feeder().entity_id(), "1/2");
    let entity = Expression {
        gen: 1,
        field: field(),
    };
    assert_eq!(entity.cache_key(), 3);
    let request = ByExpression { gen: 1 }.into_feeder().entity_id();
    assert_eq!(request, gen { gen: "111".into() }.cache_key());
}
