//! Envelopes: a stored entry as bytes.

use std::sync::Arc;

use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;

use super::head::{EntryHead, HEAD_LEN};
use super::payload;
use super::placeholder::Placeholder;
use super::proof;
use super::{Codec, Decoded, Encoding, Shape, Stamp};

/// The width of the length before a key in the body.
const KEY_LEN: usize = 4;

impl<T: CacheEntity> Codec<T> {
    /// Fills `buffer` with the envelope of `entry` under `key`, whatever it held before.
    ///
    /// # Errors
    /// [`Error::SerializationError`](crate::Error::SerializationError) if the type cannot be
    /// carried by postcard. The buffer is empty then.
    pub(crate) fn encode_into(
        &self,
        buffer: &mut Vec<u8>,
        key: &str,
        stamp: Stamp,
        entry: &Entry<T>,
    ) -> Result<Encoding> {
        let encoding = self.encode(buffer, key, stamp, entry);
        if !matches!(encoding, Ok(Encoding::Complete)) {
            buffer.clear();
        }
        encoding
    }

    /// Proves that what [`encode_into`](Self::encode_into) wrote decodes to `entry`.
    ///
    /// # Errors
    /// [`Error::SerializationError`](crate::Error::SerializationError) if it does not, with the
    /// path of the field if it is known.
    pub(crate) fn prove(
        &self,
        shape: &Shape,
        key: &str,
        envelope: &[u8],
        entry: &Entry<T>,
    ) -> Result<()> {
        let Some(value) = &entry.value else {
            return Ok(());
        };
        let keyed = if self.carries_key {
            KEY_LEN + key.len()
        } else {
            0
        };
        let payload = envelope.get(HEAD_LEN + keyed..).unwrap_or_default();
        proof::of_value(shape, &**value, payload)
    }

    fn encode(
        &self,
        buffer: &mut Vec<u8>,
        key: &str,
        stamp: Stamp,
        entry: &Entry<T>,
    ) -> Result<Encoding> {
        buffer.clear();
        buffer.resize(HEAD_LEN, 0);
        if self.carries_key {
            let Ok(length) = u32::try_from(key.len()) else {
                return Ok(Encoding::TooLarge);
            };
            buffer.extend_from_slice(&length.to_le_bytes());
            buffer.extend_from_slice(key.as_bytes());
        }
        if buffer.len() > self.max_bytes {
            return Ok(Encoding::TooLarge);
        }
        if let Some(value) = &entry.value
            && payload::append(buffer, self.max_bytes, &**value)? == Encoding::TooLarge
        {
            return Ok(Encoding::TooLarge);
        }
        let Some((head, body)) = buffer.split_first_chunk_mut() else {
            return Ok(Encoding::TooLarge);
        };
        let Ok(body_len) = u32::try_from(body.len()) else {
            return Ok(Encoding::TooLarge);
        };
        *head = EntryHead {
            fence: stamp.fence,
            schema: self.schema,
            created: entry.created,
            stale_from: entry.stale_from,
            expires: entry.expires,
            load_millis: entry.load_millis,
            generation: stamp.generation,
            absence: entry.value.is_none(),
            carries_key: self.carries_key,
            pinned: entry.pinned,
            body_len,
        }
        .write(key, body);
        Ok(Encoding::Complete)
    }

    /// Reads what is under `key`.
    pub(crate) fn decode(&self, key: &str, bytes: &[u8]) -> Decoded<T> {
        if let Some(placeholder) = Placeholder::decode(key, bytes) {
            return Decoded::Placeholder(placeholder);
        }
        let Some((head, payload)) = self.open(key, bytes) else {
            return Decoded::Damaged;
        };
        let stamp = Stamp {
            fence: head.fence,
            generation: head.generation,
        };
        if head.schema != self.schema {
            return Decoded::OtherSchema { stamp };
        }
        let value = match (head.absence, payload) {
            (true, []) => None,
            (true, _) => return Decoded::Damaged,
            // The checksums hold, so the bytes are intact and the type has changed.
            (false, payload) => match payload::read(payload) {
                Some(value) => Some(Arc::new(value)),
                None => return Decoded::OtherSchema { stamp },
            },
        };
        Decoded::Entry {
            entry: Entry {
                value,
                created: head.created,
                stale_from: head.stale_from,
                expires: head.expires,
                load_millis: head.load_millis,
                pinned: head.pinned,
            },
            stamp,
        }
    }

