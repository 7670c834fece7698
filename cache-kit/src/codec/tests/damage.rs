//! Damage is a miss: changed bytes are never decoded and never cause a panic.

use super::super::head::FENCE_LEN;
use super::super::head::{ENTRY_MAGIC, PLACEHOLDER_MAGIC, VERSION};
use super::super::{Decoded, Head, PLACEHOLDER_LEN, head_of};
use super::*;

const KEY: &str = "user:42";

fn plain() -> Codec<User> {
    Codec::new(MAX_BYTES)
}

fn absence() -> Entry<User> {
    Entry {
        value: None,
        ..entry(User::sample())
    }
}

/// One of everything that can be under a key, with its name.
fn stored() -> Vec<(&'static str, Codec<User>, Vec<u8>)> {
    let keyed = plain().carrying_key();
    let value = entry(User::sample());
    vec![
        ("entry", plain(), envelope(plain(), KEY, &value)),
        ("absence", plain(), envelope(plain(), KEY, &absence())),
        ("keyed entry", keyed, envelope(keyed, KEY, &value)),
        ("keyed absence", keyed, envelope(keyed, KEY, &absence())),
        ("lease", plain(), lease().encode(KEY).to_vec()),
        ("write", plain(), write().encode(KEY).to_vec()),
    ]
}

