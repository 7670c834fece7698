//! Every encoded value decodes to itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Decoded, Head, head_of};
use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    id: i64,
    wide: (u128, i128, u8, i8, u16, f32, f64, char, bool),
    text: String,
    bytes: Vec<u8>,
    units: Vec<()>,
    node: Option<Node>,
    children: Vec<Tree>,
    named: BTreeMap<String, Option<Tree>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Node {
    Unit,
    New(Box<Node>),
    Pair(u64, String),
    Fields {
        left: Option<Box<Node>>,
        right: [u8; 3],
    },
}

impl CacheEntity for Tree {
    type Key = i64;

    fn cache_key(&self) -> i64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "tree"
    }
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Unit),
        (any::<u64>(), any::<String>()).prop_map(|(number, text)| Node::Pair(number, text)),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Node::New),
            (proptest::option::of(boxed), any::<[u8; 3]>())
                .prop_map(|(left, right)| Node::Fields { left, right }),
        ]
    })
}

prop_compose! {
    fn leaf()(
        id: i64,
        integers: (u128, i128, u8, i8, u16),
        // No `NaN`, which is not equal to itself.
        single in proptest::num::f32::NORMAL,
        double in proptest::num::f64::NORMAL,
        others: (char, bool),
        text: String,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        units in 0..50_usize,
        node in proptest::option::of(node()),
    ) -> Tree {
        let (a, b, c, d, e) = integers;
        Tree {
            id,
            wide: (a, b, c, d, e, single, double, others.0, others.1),
            text,
            bytes,
            units: vec![(); units],
            node,
            children: vec![],
            named: BTreeMap::new(),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let children = proptest::collection::vec(inner.clone(), 0..3);
        let named =
            proptest::collection::btree_map(any::<String>(), proptest::option::of(inner), 0..3);
        (leaf(), children, named).prop_map(|(root, children, named)| Tree {
            children,
            named,
            ..root
        })
    })
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<u64>().prop_map(Timestamp::from_millis),
        Just(Timestamp::NEVER),
        Just(Timestamp::from_millis(0)),
    ]
}

prop_compose! {
    fn any_entry()(
        value in proptest::option::weighted(0.9, tree()),
        created in time(),
        stale_from in time(),
        expires in time(),
        load_millis: u32,
        pinned: bool,
    ) -> Entry<Tree> {
        Entry { value: value.map(Arc::new), created, stale_from, expires, load_millis, pinned }
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z]{1,10}:[0-9]{1,10}"]
}

/// Everything in an entry, for comparison.
fn parts<T>(entry: &Entry<T>) -> (Option<&T>, [Timestamp; 3], u32, bool) {
    (
        entry.value.as_deref(),
        [entry.created, entry.stale_from, entry.expires],
        entry.load_millis,
        entry.pinned,
    )
}

fn assert_round_trip<T: CacheEntity + PartialEq + std::fmt::Debug>(
    codec: Codec<T>,
    key: &str,
    stamp: Stamp,
    entry: &Entry<T>,
) {
    let mut bytes = Vec::new();
    let encoding = codec.encode_into(&mut bytes, key, stamp, entry).unwrap();
    assert_eq!(encoding, Encoding::Complete);
    let Decoded::Entry {
        entry: found,
        stamp: found_stamp,
    } = codec.decode(key, &bytes)
    else {
        panic!("{key:?}: not an entry");
    };
    assert_eq!(parts(&found), parts(entry));
    assert_eq!(found_stamp, stamp);
    let Head::Entry(head) = head_of(key, &bytes) else {
        panic!("{key:?}: no head");
    };
    assert_eq!(head.fence, stamp.fence);
    assert_eq!(head.generation, stamp.generation);
    assert_eq!(head.schema, codec.schema());
    assert_eq!(
        [head.created, head.stale_from, head.expires],
        parts(entry).1
    );
    assert_eq!(head.absence, entry.value.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_come_back(
        entry in any_entry(),
        key in key(),
        carries_key: bool,
        fence: u64,
        generation: u64,
    ) {
        let codec = Codec::<Tree>::new(MAX_BYTES);
        let codec = if carries_key { codec.carrying_key() } else { codec };
        let stamp = Stamp { fence: Fence(fence), generation };
        assert_round_trip(codec, &key, stamp, &entry);
    }

    #[test]
    fn placeholders_come_back(key in key(), fence: u64, taken in time(), is_write: bool) {
        let kind = if is_write { PlaceholderKind::Write } else { PlaceholderKind::Lease };
        let placeholder = Placeholder { kind, fence: Fence(fence), taken };
        let bytes = placeholder.encode(&key);
        prop_assert_eq!(head_of(&key, &bytes), Head::Placeholder(placeholder));
        let decoded = Codec::<User>::new(0).decode(&key, &bytes);
        prop_assert!(matches!(decoded, Decoded::Placeholder(found) if found == placeholder));
        prop_assert_eq!(head_of(&(key + "x"), &bytes), Head::Nothing);
    }

    #[test]
    fn damage_anywhere_is_never_decoded(
        entry in any_entry(),
        key in key(),
        carries_key: bool,
        at: prop::sample::Index,
        change in 1..=u8::MAX,
    ) {
        let codec = Codec::<Tree>::new(MAX_BYTES);
        let codec = if carries_key { codec.carrying_key() } else { codec };
        let mut bytes = envelope(codec, &key, &entry);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(matches!(codec.decode(&key, &bytes), Decoded::Damaged));
        bytes[at] ^= change;
        prop_assert!(matches!(codec.decode(&key, &bytes[..at]), Decoded::Damaged));
    }

    #[test]
    fn any_bytes_are_damage(key in key(), bytes: Vec<u8>) {
        let decoded = Codec::<Tree>::new(MAX_BYTES).decode(&key, &bytes);
        prop_assert!(matches!(decoded, Decoded::Damaged));
        prop_assert_eq!(head_of(&key, &bytes), Head::Nothing);
    }
}

#[test]
fn empty_and_large_values_come_back() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Empty;
    impl CacheEntity for Empty {
        type Key = u8;
        fn cache_key(&self) -> u8 {
            0
        }
        fn cache_prefix() -> &'static str {
            "empty"
        }
    }
    let codec = Codec::<Empty>::new(MAX_BYTES);
    assert_round_trip(codec, "empty:0", stamp(), &entry(Empty));
    let absence = Entry {
        value: None,
        ..entry(Empty)
    };
    assert_ne!(
        envelope(codec, "empty:0", &entry(Empty)),
        envelope(codec, "empty:0", &absence),
        "an empty value is no absence"
    );
    assert_round_trip(codec, "empty:0", stamp(), &absence);

    let large = User {
        notes: vec!["é".repeat(1 << 20); 3],
        ..User::sample()
    };
    assert_round_trip(Codec::new(MAX_BYTES), "user:42", stamp(), &entry(large));
}

#[test]
fn hostile_keys_are_keys() {
    let long = "k".repeat(10_000);
    let hostile = [
        "", "\0", "\r\n", "a\0b", " ", ":", "user:", "\u{feff}", "é", &long,
    ];
    let value = entry(User::sample());
    for codec in [Codec::new(MAX_BYTES), Codec::new(MAX_BYTES).carrying_key()] {
        for key in hostile {
            assert_round_trip(codec, key, stamp(), &value);
            let bytes = envelope(codec, key, &value);
            for other in hostile.into_iter().filter(|other| *other != key) {
                assert!(
                    matches!(codec.decode(other, &bytes), Decoded::Damaged),
                    "{key:?} read as {other:?}"
                );
            }
        }
    }
}
