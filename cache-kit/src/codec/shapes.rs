//! The types that a backend has met, their shapes, and how large their values are.

use std::any::TypeId;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use crate::entity::CacheEntity;
use crate::entry::Entry;
use crate::error::Result;

use super::proof;
use super::seal;
use super::size::Size;
use super::trace::{self, Shape};

/// The shapes of all types that a backend has met. A type is traced the first time.
///
/// Every look-up needs a shape, so finding one must cost next to nothing: it takes no lock and
/// writes nothing. Shapes are never removed.
#[derive(Default)]
pub(crate) struct Shapes {
    first: Table,
}

/// A hash table of a fixed size; when it is full, there is another one behind it.
#[derive(Default)]
struct Table {
    slots: [OnceLock<Known>; SLOTS],
    next: OnceLock<Box<Table>>,
}

const SLOTS: usize = 32;

struct Known {
    of: TypeId,
    shape: Shape,
    size: Size,
}

impl Shapes {
    /// The shape of `T`.
    #[inline]
    pub(crate) fn of<T: CacheEntity>(&self) -> &Shape {
        &self.known::<T>().shape
    }

    /// How many bytes the values of `T` take.
    #[inline]
    pub(crate) fn size<T: CacheEntity>(&self) -> &Size {
        &self.known::<T>().size
    }

    #[inline]
    fn known<T: CacheEntity>(&self) -> &Known {
        let of = TypeId::of::<T>();
        self.find(of).unwrap_or_else(|| self.add::<T>(of))
    }

    #[inline]
    fn find(&self, of: TypeId) -> Option<&Known> {
        let mut table = &self.first;
        loop {
            for slot in table.row(of) {
                let known = slot.get()?;
                if known.of == of {
                    return Some(known);
                }
            }
            table = table.next.get()?;
        }
    }

    /// Traces `T`. If two threads meet a type at the same time, both trace it, and one shape is
    /// kept.
    #[cold]
    fn add<T: CacheEntity>(&self, of: TypeId) -> &Known {
        // Two types whose keys can be one text have different prefixes, or are one type's versions.
        let stated = seal::next(T::cache_schema(), T::cache_prefix().as_bytes());
        let shape = trace::trace::<T>(stated);
        let size = Size::default();
        let mut known = Known { of, shape, size };
        let mut table = &self.first;
        loop {
            for slot in table.row(of) {
                let left = slot.set(known).err();
                match (slot.get(), left) {
                    (Some(stands), None) => return stands,
                    (Some(stands), Some(_)) if stands.of == of => return stands,
                    (_, Some(left)) => known = left,
                    // A slot that was set stays set.
                    (None, None) => return self.add::<T>(of),
                }
            }
            table = table.next.get_or_init(Box::default);
        }
    }
}

impl Shape {
    /// Refuses an entry of a type none of whose values can be read back.
    pub(crate) fn admit<T: CacheEntity>(&self, entry: &Entry<T>) -> Result<()> {
        match &entry.value {
            Some(_) => proof::of_type::<T>(self),
            None => Ok(()),
        }
    }
}

impl Table {
    /// The order in which the slots are tried for a type.
    #[inline]
    fn row(&self, of: TypeId) -> impl Iterator<Item = &OnceLock<Known>> {
        let mut hasher = Fold(0);
        of.hash(&mut hasher);
        // Less than the number of slots.
        let start = (hasher.0 % SLOTS as u64) as usize;
        self.slots[start..].iter().chain(&self.slots[..start])
    }
}

/// A type's id is a hash already.
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tables = 1;
        let mut table = &self.first;
        while let Some(next) = table.next.get() {
            tables += 1;
            table = next;
        }
        f.debug_struct("Shapes")
            .field("tables", &tables)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use serde::{Deserialize, Serialize};

    use super::*;

    /// A type for each number; two of them ask for the same only if their numbers are equal.
    #[derive(Clone, Serialize, Deserialize)]
    struct Numbered<const N: usize>;

    impl<const N: usize> CacheEntity for Numbered<N> {
        type Key = u8;

        fn cache_key(&self) -> u8 {
            0
        }

        fn cache_prefix() -> &'static str {
            "numbered"
        }

        fn cache_schema() -> u64 {
            N as u64
        }
    }

    macro_rules! numbered {
        ($shapes:ident $($tens:literal)*) => {
            vec![$(
                $shapes.of::<Numbered<{ $tens * 10 }>>().fingerprint,
                $shapes.of::<Numbered<{ $tens * 10 + 1 }>>().fingerprint,
                $shapes.of::<Numbered<{ $tens * 10 + 2 }>>().fingerprint,
                $shapes.of::<Numbered<{ $tens * 10 + 3 }>>().fingerprint,
                $shapes.of::<Numbered<{ $tens * 10 + 4 }>>().fingerprint,
            )*]
        };
    }

    #[test]
    fn every_type_keeps_its_own_shape_however_many_there_are() {
        let shapes = Shapes::default();
        let ask = || numbered!(shapes 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        let start = Barrier::new(4);
        let answers: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        ask()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let first = ask();
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 100);
        assert!(answers.iter().all(|answer| *answer == first));
        assert!(shapes.first.next.get().is_some());
    }

    #[test]
    fn a_shape_is_made_once() {
        let shapes = Shapes::default();
        let first: *const Shape = shapes.of::<Numbered<1>>();
        assert!(std::ptr::eq(first, shapes.of::<Numbered<1>>()));
    }
}
