//! [`Slot`]: an entry as the map keeps it: type-erased, and in 48 bytes.

use std::any::Any;
use std::sync::Arc;

use crate::backend::Fence;
use crate::clock::Timestamp;
use crate::entry::{Entry, Freshness};
use crate::unwind::caught;

#[derive(Clone)]
pub(super) struct Slot {
    pub(super) value: Value,
    /// And the lower half of the time that the load took.
    created: Packed,
    /// And the upper half of it.
    stale_from: Packed,
    /// And the lower half of the weight.
    expires: Packed,
    /// And the upper half of it.
    fence: Packed,
}

const _: () = assert!(size_of::<Slot>() == 48);

/// An entity, or a known absence. The `Drop` of an entity is user code. A panic in it is caught
/// here, so that the call that happens to drop an entry goes on, and so does the drop of a whole
/// map.
#[derive(Clone)]
pub(super) struct Value(pub(super) Option<Arc<dyn Any + Send + Sync>>);

impl Drop for Value {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            // Reported by the panic hook.
            let _ = caught(|| drop(value));
        }
    }
}

/// A number of 48 bits, and one of 16 above it.
#[derive(Clone, Copy)]
struct Packed(u64);

/// How many bits a moment has, and a fence: milliseconds until the year 10889.
pub(super) const BITS: u32 = 48;

/// The largest number of so many bits. As a moment it is [`Timestamp::NEVER`].
const LARGEST: u64 = (1 << BITS) - 1;

impl Packed {
    fn new(number: u64, above: u16) -> Self {
        Self(number.min(LARGEST) | u64::from(above) << BITS)
    }

    fn moment(moment: Timestamp, above: u16) -> Self {
        Self::new(moment.as_millis(), above)
    }

    #[inline]
    fn number(self) -> u64 {
        self.0 & LARGEST
    }

    /// Whether the moment lies after `now`.
    #[inline]
    fn is_after(self, now: Timestamp) -> bool {
        now.as_millis() < self.number()
    }

    #[inline]
    fn to_moment(self) -> Timestamp {
        match self.number() {
            LARGEST => Timestamp::NEVER,
            millis => Timestamp::from_millis(millis),
        }
    }

    #[inline]
    fn above(self) -> u16 {
        (self.0 >> BITS) as u16
    }
}

/// The lower and the upper half of a number.
fn halves(number: u32) -> (u16, u16) {
    (number as u16, (number >> 16) as u16)
}

#[inline]
fn whole(lower: Packed, upper: Packed) -> u32 {
    u32::from(lower.above()) | u32::from(upper.above()) << 16
}

impl Slot {
    /// The slot of an entry. Its weight and its fence are set when it is stored.
    pub(super) fn of(entry: Entry<dyn Any + Send + Sync>) -> Self {
        let load = halves(entry.load_millis);
        Self {
            value: Value(entry.value),
            created: Packed::moment(entry.created, load.0),
            stale_from: Packed::moment(entry.stale_from, load.1),
            expires: Packed::moment(entry.expires, 1),
            fence: Packed::new(0, 0),
        }
    }

    #[inline]
    pub(super) fn fence(&self) -> Fence {
        Fence(self.fence.number())
    }

    /// Gives the slot its fence, which has [48 bits](BITS).
    pub(super) fn set_fence(&mut self, fence: Fence) {
        self.fence = Packed::new(fence.0, self.fence.above());
    }

    pub(super) fn set_weight(&mut self, weight: u32) {
        let (lower, upper) = halves(weight);
        self.expires = Packed::new(self.expires.number(), lower);
        self.fence = Packed::new(self.fence.number(), upper);
    }

    /// What the entry counts against the capacity; at least 1.
    pub(super) fn weight(&self) -> u32 {
        whole(self.expires, self.fence)
    }

    #[inline]
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.stale_from.is_after(now) && self.expires.is_after(now)
    }

    /// Whether the entry is fresh, stale or expired at `now`.
    pub(super) fn freshness(&self, now: Timestamp) -> Freshness {
        if !self.expires.is_after(now) {
            Freshness::Expired
        } else if self.stale_from.is_after(now) {
            Freshness::Fresh
        } else {
            Freshness::Stale
        }
    }

    /// Takes the entry out.
    #[inline]
    pub(super) fn take(&mut self) -> Entry<dyn Any + Send + Sync> {
        Entry {
            value: self.value.0.take(),
            created: self.created.to_moment(),
            stale_from: self.stale_from.to_moment(),
            expires: self.expires.to_moment(),
            load_millis: whole(self.created, self.stale_from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_with_all_its_stamps() {
        let ends = [0, 1, 253_402_300_799_999, LARGEST - 1, u64::MAX].map(Timestamp::from_millis);
        for moments in [ends, [ends[4], ends[3], ends[2], ends[1], ends[0]]] {
            for number in [0, 1, 0xffff, 0x1_0000, u32::MAX] {
                let entry = || Entry::<dyn Any + Send + Sync> {
                    value: Some(Arc::new(7)),
                    created: moments[0],
                    stale_from: moments[1],
                    expires: moments[2],
                    load_millis: number,
                };
                let mut slot = Slot::of(entry());
                slot.set_weight(u32::MAX - number);
                slot.set_fence(Fence(LARGEST - 2));
                assert_eq!(slot.fence(), Fence(LARGEST - 2));
                assert_eq!(slot.weight(), u32::MAX - number);
                for now in ends.into_iter().chain(moments) {
                    let fresh = slot.freshness(now) == Freshness::Fresh;
                    assert_eq!(slot.is_fresh(now), fresh);
                    assert_eq!(fresh, now < moments[1] && now < moments[2]);
                }
                let (back, entry) = (slot.take(), entry());
                assert_eq!(
                    (
                        back.created,
                        back.stale_from,
                        back.expires,
                        back.load_millis
                    ),
                    (
                        entry.created,
                        entry.stale_from,
                        entry.expires,
                        entry.load_millis
                    )
                );
            }
        }
    }
}