    /// The head and the payload of an envelope that is intact and was written under `key`.
    #[inline]
    fn open<'a>(&self, key: &str, bytes: &'a [u8]) -> Option<(EntryHead, &'a [u8])> {
        if bytes.len() > self.max_bytes {
            return None;
        }
        let (head_bytes, body) = bytes.split_first_chunk()?;
        let head = EntryHead::read(key, head_bytes)?;
        if usize::try_from(head.body_len) != Ok(body.len()) || !EntryHead::seals(head_bytes, body) {
            return None;
        }
        if !head.carries_key {
            return (!self.carries_key).then_some((head, body));
        }
        let (length, rest) = body.split_first_chunk::<KEY_LEN>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (stored, payload) = rest.split_at_checked(length)?;
        (stored == key.as_bytes()).then_some((head, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::HeadBytes;
    use super::super::tests::{Product, User, entry, envelope, seal_anew, stamp};
    use super::*;

    fn with_body(bytes: &[u8], key: &str, body: &[u8]) -> Vec<u8> {
        let head: &HeadBytes = bytes.first_chunk().unwrap();
        let mut head = EntryHead::read(key, head).unwrap();
        head.body_len = u32::try_from(body.len()).unwrap();
        [&head.write(key, body)[..], body].concat()
    }

    #[test]
    fn the_size_limit_holds_to_the_byte_both_ways() {
        let entry = entry(User::sample());
        for carries_key in [false, true] {
            let codec = |max_bytes| {
                let codec = Codec::<User>::new(max_bytes);
                if carries_key {
                    codec.carrying_key()
                } else {
                    codec
                }
            };
            let bytes = envelope(codec(usize::MAX), "user:42", &entry);
            let mut buffer = vec![1; 7];
            for limit in 0..bytes.len() {
                let encoding = codec(limit).encode_into(&mut buffer, "user:42", stamp(), &entry);
                assert_eq!(encoding.unwrap(), Encoding::TooLarge, "{limit}");
                assert!(buffer.is_empty());
                let decoded = codec(limit).decode("user:42", &bytes);
                assert!(matches!(decoded, Decoded::Damaged), "{limit}");
            }
            assert_eq!(envelope(codec(bytes.len()), "user:42", &entry), bytes);
            let decoded = codec(bytes.len()).decode("user:42", &bytes);
            assert!(matches!(decoded, Decoded::Entry { .. }));
        }
    }

    #[test]
    fn a_value_far_over_the_limit_is_never_held_whole() {
        let entry = entry(User {
            notes: vec!["x".repeat(1000); 1000],
            ..User::sample()
        });
        let mut buffer = Vec::new();
        let encoding =
            Codec::<User>::new(4096).encode_into(&mut buffer, "user:42", stamp(), &entry);
        assert_eq!(encoding.unwrap(), Encoding::TooLarge);
        assert!(buffer.capacity() <= 16_384, "{}", buffer.capacity());
    }

    #[test]
    fn a_buffer_is_used_again_without_an_allocation_and_keeps_nothing() {
        let codec = Codec::<User>::new(1 << 20);
        let large = entry(User {
            notes: vec!["x".repeat(1000); 10],
            ..User::sample()
        });
        let small = entry(User::sample());
        let mut buffer = Vec::new();
        let _ = codec.encode_into(&mut buffer, "user:42", stamp(), &large);
        let (place, capacity) = (buffer.as_ptr(), buffer.capacity());
        let _ = codec.encode_into(&mut buffer, "user:42", stamp(), &small);
        assert_eq!((buffer.as_ptr(), buffer.capacity()), (place, capacity));
        assert_eq!(buffer, envelope(codec, "user:42", &small));
    }

    #[test]
    fn a_key_in_the_body_is_compared_even_if_every_checksum_holds() {
        let codec = Codec::<User>::new(1 << 20).carrying_key();
        let mine = envelope(codec, "user:42", &entry(User::sample()));
        assert!(matches!(
            codec.decode("user:42", &mine),
            Decoded::Entry { .. }
        ));
        // A forged envelope under another key: the same body with new checksums.
        let forged = seal_anew(&mine, "user:42", "user:43");
        assert!(matches!(codec.decode("user:43", &forged), Decoded::Damaged));

        let bare = envelope(Codec::new(1 << 20), "user:42", &entry(User::sample()));
        assert!(
            matches!(codec.decode("user:42", &bare), Decoded::Damaged),
            "a store of narrow keys wants the key in the body"
        );
        let reader = Codec::<User>::new(1 << 20);
        assert!(
            matches!(reader.decode("user:42", &mine), Decoded::Entry { .. }),
            "a store of whole keys reads either"
        );
    }

    #[test]
    fn a_key_section_that_lies_about_its_length_is_damage() {
        let codec = Codec::<User>::new(1 << 20).carrying_key();
        let bytes = envelope(codec, "k", &entry(User::sample()));
        for body in [
            &b""[..],
            b"\x01\0\0",
            b"\x01\0\0\0",
            b"\xff\xff\xff\xffk",
            b"\x02\0\0\0k",
            b"\0\0\0\0k",
        ] {
            let forged = with_body(&bytes, "k", body);
            assert!(matches!(codec.decode("k", &forged), Decoded::Damaged));
        }
    }

    #[test]
    fn a_head_that_lies_about_its_body_is_damage_even_if_every_checksum_holds() {
        let codec = Codec::<User>::new(1 << 20);
        let bytes = envelope(codec, "k", &entry(User::sample()));
        let (head, body) = bytes.split_first_chunk().unwrap();
        let head = EntryHead::read("k", head).unwrap();
        for lie in [0, head.body_len - 1, head.body_len + 1, u32::MAX] {
            let head = EntryHead {
                body_len: lie,
                ..head
            };
            let forged = [&head.write("k", body)[..], body].concat();
            assert!(matches!(codec.decode("k", &forged), Decoded::Damaged));
        }
    }

    #[test]
    fn an_absence_with_a_payload_is_damage() {
        let codec = Codec::<User>::new(1 << 20);
        let absence = Entry {
            value: None,
            ..entry(User::sample())
        };
        let bytes = envelope(codec, "k", &absence);
        assert_eq!(bytes.len(), HEAD_LEN);
        let forged = with_body(&bytes, "k", b"x");
        assert!(matches!(codec.decode("k", &forged), Decoded::Damaged));
    }

    #[test]
    fn a_payload_that_the_type_does_not_use_up_is_of_another_schema() {
        let codec = Codec::<User>::new(1 << 20);
        let bytes = envelope(codec, "k", &entry(User::sample()));
        let longer = [&bytes[HEAD_LEN..], b"\0"].concat();
        for body in [
            &longer[..],
            b"",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            let forged = with_body(&bytes, "k", body);
            assert!(matches!(
                codec.decode("k", &forged),
                Decoded::OtherSchema { stamp: found } if found == stamp()
            ));
        }
    }

    #[test]
    fn another_type_under_the_same_key_and_number_is_of_another_schema() {
        let bytes = envelope(Codec::new(1 << 20), "user:42", &entry(User::sample()));
        assert_eq!(User::cache_schema(), Product::cache_schema());
        assert!(matches!(
            Codec::<Product>::new(1 << 20).decode("user:42", &bytes),
            Decoded::OtherSchema { stamp: found } if found == stamp()
        ));
        let absence = Entry {
            value: None,
            ..entry(User::sample())
        };
        let bytes = envelope(Codec::new(1 << 20), "user:42", &absence);
        assert!(matches!(
            Codec::<Product>::new(1 << 20).decode("user:42", &bytes),
            Decoded::OtherSchema { .. }
        ));
    }
}
