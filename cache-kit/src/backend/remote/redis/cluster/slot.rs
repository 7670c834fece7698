//! Which of the 16,384 slots of a cluster a key belongs to.

use crc::{CRC_16_XMODEM, Crc, Table};

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

static CRC: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_XMODEM);

/// The slot of `key`. Only what is between the first `{` and the next `}` counts, if that is
/// anything.
pub(super) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('}')?;
        (!tag.is_empty()).then_some(tag)
    });
    CRC.checksum(tag.unwrap_or(key).as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    // The answers of `CLUSTER KEYSLOT` on Redis 7.0.
    #[test]
    fn a_key_has_the_slot_that_the_server_gives_it() {
        for (key, slot) in [
            ("", 0),
            ("123456789", 12_739),
            ("foo", 12_182),
            ("user:42", 15_880),
            ("{user}:1", 5_474),
            ("user", 5_474),
            ("a{user}b{order}", 5_474),
            ("{}user", 12_192),
            ("a{}{user}", 2_834),
            ("{user", 9_243),
            ("größe:1", 7_506),
        ] {
            assert_eq!(slot_of(key), slot, "{key:?}");
        }
    }
}
