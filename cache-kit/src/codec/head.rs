//! The fixed-width head of an entry, and what it says without the body.
//!
//! All numbers are little-endian. The first 16 bytes have one layout in entries and placeholders.
//!
//! | at | bytes | entry | placeholder |
//! |---:|---:|---|---|
//! | 0 | 4 | magic `CE 6B 69 74` | magic `31 94 96 8B` |
//! | 4 | 1 | format version, 1 | the same |
//! | 5 | 1 | flags: 1 absence, 2 carries its key, 4 pinned | kind: `0F` lease, `F0` write |
//! | 6 | 2 | zero | zero |
//! | 8 | 8 | write id, the fence | lease id, the fence |
//! | 16 | 8 | schema fingerprint | when it was taken, ms |
//! | 24 | 8 | created, ms since the Unix epoch | checksum of 0–23 and the key |
//! | 32 | 8 | stale from, ms; all ones for never | |
//! | 40 | 8 | expires, ms; all ones for never | |
//! | 48 | 4 | load time, ms | |
//! | 52 | 4 | length of the body | |
//! | 56 | 8 | generation, 0 for none | |
//! | 64 | 8 | checksum of 0–63 and the key | |
//! | 72 | 8 | checksum of that and the body | |
//! | 80 | | body: `key length (4), key` if flagged, then postcard | |

use crate::clock::Timestamp;
use crate::lease::Fence;

use super::placeholder::Placeholder;
use super::seal;

/// Marks an entry. Neither magic is UTF-8, so no text is taken for one of ours. Each is the
/// complement of the other, so no small damage turns one into the other.
pub(super) const ENTRY_MAGIC: [u8; 4] = [0xCE, b'k', b'i', b't'];
/// Marks a placeholder.
pub(super) const PLACEHOLDER_MAGIC: [u8; 4] = [0x31, 0x94, 0x96, 0x8B];
/// The version of both formats. Raise it with every change of a golden file.
pub(super) const VERSION: u8 = 1;

/// Magic and version.
pub(super) const fn prefix(magic: [u8; 4]) -> [u8; 5] {
    let [a, b, c, d] = magic;
    [a, b, c, d, VERSION]
}

pub(super) const MAGIC_AT: usize = 0;
pub(super) const VERSION_AT: usize = MAGIC_AT + 4;
/// The flags of an entry, the kind of a placeholder.
pub(super) const KIND_AT: usize = VERSION_AT + 1;
pub(super) const RESERVED_AT: usize = KIND_AT + 1;
pub(super) const ID_AT: usize = RESERVED_AT + 2;
/// The shortest prefix that differs between any two values that a key ever had. A script that
/// compares this prefix compares the fence.
pub(crate) const FENCE_LEN: usize = ID_AT + 8;

const SCHEMA_AT: usize = FENCE_LEN;
const CREATED_AT: usize = SCHEMA_AT + 8;
const STALE_FROM_AT: usize = CREATED_AT + 8;
const EXPIRES_AT: usize = STALE_FROM_AT + 8;
const LOAD_MILLIS_AT: usize = EXPIRES_AT + 8;
const BODY_LEN_AT: usize = LOAD_MILLIS_AT + 4;
const GENERATION_AT: usize = BODY_LEN_AT + 4;
const HEAD_SUM_AT: usize = GENERATION_AT + 8;
const BODY_SUM_AT: usize = HEAD_SUM_AT + 8;
/// The length of an entry's head.
pub(crate) const HEAD_LEN: usize = BODY_SUM_AT + 8;

const _: () = assert!(HEAD_LEN == 80 && FENCE_LEN == 16, "the layout is pinned");

const ABSENCE: u8 = 1;
const CARRIES_KEY: u8 = 2;
const PINNED: u8 = 4;

/// The bytes of one head.
pub(super) type HeadBytes = [u8; HEAD_LEN];

/// The contents of an entry's head. Its own checksum was verified; the body's was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryHead {
    pub(crate) fence: Fence,
    pub(crate) schema: u64,
    pub(crate) created: Timestamp,
    pub(crate) stale_from: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) load_millis: u32,
    pub(crate) generation: u64,
    /// The repository was asked and had nothing.
    pub(crate) absence: bool,
    /// The body begins with the full cache key.
    pub(crate) carries_key: bool,
    /// No reader's policy shortens its time to live.
    pub(crate) pinned: bool,
    /// The length of the envelope after the head.
    pub(crate) body_len: u32,
}

