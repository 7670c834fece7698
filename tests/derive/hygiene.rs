//! The derives where the names of the prelude mean other things. Crates that allow no warning
//! stand in `ui/pass`.

/// Everything that the prelude calls so is something else here.
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

/// The primitive types, too. Serde's derives don't work here.
mod shadowed_primitives {
    #![allow(
        dead_code,
        non_camel_case_types,
        reason = "the names are there to be in the way"
    )]

    pub(super) struct bool;
    pub(super) struct str;
    pub(super) struct u32;
    pub(super) struct u64;
    pub(super) struct usize;

    #[derive(Clone, ::cache_kit::CacheEntity)]
    #[cache(key("id", "name"), ttl = "1s", version = 2)]
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
