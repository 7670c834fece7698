//! The golden files: keys and bytes, pinned.
//!
//! In them, `#` starts a comment and spaces are ignored.

use super::super::{Decoded, Head, head_of};
use super::*;
use crate::key::CacheKey;

/// A change of the bytes makes old entries unreadable, so it needs a new format version.
fn pinned(name: &str, golden: &str, bytes: &[u8]) {
    assert!(
        parse(golden) == bytes,
        "the bytes of golden/{name} have changed: raise VERSION in codec/head.rs, so that entries \
         of the older format are misses, then write this to the file:\n{}",
        show(bytes),
    );
}

fn parse(golden: &str) -> Vec<u8> {
    let digits: Vec<u8> = golden
        .lines()
        .flat_map(|line| line.split('#').next())
        .flat_map(str::bytes)
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        })
        .collect()
}

fn show(bytes: &[u8]) -> String {
    bytes
        .chunks(8)
        .map(|line| line.iter().map(|byte| format!("{byte:02x} ")).collect())
        .map(|line: String| line.trim_end().to_owned() + "\n")
        .collect()
}

macro_rules! golden {
    ($name:literal, $bytes:expr) => {
        pinned(
            $name,
            include_str!(concat!("../golden/", $name)),
            $bytes.as_ref(),
        )
    };
}

fn key() -> String {
    CacheKey::<User>::new(&42).text().unwrap().to_string()
}

fn absence() -> Entry<User> {
    Entry {
        value: None,
        stale_from: Timestamp::NEVER,
        expires: Timestamp::NEVER,
        ..entry(User::sample())
    }
}

#[test]
fn keys_are_pinned() {
    assert_eq!(key(), "user:42", "every entry under the old key is lost");
}

#[test]
fn envelopes_are_pinned() {
    let codec = Codec::<User>::new(MAX_BYTES);
    let keyed = codec.carrying_key();
    let value = entry(User::sample());
    golden!("entry.hex", envelope(codec, &key(), &value));
    golden!("absence.hex", envelope(codec, &key(), &absence()));
    golden!("entry_with_key.hex", envelope(keyed, &key(), &value));
    golden!("absence_with_key.hex", envelope(keyed, &key(), &absence()));
}

#[test]
fn an_envelope_with_a_generation_is_pinned() {
    let stamp = Stamp {
        generation: 0x99aa_bbcc_ddee_ff00,
        ..stamp()
    };
    let mut buffer = Vec::new();
    let encoding = Codec::<User>::new(MAX_BYTES)
        .encode_into(&mut buffer, &key(), stamp, &entry(User::sample()))
        .unwrap();
    assert_eq!(encoding, Encoding::Complete);
    golden!("generation.hex", buffer);
}

#[test]
fn placeholders_are_pinned() {
    golden!("lease.hex", lease().encode(&key()));
    golden!("write.hex", write().encode(&key()));
}

#[test]
fn the_golden_files_are_read() {
    let codec = Codec::<User>::new(MAX_BYTES);
    for (golden, codec, value) in [
        (include_str!("../golden/entry.hex"), codec, true),
        (include_str!("../golden/absence.hex"), codec, false),
        (
            include_str!("../golden/entry_with_key.hex"),
            codec.carrying_key(),
            true,
        ),
        (
            include_str!("../golden/absence_with_key.hex"),
            codec.carrying_key(),
            false,
        ),
    ] {
        let Decoded::Entry {
            entry: found,
            stamp: found_stamp,
        } = codec.decode("user:42", &parse(golden))
        else {
            panic!("not an entry:\n{golden}");
        };
        assert_eq!(found_stamp, stamp());
        assert_eq!(
            found.value.as_deref(),
            value.then(User::sample).as_ref(),
            "{golden}"
        );
        assert_eq!(found.created, entry(()).created);
    }
    for (golden, placeholder) in [
        (include_str!("../golden/lease.hex"), lease()),
        (include_str!("../golden/write.hex"), write()),
    ] {
        assert_eq!(
            head_of("user:42", &parse(golden)),
            Head::Placeholder(placeholder)
        );
    }
}