/// What is under a key, as far as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// An entry. Its body may still be damaged.
    Entry(EntryHead),
    /// A lease or a write.
    Placeholder(Placeholder),
    /// Empty, too short, foreign, damaged, or of another key: no fence.
    Nothing,
}

/// Says what is under `key`, from the first [`HEAD_LEN`] bytes of it, or from all of it.
pub(crate) fn head_of(key: &str, bytes: &[u8]) -> Head {
    if let Some(placeholder) = Placeholder::decode(key, bytes) {
        return Head::Placeholder(placeholder);
    }
    bytes
        .first_chunk()
        .and_then(|head| EntryHead::read(key, head))
        .map_or(Head::Nothing, Head::Entry)
}

impl Head {
    /// The fence of the entry or placeholder.
    pub(crate) fn fence(&self) -> Option<Fence> {
        match self {
            Self::Entry(head) => Some(head.fence),
            Self::Placeholder(placeholder) => Some(placeholder.fence),
            Self::Nothing => None,
        }
    }
}

impl EntryHead {
    /// How many bytes the whole entry has.
    pub(crate) fn envelope_len(&self) -> usize {
        usize::try_from(self.body_len).map_or(usize::MAX, |body| body.saturating_add(HEAD_LEN))
    }

    /// The head of an entry under `key` with this `body`.
    pub(super) fn write(&self, key: &str, body: &[u8]) -> HeadBytes {
        let mut flags = 0;
        if self.absence {
            flags |= ABSENCE;
        }
        if self.carries_key {
            flags |= CARRIES_KEY;
        }
        if self.pinned {
            flags |= PINNED;
        }
        let mut head = [0; HEAD_LEN];
        put(&mut head, MAGIC_AT, ENTRY_MAGIC);
        put(&mut head, VERSION_AT, [VERSION]);
        put(&mut head, KIND_AT, [flags]);
        put(&mut head, ID_AT, self.fence.0.to_le_bytes());
        put(&mut head, SCHEMA_AT, self.schema.to_le_bytes());
        put_time(&mut head, CREATED_AT, self.created);
        put_time(&mut head, STALE_FROM_AT, self.stale_from);
        put_time(&mut head, EXPIRES_AT, self.expires);
        put(&mut head, LOAD_MILLIS_AT, self.load_millis.to_le_bytes());
        put(&mut head, BODY_LEN_AT, self.body_len.to_le_bytes());
        put(&mut head, GENERATION_AT, self.generation.to_le_bytes());
        let head_sum = seal::head(&head[..HEAD_SUM_AT], key);
        put(&mut head, HEAD_SUM_AT, head_sum.to_le_bytes());
        let body_sum = seal::body(head_sum, body);
        put(&mut head, BODY_SUM_AT, body_sum.to_le_bytes());
        head
    }

    /// The contents of `head`, if it is the head of an entry under `key`.
    #[inline]
    pub(super) fn read(key: &str, head: &HeadBytes) -> Option<Self> {
        let flags = head[KIND_AT];
        let ours = take(head, MAGIC_AT) == ENTRY_MAGIC
            && head[VERSION_AT] == VERSION
            && flags & !(ABSENCE | CARRIES_KEY | PINNED) == 0
            && take(head, RESERVED_AT) == [0, 0]
            && take_u64(head, HEAD_SUM_AT) == seal::head(&head[..HEAD_SUM_AT], key);
        ours.then(|| Self {
            fence: Fence(take_u64(head, ID_AT)),
            schema: take_u64(head, SCHEMA_AT),
            created: take_time(head, CREATED_AT),
            stale_from: take_time(head, STALE_FROM_AT),
            expires: take_time(head, EXPIRES_AT),
            load_millis: u32::from_le_bytes(take(head, LOAD_MILLIS_AT)),
            body_len: u32::from_le_bytes(take(head, BODY_LEN_AT)),
            generation: take_u64(head, GENERATION_AT),
            absence: flags & ABSENCE != 0,
            carries_key: flags & CARRIES_KEY != 0,
            pinned: flags & PINNED != 0,
        })
    }

    /// Whether `body` is the one that `head`, whose own checksum holds, was written with.
    #[inline]
    pub(super) fn seals(head: &HeadBytes, body: &[u8]) -> bool {
        take_u64(head, BODY_SUM_AT) == seal::body(take_u64(head, HEAD_SUM_AT), body)
    }
}

