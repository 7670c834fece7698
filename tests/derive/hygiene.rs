//! The derives where the names of the prelude mean other things. Crates that allow no warning are
//! in `ui/pass`.

/// All names of the prelude mean something else here.
mod shadowed {
    #![allow(
        dead_code,
        non_camel_case_types,
        reason = "the names are there to be in the way"
    )]

    pub(super) struct Option;
    pub(super) struct Some;
    pub(super) struct None;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct Result;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) struct Box;
    pub(super) struct Arc;
    pub(super) struct entity;
    pub(super) struct f;
    pub(super) trait Clone {
        fn clone(&self) {}
    }
    impl<T> Clone for T {}
    pub(super) trait Display {}
    pub(super) trait Hash {}
    pub(super) trait Send {}
    pub(super) mod std {}
    pub(super) mod core {}
    pub(super) mod alloc {}

    #[derive(
        ::std::clone::Clone, ::serde::Serialize, ::serde::Deserialize, ::cache_kit::CacheEntity,
    )]
    #[cache(key("r#type", "self_"))]
    pub(super) struct r#match {
        pub(super) r#type: ::std::string::String,
        pub(super) self_: ::std::primitive::u64,
    }

    #[derive(
        ::std::clone::Clone, ::serde::Serialize, ::serde::Deserialize, ::cache_kit::CacheEntity,
    )]
    #[cache(key = "{type}", ttl = "1s")]
    pub(super) struct Note {
        pub(super) r#type: ::std::string::String,
    }

    #[derive(
        ::std::clone::Clone, ::serde::Serialize, ::serde::Deserialize, ::cache_kit::CacheSchema,
    )]
    pub(super) struct r#struct {
        pub(super) r#fn: ::std::primitive::u8,
    }

    #[derive(
        ::std::clone::Clone, ::serde::Serialize, ::serde::Deserialize, ::cache_kit::CacheEntity,
    )]
    #[cache(key_with = r#enum::r#type, key_type = ::std::string::String, ttl = "1s", stale_if_error = "1s")]
    #[cache(negative_ttl = "1s", max_bytes = 1, validate = r#enum::r#try)]
    #[cache(
        jitter = "1%",
        stale_while_revalidate = "1s",
        answer_within = "1s",
        refresh_ahead = 1.0
    )]
    pub(super) enum r#enum {
        r#struct(r#struct),
        r#in { r#type: ::std::vec::Vec<r#struct> },
    }

    impl r#enum {
        fn r#type(&self) -> ::std::string::String {
            match self {
                Self::r#struct(r#struct { r#fn }) => ::std::format!("{}", r#fn),
                Self::r#in { r#type } => ::std::format!("{}", r#type.len()),
            }
        }

        fn r#try(&self) -> ::cache_kit::Result<()> {
            ::std::result::Result::Ok(())
        }
    }

    #[derive(::cache_kit::CacheFeeder)]
    #[feeder(entity = Note, key = "r#type")]
    pub(super) struct r#fn {
        pub(super) r#type: ::std::string::String,
    }

    #[derive(::cache_kit::CacheFeeder)]
    #[feeder(entity = Note)]
    pub(super) struct InPlace<'r#a, T: ::std::marker::Send> {
        #[feeder(key)]
        pub(super) r#type: &'r#a ::std::primitive::str,
        #[feeder(entity)]
        pub(super) r#in: ::std::option::Option<Note>,
        pub(super) other: T,
    }
}

/// A crate with the strictest lints, for the compiler and for `cargo clippy`.
mod strict {
    #![deny(clippy::pedantic, clippy::nursery, warnings, unused_qualifications)]

    use cache_kit::{CacheEntity, CacheSchema, Error, Result};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CacheEntity)]
    #[cache(
        key("order", "code", "number"),
        ttl = "1h",
        stale_if_error = "5m",
        negative_ttl = "1s"
    )]
    #[cache(
        jitter = "12.3456789%",
        stale_while_revalidate = "30s",
        answer_within = "50ms",
        refresh_ahead = 1_000
    )]
    #[cache(max_bytes = "1 MiB", validate = Self::check, version = 3)]
    pub(super) struct Item {
        pub(super) order: String,
        pub(super) code: super::Code,
        pub(super) number: u32,
        pub(super) parts: Vec<Part>,
    }

    impl Item {
        pub(super) fn check(&self) -> Result<()> {
            if self.number == 0 {
                return Err(Error::ValidationError("no number".to_owned()));
            }
            Ok(())
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CacheSchema)]
    pub(super) enum Part {
        One(u8),
        Many(Vec<Self>),
    }

    pub(super) trait Paged {
        fn prefix() -> &'static str;
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CacheEntity)]
    #[cache(prefix_with = T::prefix, key = "{number}/{number}", bound = "T: Paged")]
    pub(super) struct Page<T> {
        pub(super) number: u32,
        pub(super) items: Vec<T>,
    }

    impl Paged for Part {
        fn prefix() -> &'static str {
            "parts"
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CacheEntity)]
    #[cache(key_with = Self::id, key_type = u64)]
    pub(super) enum Animal {
        Cat(u64),
        Dog { id: u64 },
    }

    impl Animal {
        const fn id(&self) -> u64 {
            let (Self::Cat(id) | Self::Dog { id }) = self;
            *id
        }
    }
}

