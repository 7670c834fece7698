//! [`Entry`]: what a cache keeps under one key.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// What a cache keeps under one key: an entity or a known absence, and the stamps that say how
/// long it is good for.
///
/// `T` may be a `dyn` type: memory keeps entries of all types in one shape, see
/// [`erase`](Self::erase).
pub struct Entry<T: ?Sized> {
    /// The entity; `None` says that the repository was asked and has none.
    pub value: Option<Arc<T>>,
    /// When it was loaded.
    pub created: Timestamp,
    /// From then on it is stale: still servable where the caller's policy allows.
    pub stale_from: Timestamp,
    /// From then on it is expired: no answer of any kind may use it.
    pub expires: Timestamp,
    /// How long its load took, in milliseconds.
    pub load_millis: u32,
    /// Whether the call that stored it has set its time to live, so that no reader's policy shortens
    /// it.
    pub pinned: bool,
}

/// The state of an [`Entry`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// It may be served.
    Fresh,
    /// Past its time to live: it may stand in for a load that fails.
    Stale,
    /// It is treated as if it were not there.
    Expired,
}

impl<T: ?Sized> Entry<T> {
    /// Whether the entry is fresh, stale or expired at `now`.
    ///
    /// After a clock is set back, there are entries from the future. They are served as usual, so
    /// they live at most twice their lifetime. An entry from further in the future than its whole
    /// lifetime counts as expired: in memory nothing else would end it.
    #[inline]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now >= self.expires || (now < self.created && self.waits_too_long(now)) {
            Freshness::Expired
        } else if now < self.stale_from {
            Freshness::Fresh
        } else {
            Freshness::Stale
        }
    }

    #[cold]
    fn waits_too_long(&self, now: Timestamp) -> bool {
        let lifetime = self.expires.since(self.created);
        !lifetime.is_zero() && self.created.since(now) > lifetime
    }

    /// How old the entry is at `now`; zero if it was made in the future.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.created)
    }
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

impl<T: Any + Send + Sync> Entry<T> {
    /// The entry without its type.
    #[inline]
    pub fn erase(self) -> Entry<dyn Any + Send + Sync> {
        let Self {
            value,
            created,
            stale_from,
            expires,
            load_millis,
            pinned,
        } = self;
        Entry {
            value: value.map(|value| value as Arc<dyn Any + Send + Sync>),
            created,
            stale_from,
            expires,
            load_millis,
            pinned,
        }
    }
}

impl Entry<dyn Any + Send + Sync> {
    /// The entry with its type again; `None` if it holds a value of another type. An absence is one
    /// of any type.
    #[inline]
    pub fn downcast<T: Any + Send + Sync>(self) -> Option<Entry<T>> {
        let value = match self.value {
            Some(value) => Some(typed(value)?),
            None => None,
        };
        Some(Entry {
            value,
            created: self.created,
            stale_from: self.stale_from,
            expires: self.expires,
            load_millis: self.load_millis,
            pinned: self.pinned,
        })
    }
}

/// `value` as what it is. Not inlined: the id of a type is returned through the stack, and in the frame of
/// a whole hit reading it there took a sixth of the hit's time.
#[inline(never)]
fn typed<T: Any + Send + Sync>(value: Arc<dyn Any + Send + Sync>) -> Option<Arc<T>> {
    value.downcast().map_err(drop_other).ok()
}

/// Takes it in registers, where a drop in place would have it in memory, of a hit, too.
#[cold]
#[inline(never)]
fn drop_other(_: Arc<dyn Any + Send + Sync>) {}

/// Shows the stamps and never the value.
impl<T: ?Sized> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("absence", &self.value.is_none())
            .field("created", &self.created)
            .field("stale_from", &self.stale_from)
            .field("expires", &self.expires)
            .field("load_millis", &self.load_millis)
            .field("pinned", &self.pinned)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_turns_at_the_stamps() {
        let entry = Entry::<()> {
            value: None,
            created: Timestamp::from_millis(100),
            stale_from: Timestamp::from_millis(200),
            expires: Timestamp::from_millis(300),
            load_millis: 0,
            pinned: false,
        };
        let at = |millis| entry.freshness(Timestamp::from_millis(millis));
        assert_eq!(at(50), Freshness::Fresh);
        assert_eq!(at(199), Freshness::Fresh);
        assert_eq!(at(200), Freshness::Stale);
        assert_eq!(at(299), Freshness::Stale);
        assert_eq!(at(300), Freshness::Expired);
        assert_eq!(entry.age(Timestamp::from_millis(50)), Duration::ZERO);
    }

    #[test]
    fn an_erased_entry_comes_back_as_its_type_alone() {
        let entry = |value: Option<u32>| Entry {
            value: value.map(Arc::new),
            created: Timestamp::from_millis(1),
            stale_from: Timestamp::from_millis(2),
            expires: Timestamp::from_millis(3),
            load_millis: 4,
            pinned: true,
        };
        let back = entry(Some(7)).erase().downcast::<u32>();
        let back = back.map(|entry| (entry.value, entry.created, entry.load_millis, entry.pinned));
        let created = Timestamp::from_millis(1);
        assert_eq!(back, Some((Some(Arc::new(7)), created, 4, true)));
        assert!(entry(Some(7)).erase().downcast::<u64>().is_none());
        assert!(entry(None).erase().downcast::<u64>().is_some());
    }

    #[test]
    fn an_entry_of_the_future_lives_no_longer_than_twice() {
        let entry = Entry::<()> {
            value: None,
            created: Timestamp::from_millis(1_000),
            stale_from: Timestamp::from_millis(1_200),
            expires: Timestamp::from_millis(1_300),
            load_millis: 0,
            pinned: false,
        };
        let at = |millis| entry.freshness(Timestamp::from_millis(millis));
        assert_eq!((at(700), at(699)), (Freshness::Fresh, Freshness::Expired));
        assert_eq!((at(1_199), at(1_200)), (Freshness::Fresh, Freshness::Stale));
        let for_ever = Entry {
            expires: Timestamp::NEVER,
            ..entry
        };
        let beginning = Timestamp::from_millis(0);
        assert_eq!(for_ever.freshness(beginning), Freshness::Fresh);
    }

    #[test]
    fn an_entry_that_expires_before_it_turns_stale_expires() {
        let entry = Entry::<()> {
            value: None,
            created: Timestamp::from_millis(0),
            stale_from: Timestamp::NEVER,
            expires: Timestamp::from_millis(10),
            load_millis: 0,
            pinned: false,
        };
        assert_eq!(
            entry.freshness(Timestamp::from_millis(10)),
            Freshness::Expired
        );
        assert_eq!(entry.freshness(Timestamp::from_millis(9)), Freshness::Fresh);
    }
}