/// Writes a field. Every offset is a constant inside the head, which the layout tests check.
#[inline]
pub(super) fn put<const N: usize, const L: usize>(head: &mut [u8; L], at: usize, field: [u8; N]) {
    head[at..at + N].copy_from_slice(&field);
}

/// Reads a field.
#[inline]
pub(super) fn take<const N: usize, const L: usize>(head: &[u8; L], at: usize) -> [u8; N] {
    std::array::from_fn(|i| head[at + i])
}

#[inline]
pub(super) fn take_u64<const L: usize>(head: &[u8; L], at: usize) -> u64 {
    u64::from_le_bytes(take(head, at))
}

#[inline]
pub(super) fn take_time<const L: usize>(head: &[u8; L], at: usize) -> Timestamp {
    Timestamp::from_millis(take_u64(head, at))
}

#[inline]
pub(super) fn put_time<const L: usize>(head: &mut [u8; L], at: usize, time: Timestamp) {
    put(head, at, time.as_millis().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magics_are_as_far_apart_as_can_be_and_no_text() {
        let distance: u32 = std::iter::zip(ENTRY_MAGIC, PLACEHOLDER_MAGIC)
            .map(|(entry, placeholder)| (entry ^ placeholder).count_ones())
            .sum();
        assert_eq!(distance, 32);
        for magic in [ENTRY_MAGIC, PLACEHOLDER_MAGIC] {
            assert!(String::from_utf8(magic.to_vec()).is_err());
        }
    }

    #[test]
    fn every_field_of_a_head_comes_back() {
        let head = EntryHead {
            fence: Fence(0x0102_0304_0506_0708),
            schema: u64::MAX,
            created: Timestamp::from_millis(1),
            stale_from: Timestamp::from_millis(2),
            expires: Timestamp::NEVER,
            load_millis: u32::MAX,
            pinned: false,
            generation: 3,
            absence: true,
            carries_key: true,
            body_len: 4,
        };
        let bytes = head.write("user:42", b"body");
        assert_eq!(head_of("user:42", &bytes), Head::Entry(head));
        assert_eq!(head_of("user:42", &bytes).fence(), Some(head.fence));
        assert_eq!(head_of("user:43", &bytes), Head::Nothing);
        assert!(EntryHead::seals(&bytes, b"body"));
        assert!(!EntryHead::seals(&bytes, b"bodY"));
        assert!(!EntryHead::seals(&bytes, b""));
    }

    #[test]
    fn a_head_is_read_from_whatever_follows_it_and_never_from_less() {
        let head = EntryHead {
            fence: Fence(7),
            schema: 0,
            created: Timestamp::from_millis(0),
            stale_from: Timestamp::NEVER,
            expires: Timestamp::NEVER,
            load_millis: 0,
            pinned: false,
            generation: 0,
            absence: false,
            carries_key: false,
            body_len: 0,
        };
        let mut bytes = head.write("k", b"").to_vec();
        for length in 0..HEAD_LEN {
            assert_eq!(head_of("k", &bytes[..length]), Head::Nothing, "{length}");
        }
        bytes.extend_from_slice(b"whatever");
        assert_eq!(head_of("k", &bytes), Head::Entry(head));
    }

    #[test]
    fn reserved_bits_are_refused_even_under_a_valid_checksum() {
        let head = EntryHead {
            fence: Fence(7),
            schema: 0,
            created: Timestamp::from_millis(0),
            stale_from: Timestamp::NEVER,
            expires: Timestamp::NEVER,
            load_millis: 0,
            pinned: false,
            generation: 0,
            absence: false,
            carries_key: false,
            body_len: 0,
        };
        let good = head.write("k", b"");
        for (at, byte) in [
            (MAGIC_AT, 0),
            (VERSION_AT, VERSION + 1),
            (VERSION_AT, 0),
            (KIND_AT, 8),
            (KIND_AT, 0x80),
            (RESERVED_AT, 1),
            (RESERVED_AT + 1, 1),
        ] {
            let mut bytes = good;
            bytes[at] = byte;
            let sum = seal::head(&bytes[..HEAD_SUM_AT], "k");
            put(&mut bytes, HEAD_SUM_AT, sum.to_le_bytes());
            assert_eq!(head_of("k", &bytes), Head::Nothing, "byte {at} = {byte}");
        }
    }
}