fn is_damaged(codec: Codec<User>, key: &str, bytes: &[u8]) -> bool {
    matches!(codec.decode(key, bytes), Decoded::Damaged)
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn what_is_whole_is_read() {
    for (name, codec, bytes) in stored() {
        assert!(!is_damaged(codec, KEY, &bytes), "{name}");
        assert!(head_of(KEY, &bytes).fence().is_some(), "{name}");
    }
}

#[test]
fn every_flipped_bit_is_damage() {
    for (name, codec, mut bytes) in stored() {
        for bit in 0..bytes.len() * 8 {
            flip(&mut bytes, bit);
            assert!(is_damaged(codec, KEY, &bytes), "{name}: bit {bit}");
            flip(&mut bytes, bit);
        }
        assert!(!is_damaged(codec, KEY, &bytes), "{name} after its flips");
    }
}

#[test]
fn every_flipped_bit_of_a_head_leaves_no_fence() {
    for (name, _, mut bytes) in stored() {
        let checked = bytes.len().min(HEAD_LEN - 8) * 8;
        for bit in 0..checked {
            flip(&mut bytes, bit);
            assert_eq!(head_of(KEY, &bytes), Head::Nothing, "{name}: bit {bit}");
            flip(&mut bytes, bit);
        }
    }
}

#[test]
fn every_two_flipped_bits_are_damage() {
    for (name, codec, mut bytes) in stored() {
        let bits = bytes.len() * 8;
        for first in 0..bits {
            flip(&mut bytes, first);
            for second in first + 1..bits {
                flip(&mut bytes, second);
                assert!(
                    is_damaged(codec, KEY, &bytes),
                    "{name}: bits {first} and {second}"
                );
                flip(&mut bytes, second);
            }
            flip(&mut bytes, first);
        }
    }
}

#[test]
fn every_replaced_byte_is_damage() {
    for (name, codec, mut bytes) in stored() {
        for at in 0..bytes.len() {
            let original = bytes[at];
            for byte in (0..=u8::MAX).filter(|byte| *byte != original) {
                bytes[at] = byte;
                assert!(is_damaged(codec, KEY, &bytes), "{name}: byte {at} = {byte}");
            }
            bytes[at] = original;
        }
    }
}

#[test]
fn every_cut_is_damage() {
    for (name, codec, bytes) in stored() {
        for length in 0..bytes.len() {
            assert!(is_damaged(codec, KEY, &bytes[..length]), "{name}: {length}");
            assert!(is_damaged(codec, KEY, &bytes[bytes.len() - length..]));
        }
    }
}

#[test]
fn every_byte_too_many_is_damage() {
    for (name, codec, bytes) in stored() {
        for byte in 0..=u8::MAX {
            let behind = [&bytes[..], &[byte]].concat();
            assert!(is_damaged(codec, KEY, &behind), "{name}: {byte} behind");
            let before = [&[byte], &bytes[..]].concat();
            assert!(is_damaged(codec, KEY, &before), "{name}: {byte} before");
        }
        assert!(is_damaged(codec, KEY, &bytes.repeat(2)), "{name} twice");
    }
}

#[test]
fn nothing_is_read_under_another_key() {
    for (name, codec, bytes) in stored() {
        for other in ["user:43", "user:4", "user:422", "user:42\0", "", "USER:42"] {
            assert!(is_damaged(codec, other, &bytes), "{name} as {other:?}");
            assert_eq!(head_of(other, &bytes), Head::Nothing, "{name} as {other:?}");
        }
    }
}

#[test]
fn the_fence_prefix_tells_apart_what_stands_under_a_key() {
    let other = Fence(stamp().fence.0 ^ 1);
    let mut all = stored();
    let kinds = all.len();
    let mut buffer = Vec::new();
    let later = Stamp {
        fence: other,
        ..stamp()
    };
    let encoding = plain().encode_into(&mut buffer, KEY, later, &entry(User::sample()));
    assert_eq!(encoding.unwrap(), Encoding::Complete);
    all.push(("later entry", plain(), buffer));
    let later = Placeholder {
        fence: other,
        ..lease()
    };
    all.push(("later lease", plain(), later.encode(KEY).to_vec()));
    let prefixes: std::collections::HashSet<&[u8]> = all
        .iter()
        .map(|(_, _, bytes)| &bytes[..FENCE_LEN])
        .collect();
    assert_eq!(prefixes.len(), kinds + 2);
}

#[test]
fn an_older_schema_is_told_from_damage() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Versioned<const VERSION: u64> {
        id: u64,
    }
    impl<const VERSION: u64> CacheEntity for Versioned<VERSION> {
        type Key = u64;
        fn cache_key(&self) -> u64 {
            self.id
        }
        fn cache_prefix() -> &'static str {
            "versioned"
        }
        fn cache_schema() -> u64 {
            VERSION
        }
    }
    let old = Codec::<Versioned<1>>::new(MAX_BYTES);
    let new = Codec::<Versioned<2>>::new(MAX_BYTES);
    assert_ne!(old.schema(), new.schema());
    let mut bytes = envelope(old, "versioned:1", &entry(Versioned { id: 1 }));
    assert!(matches!(
        new.decode("versioned:1", &bytes),
        Decoded::OtherSchema { stamp: found } if found == stamp()
    ));
    for bit in 0..bytes.len() * 8 {
        flip(&mut bytes, bit);
        assert!(matches!(
            new.decode("versioned:1", &bytes),
            Decoded::Damaged
        ));
        flip(&mut bytes, bit);
    }
}

/// A type that can make postcard build 2⁶⁴ elements without reading a byte, or recurse without end.
#[derive(Clone, Serialize, Deserialize)]
struct Bomb {
    units: Vec<()>,
    bytes: Vec<u8>,
    nested: Option<Box<Bomb>>,
}

impl CacheEntity for Bomb {
    type Key = u64;
    fn cache_key(&self) -> u64 {
        0
    }
    fn cache_prefix() -> &'static str {
        "bomb"
    }
}