/// A part of a key that has no order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
struct Code(u8);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[test]
fn strict_lints_have_nothing_to_say() {
    let item = strict::Item {
        order: "a:b".into(),
        code: Code(1),
        number: 7,
        parts: vec![strict::Part::Many(vec![strict::Part::One(1)])],
    };
    assert_eq!(item.cache_key().to_string(), "a%3Ab:1:7");
    assert!(item.cache_validate().is_ok());
    assert_eq!(item.parts.len(), 1);
    let page = strict::Page::<strict::Part> {
        number: 7,
        items: Vec::new(),
    };
    assert_eq!(page.cache_key(), "7/7");
    assert!(page.items.is_empty());
    assert_eq!(strict::Page::<strict::Part>::cache_prefix(), "parts");
    let animals = [strict::Animal::Cat(1), strict::Animal::Dog { id: 2 }];
    assert_eq!(animals.map(|animal| animal.cache_key()), [1, 2]);
}

/// The primitive types, too. Serde's derives don't work here.
mod shadowed_primitives {
    #![allow(
        dead_code,
        non_camel_case_types,
        reason = "the names are there to be in the way"
    )]

    pub(super) struct bool;
    pub(super) struct f64;
    pub(super) struct str;
    pub(super) struct u32;
    pub(super) struct u64;
    pub(super) struct usize;

    #[derive(Clone, ::cache_kit::CacheEntity)]
    #[cache(
        key("id", "name"),
        ttl = "1s",
        jitter = "1%",
        refresh_ahead = 1.0,
        version = 2
    )]
    #[cache(max_bytes = 1)]
    pub(super) struct Bare {
        pub(super) id: u8,
        pub(super) name: char,
    }

    #[derive(::cache_kit::CacheFeeder)]
    #[feeder(entity = Bare, key = "id")]
    pub(super) struct GetBare {
        pub(super) id: BareKey,
    }
}

impl serde::Serialize for shadowed_primitives::Bare {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.id, self.name).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for shadowed_primitives::Bare {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, name) = serde::Deserialize::deserialize(deserializer)?;
        Ok(Self { id, name })
    }
}

use cache_kit::{CacheEntity, CacheFeed};

#[test]
fn shadowed_names_are_not_used() {
    let entity = shadowed::r#match {
        r#type: "t".into(),
        self_: 1,
    };
    assert_eq!(entity.cache_key().to_string(), "t:1");
    assert_eq!(shadowed::r#match::cache_prefix(), "match");
    let note = shadowed::Note { r#type: "n".into() };
    assert_eq!(note.cache_key(), "n");
    let raw = shadowed::r#enum::r#struct(shadowed::r#struct { r#fn: 7 });
    assert_eq!(raw.cache_key(), "7");
    assert!(raw.cache_validate().is_ok());
    let raw = shadowed::r#enum::r#in { r#type: Vec::new() };
    assert_eq!(raw.cache_key(), "0");
    assert_eq!(shadowed::r#enum::cache_prefix(), "enum");

    let mut feeder = shadowed::r#fn { r#type: "n".into() }.into_feeder();
    assert_eq!(feeder.entity_id(), "n");
    feeder.feed(Some(note.clone()));
    assert_eq!(
        feeder.into_entity().map(|note| note.r#type.clone()),
        Some("n".into())
    );

    let mut in_place = shadowed::InPlace {
        r#type: "n",
        r#in: None,
        other: 0,
    };
    assert_eq!(in_place.entity_id(), "n");
    in_place.feed(Some(note));
    assert!(in_place.r#in.is_some_and(|note| note.r#type == "n"));
    assert_eq!(in_place.other, 0);
}

#[test]
fn shadowed_primitives_are_not_used() {
    let bare = shadowed_primitives::Bare { id: 1, name: ':' };
    assert_eq!(bare.cache_key().to_string(), "1:%3A");
    assert_eq!(shadowed_primitives::Bare::cache_prefix(), "bare");
    let mut feeder = shadowed_primitives::GetBare {
        id: bare.cache_key(),
    }
    .into_feeder();
    assert_eq!(feeder.entity_id(), bare.cache_key());
    feeder.feed(Some(bare));
    assert!(feeder.into_entity().is_some());
}
