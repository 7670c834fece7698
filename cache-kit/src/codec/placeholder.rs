//! Placeholders: a lease, or a write, under the value's own key.

use crate::clock::Timestamp;
use crate::lease::Fence;

use super::head::{
    FENCE_LEN, ID_AT, KIND_AT, MAGIC_AT, PLACEHOLDER_MAGIC, RESERVED_AT, VERSION, VERSION_AT, put,
    put_time, take, take_time, take_u64,
};
use super::seal;

const TAKEN_AT: usize = FENCE_LEN;
const SUM_AT: usize = TAKEN_AT + 8;
/// The length of every placeholder.
pub(crate) const PLACEHOLDER_LEN: usize = SUM_AT + 8;

const _: () = assert!(PLACEHOLDER_LEN == 32, "the layout is pinned");

/// Complements of each other, like the magics.
const LEASE: u8 = 0x0F;
const WRITE: u8 = 0xF0;

/// What is under a key while it is being loaded or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placeholder {
    /// What its owner is doing.
    pub(crate) kind: PlaceholderKind,
    /// The id of the lease.
    pub(crate) fence: Fence,
    /// When it was taken, by the owner's clock.
    pub(crate) taken: Timestamp,
}

/// What the owner of a [`Placeholder`] is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceholderKind {
    /// Loading the key. Others may wait for it, or load over it.
    Lease,
    /// Writing the key, which only the owner may fill.
    Write,
}

impl Placeholder {
    /// The bytes to put under `key`.
    pub(crate) fn encode(&self, key: &str) -> [u8; PLACEHOLDER_LEN] {
        let kind = match self.kind {
            PlaceholderKind::Lease => LEASE,
            PlaceholderKind::Write => WRITE,
        };
        let mut bytes = [0; PLACEHOLDER_LEN];
        put(&mut bytes, MAGIC_AT, PLACEHOLDER_MAGIC);
        put(&mut bytes, VERSION_AT, [VERSION]);
        put(&mut bytes, KIND_AT, [kind]);
        put(&mut bytes, ID_AT, self.fence.0.to_le_bytes());
        put_time(&mut bytes, TAKEN_AT, self.taken);
        let sum = seal::head(&bytes[..SUM_AT], key);
        put(&mut bytes, SUM_AT, sum.to_le_bytes());
        bytes
    }

    /// Decodes `bytes` under `key`, if they are exactly one placeholder.
    #[inline]
    pub(super) fn decode(key: &str, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PLACEHOLDER_LEN] = bytes.try_into().ok()?;
        let kind = match bytes[KIND_AT] {
            LEASE => PlaceholderKind::Lease,
            WRITE => PlaceholderKind::Write,
            _ => return None,
        };
        let ours = take(bytes, MAGIC_AT) == PLACEHOLDER_MAGIC
            && bytes[VERSION_AT] == VERSION
            && take(bytes, RESERVED_AT) == [0, 0]
            && take_u64(bytes, SUM_AT) == seal::head(&bytes[..SUM_AT], key);
        ours.then(|| Self {
            kind,
            fence: Fence(take_u64(bytes, ID_AT)),
            taken: take_time(bytes, TAKEN_AT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_bits_are_refused_even_under_a_valid_checksum() {
        let placeholder = Placeholder {
            kind: PlaceholderKind::Lease,
            fence: Fence(7),
            taken: Timestamp::from_millis(1),
        };
        let good = placeholder.encode("k");
        assert_eq!(Placeholder::decode("k", &good), Some(placeholder));
        for (at, byte) in [
            (MAGIC_AT, 0),
            (VERSION_AT, VERSION + 1),
            (VERSION_AT, 0),
            (KIND_AT, 0),
            (KIND_AT, 0xFF),
            (RESERVED_AT, 1),
            (RESERVED_AT + 1, 1),
        ] {
            let mut bytes = good;
            bytes[at] = byte;
            let sum = seal::head(&bytes[..SUM_AT], "k");
            put(&mut bytes, SUM_AT, sum.to_le_bytes());
            let decoded = Placeholder::decode("k", &bytes);
            assert_eq!(decoded, None, "byte {at} = {byte}");
        }
    }
}