#[test]
fn a_bomb_under_a_wrong_checksum_is_never_decoded() {
    const HUGE: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let codec = Codec::<Bomb>::new(MAX_BYTES);
    let value = Bomb {
        units: vec![],
        bytes: vec![],
        nested: None,
    };
    let whole = envelope(codec, "bomb:0", &entry(value));
    let nested = b"\0\0\x01".repeat(1_000_000);
    for payload in [HUGE, &[b"\0", HUGE].concat(), &nested] {
        let mut bytes = whole[..HEAD_LEN].to_vec();
        bytes.extend_from_slice(payload);
        assert!(matches!(codec.decode("bomb:0", &bytes), Decoded::Damaged));
        // Even with a head whose length field is valid.
        let head: &HeadBytes = whole.first_chunk().unwrap();
        let mut head = EntryHead::read("bomb:0", head).unwrap();
        head.body_len = u32::try_from(payload.len()).unwrap();
        let mut bytes = head.write("bomb:0", b"another body").to_vec();
        bytes.extend_from_slice(payload);
        assert!(matches!(head_of("bomb:0", &bytes), Head::Entry(found) if found == head));
        assert!(matches!(codec.decode("bomb:0", &bytes), Decoded::Damaged));
    }
}

#[test]
fn garbage_is_damage() {
    let mut random = fastrand::Rng::with_seed(42);
    for round in 0..100_000 {
        let mut bytes = vec![0; random.usize(..300)];
        random.fill(&mut bytes);
        let opening: &[u8] = match round % 4 {
            0 => &[],
            1 => &[&ENTRY_MAGIC[..], &[VERSION, random.u8(..4), 0, 0]].concat(),
            2 => &[&PLACEHOLDER_MAGIC[..], &[VERSION, 0x0F, 0, 0]].concat(),
            _ => {
                bytes.truncate(PLACEHOLDER_LEN);
                &[&PLACEHOLDER_MAGIC[..], &[VERSION, 0xF0, 0, 0]].concat()
            }
        };
        for (byte, set) in bytes.iter_mut().zip(opening) {
            *byte = *set;
        }
        assert!(is_damaged(plain(), KEY, &bytes), "round {round}: {bytes:?}");
        assert!(is_damaged(plain().carrying_key(), KEY, &bytes));
        assert_eq!(head_of(KEY, &bytes), Head::Nothing, "round {round}");
    }
}

#[test]
fn garbage_under_valid_checksums_never_panics() {
    let mut random = fastrand::Rng::with_seed(7);
    for codec in [plain(), plain().carrying_key()] {
        let whole = envelope(codec, KEY, &entry(User::sample()));
        let head: &HeadBytes = whole.first_chunk().unwrap();
        let mut head = EntryHead::read(KEY, head).unwrap();
        for _ in 0..50_000 {
            let mut body = vec![0; random.usize(..64)];
            random.fill(&mut body);
            if random.bool() && body.len() > 4 {
                body[..4].copy_from_slice(&[7, 0, 0, 0]);
            }
            if random.bool() && body.len() > 11 {
                body[4..11].copy_from_slice(KEY.as_bytes());
            }
            head.body_len = u32::try_from(body.len()).unwrap();
            let bytes = [&head.write(KEY, &body)[..], &body].concat();
            // A forgery decodes to a user or is a miss. Returning at all is enough.
            match codec.decode(KEY, &bytes) {
                Decoded::Entry { entry, .. } => assert!(entry.value.is_some()),
                Decoded::OtherSchema { stamp: found } => assert_eq!(found, stamp()),
                Decoded::Damaged => assert!(head.carries_key),
                Decoded::Placeholder(found) => panic!("a placeholder: {found:?}"),
            }
        }
    }
}

#[test]
fn what_others_put_there_is_damage() {
    for foreign in [
        &b""[..],
        b"\0",
        b"1",
        b"null",
        b"{\"id\":42}",
        b"user:42",
        &[0; 32],
        &[0; 80],
        &[0xff; 80],
        &ENTRY_MAGIC,
        &PLACEHOLDER_MAGIC,
        &[b' '; 4096],
    ] {
        assert!(is_damaged(plain(), KEY, foreign), "{foreign:?}");
        assert_eq!(head_of(KEY, foreign), Head::Nothing, "{foreign:?}");
    }
}
