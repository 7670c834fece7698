//! A key is found by what its caller has, wherever its text put it; and no other key is.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::fmt::{self, Debug, Display};
use std::hash::BuildHasher;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;
use crate::entity::EntityKey;
use crate::key::Namespace;

/// The entity with the key `K`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Of<K>(K);

impl<K: EntityKey + Serialize + DeserializeOwned> CacheEntity for Of<K> {
    type Key = K;

    fn cache_key(&self) -> K {
        self.0.clone()
    }

    fn cache_prefix() -> &'static str {
        "item"
    }
}

/// A map with the entities of some keys, each under the text of its key.
struct Held<K>(Vec<(MapKey, K)>);

impl<K: EntityKey + Serialize + DeserializeOwned + Debug> Held<K> {
    fn of(keys: &[K], namespace: Option<&Namespace>) -> Self {
        let held = |key: &K| {
            let text = CacheKey::<Of<K>>::within(namespace, key).text().unwrap();
            (MapKey::of::<Of<K>>(&text), key.clone())
        };
        Self(keys.iter().map(held).collect())
    }

    /// What the key finds here.
    fn find(&self, key: &K, namespace: Option<&Namespace>) -> Option<K> {
        let key = CacheKey::<Of<K>>::within(namespace, key);
        look_up(self, key)
    }

    fn get(&self, key: &impl Equivalent<MapKey>, own: Option<&K>) -> Option<K> {
        let found = self.0.iter().find(|(held, _)| key.equivalent(held));
        let found = found.map(|(_, key)| key.clone());
        found.filter(|found| own.is_none_or(|own| found == own))
    }
}

impl<K: EntityKey + Serialize + DeserializeOwned + Debug> LookUp<K> for Held<K> {
    type Found = K;

    fn number(&self, key: NumberKey, own: Option<&K>) -> Option<K> {
        self.get(&key, own)
    }

    fn uuid(&self, key: UuidKey, own: Option<&K>) -> Option<K> {
        self.get(&key, own)
    }

    fn text(&self, key: TextKey<'_>) -> Option<K> {
        self.get(&key, None)
    }
}

/// Checks that each of `keys` finds itself among all of them, and nothing where it is not.
fn each_finds_itself<K: EntityKey + Serialize + DeserializeOwned + Debug>(keys: &[K]) {
    let blue = Namespace::parse("blue".into()).unwrap();
    let red = Namespace::parse("red".into()).unwrap();
    for namespace in [None, Some(&blue)] {
        let all = Held::of(keys, namespace);
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(all.find(key, namespace), Some(key.clone()));
            assert_eq!(all.find(key, Some(&red)), None, "{key:?} elsewhere");
            let others = [&keys[..at], &keys[at + 1..]].concat();
            assert_eq!(Held::of(&others, namespace).find(key, namespace), None);
        }
    }
}

/// A key that displays as another function of its number says, and hashes as a third.
macro_rules! key_types {
    ($($name:ident($inner:ty), $shown:expr, $hashed:expr;)*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        struct $name($inner);

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: fn($inner) -> String = $shown;
                f.write_str(&shown(self.0))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let hashed: fn($inner) -> _ = $hashed;
                hashed(self.0).hash(state);
            }
        }
    )*};
}

key_types! {
    Plain(u64), |id| id.to_string(), |id| id;
    Signed(i32), |id| id.to_string(), |id| id;
    Lossy(u64), |id| id.to_string(), |id| id % 2;
    Shuffled(u64), |id| (9 - id).to_string(), |id| id;
    Padded(u64), |id| format!("{id:04}"), |id| id;
    Lettered(u64), |id| format!("U-{id}"), |id| id;
    Wide(u128), |id| id.to_string(), |id| id;
    Uuid([u8; 16]), |id| hyphenated(id).to_string(), |id| id;
    Upper([u8; 16]), |id| hyphenated(id).to_uppercase(), |id| id;
    Reversed([u8; 16]), |mut id| { id.reverse(); hyphenated(id).to_string() }, |id| id;
    Constant(u64), |id| id.to_string(), |_| 7_u64;
}

