//! [`Guess`]: what the text of a small key probably is, from what its `Hash` feeds to a hasher.
//!
//! For a newtype over an integer, and for a uuid, the guess costs a few instructions where the `Display`
//! costs hundreds. It proves nothing: see [`key`](super::key).

use std::hash::{Hash, Hasher};
use std::mem::{needs_drop, size_of};

pub(super) enum Guess {
    Number(u64),
    /// Its bytes, as they lie in memory, as one number.
    Uuid(u128),
}

impl Guess {
    /// What the text of `key` probably is.
    #[inline]
    pub(super) fn of<K: Hash>(key: &K) -> Option<Self> {
        if size_of::<K>() > size_of::<u128>() || needs_drop::<K>() {
            return None;
        }
        let mut heard = Heard::Nothing;
        key.hash(&mut heard);
        match heard {
            Heard::Number(number) => Some(Self::Number(number)),
            Heard::Bytes(bytes) => Some(Self::Uuid(bytes)),
            Heard::Nothing | Heard::More => None,
        }
    }
}

/// Remembers what a key feeds to it, if that is one number, or sixteen bytes.
enum Heard {
    Nothing,
    Number(u64),
    Bytes(u128),
    More,
}

impl Heard {
    #[inline]
    fn number(&mut self, number: impl TryInto<u64>) {
        *self = match (&self, number.try_into()) {
            (Self::Nothing, Ok(number)) => Self::Number(number),
            _ => Self::More,
        };
    }
}

macro_rules! hear_numbers {
    ($($method:ident: $number:ty),*) => {$(
        #[inline]
        fn $method(&mut self, number: $number) {
            self.number(number);
        }
    )*};
}

impl Hasher for Heard {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        *self = match (&self, bytes.try_into()) {
            // An array feeds its length first.
            (Self::Nothing | Self::Number(16), Ok(bytes)) => {
                Self::Bytes(u128::from_ne_bytes(bytes))
            }
            _ => Self::More,
        };
    }

    hear_numbers!(write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128);
    hear_numbers!(write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128);
    hear_numbers!(write_usize: usize, write_isize: isize);

    fn finish(&self) -> u64 {
        0
    }
}
