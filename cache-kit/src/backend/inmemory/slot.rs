//! [`Slot`]: an entry as the map keeps it: type-erased, with its stamps beside it.

use std::any::Any;
use std::sync::Arc;
#[cfg(feature = "moka")]
use std::sync::Weak;

use crate::backend::Fence;
use crate::clock::Timestamp;
use crate::entry::{Entry, Freshness};
use crate::unwind::caught;

/// An entry, or one that refers to its value by a `V`.
#[derive(Clone)]
pub(super) struct Slot<V = Value> {
    pub(super) value: V,
    pub(super) fence: Fence,
    weight: Weight,
    load_millis: u32,
    created: Timestamp,
    stale_from: Timestamp,
    expires: Timestamp,
}

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

/// An entry that does not keep its value alive.
#[cfg(feature = "moka")]
pub(super) type WeakSlot = Slot<Option<Weak<dyn Any + Send + Sync>>>;

/// What an entry counts against the capacity, at least 1, and whether it is pinned. A bool of its own
/// would make the slot, which a hit copies, eight bytes longer.
#[derive(Clone, Copy)]
struct Weight(u32);

/// The bit that says that an entry is pinned.
const PINNED: u32 = 1 << 31;

impl Slot {
    /// The slot of an entry. Its weight and its fence are set when it is stored.
    pub(super) fn of(entry: Entry<dyn Any + Send + Sync>) -> Self {
        Self {
            value: Value(entry.value),
            fence: Fence(0),
            weight: Weight(1 | if entry.pinned { PINNED } else { 0 }),
            load_millis: entry.load_millis,
            created: entry.created,
            stale_from: entry.stale_from,
            expires: entry.expires,
        }
    }

    /// The same entry, without a share in its value.
    #[cfg(feature = "moka")]
    pub(super) fn downgrade(&self) -> WeakSlot {
        self.with_value(self.value.0.as_ref().map(Arc::downgrade))
    }

    /// Sets what it counts, up to 2³¹ - 1.
    pub(super) fn weigh(&mut self, weight: u64) {
        let weight = u32::try_from(weight).map_or(u32::MAX, |weight| weight.max(1));
        self.weight.0 = self.weight.0 & PINNED | weight.min(!PINNED);
    }

    pub(super) fn created(&self) -> Timestamp {
        self.created
    }

    #[inline]
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.stale_from && now < self.expires
    }

    /// Whether the entry is fresh, stale or expired at `now`.
    pub(super) fn freshness(&self, now: Timestamp) -> Freshness {
        if now >= self.expires {
            Freshness::Expired
        } else if now < self.stale_from {
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
            created: self.created,
            stale_from: self.stale_from,
            expires: self.expires,
            load_millis: self.load_millis,
            pinned: self.weight.0 & PINNED != 0,
        }
    }
}

impl<V> Slot<V> {
    /// What the entry counts against the capacity.
    #[inline]
    pub(super) fn weight(&self) -> u32 {
        self.weight.0 & !PINNED
    }

    #[cfg(feature = "moka")]
    #[inline]
    fn with_value<W>(&self, value: W) -> Slot<W> {
        Slot {
            value,
            fence: self.fence,
            weight: self.weight,
            load_millis: self.load_millis,
            created: self.created,
            stale_from: self.stale_from,
            expires: self.expires,
        }
    }
}

#[cfg(feature = "moka")]
impl WeakSlot {
    /// The entry, if its value is still there.
    #[inline]
    pub(super) fn upgrade(&self) -> Option<Slot> {
        let value = match &self.value {
            Some(value) => Some(value.upgrade()?),
            None => None,
        };
        Some(self.with_value(Value(value)))
    }
}