#[test]
fn integers() {
    each_finds_itself(&[0_u64, 1, 9, 10, u64::MAX]);
    each_finds_itself(&[0_i64, 1, -1, i64::MIN, i64::MAX]);
    each_finds_itself(&[0_u8, 255]);
    each_finds_itself(&[0_i8, -128, 127]);
    each_finds_itself(&[
        0,
        1,
        u128::from(u64::MAX),
        u128::from(u64::MAX) + 1,
        u128::MAX,
    ]);
    each_finds_itself(&[0, -1, i128::MIN, i128::MAX]);
}

#[test]
fn texts() {
    let texts = [
        "", "0", "42", "042", "+42", "-0", "a:b", "item:1", "é", "\0", " 42",
    ];
    each_finds_itself(&texts.map(String::from));
    each_finds_itself(&texts.map(Box::<str>::from));
    each_finds_itself(&['0', '5', '\u{5}', 'a', 'é']);
}

#[test]
fn keys_that_are_guessed() {
    let numbers = [0, 1, 2, 3, 7, 9];
    each_finds_itself(&numbers.map(Plain));
    each_finds_itself(&[0, 1, -1, i32::MIN, i32::MAX].map(Signed));
    each_finds_itself(&numbers.map(Lossy));
    each_finds_itself(&numbers.map(Shuffled));
    each_finds_itself(&numbers.map(Padded));
    each_finds_itself(&numbers.map(Lettered));
    each_finds_itself(&numbers.map(Constant));
    each_finds_itself(&[0, 1, 16, u128::MAX].map(Wide));
    let uuids = [0, 1, u128::MAX, 0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8];
    each_finds_itself(&uuids.map(u128::to_be_bytes).map(Uuid));
    each_finds_itself(&uuids.map(u128::to_be_bytes).map(Upper));
    each_finds_itself(&[1, 1 << 120, 2].map(u128::to_be_bytes).map(Reversed));
    each_finds_itself(&[true, false]);
    each_finds_itself(&[1, 7].map(|id| NonZeroU64::new(id).unwrap()));
    each_finds_itself(&[Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST]);
}

#[test]
fn a_text_comes_back_from_its_key() {
    for text in [
        "item:1",
        "blue:item:1",
        "item:01",
        "item:",
        "item:a:b",
        "item",
        "other:1",
        "",
    ] {
        let parsed = Parsed::of::<Of<u64>>(text);
        assert_eq!(parsed.key.text(parsed.head), text);
    }
    let keys = [
        "item:1",
        "blue:item:1",
        "red:item:1",
        "1",
        "item:01",
        "other:1",
        ":item:1",
    ];
    let keys = keys.map(MapKey::of::<Of<u64>>);
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(keys.iter().position(|other| other == key), Some(at));
    }
    assert_ne!(
        MapKey::of::<Of<u64>>("item:1"),
        MapKey::of::<Of<u32>>("item:1")
    );
}

#[test]
fn all_forms_of_a_key_hash_alike() {
    // That of the maps: to another one, a number and its bytes may be the same.
    let hasher = quick_cache::DefaultHashBuilder::default();
    let number = MapKey::of::<Of<u64>>("item:7");
    let borrowed = NumberKey {
        tag: number.tag,
        number: 7,
    };
    assert_eq!(hasher.hash_one(&number), hasher.hash_one(borrowed));
    let shown = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let uuid = MapKey::of::<Of<Uuid>>(&format!("item:{shown}"));
    let borrowed = UuidKey {
        tag: uuid.tag,
        uuid: u128::from_ne_bytes(super::uuid(shown).unwrap()),
    };
    assert_eq!(hasher.hash_one(&uuid), hasher.hash_one(borrowed));
    assert!(borrowed.equivalent(&uuid));
    let text = MapKey::of::<Of<String>>("item:7");
    let borrowed = TextKey {
        tag: text.tag,
        text: "7",
    };
    assert_eq!(hasher.hash_one(&text), hasher.hash_one(borrowed));
}
