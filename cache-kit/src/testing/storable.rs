//! [`assert_storable`]: checks that an entity can be read back from a remote store.

use crate::codec;
use crate::entity::CacheEntity;

/// Asserts that `sample` can be read back from a remote store unchanged, and that its type has no
/// values that never can.
///
/// A service checks this itself for every value: a value that could not be read back is not stored,
/// and [`CacheEvent::Unstorable`](crate::observability::CacheEvent::Unstorable) says why. This
/// function checks it in a test, without a store. Fill all of the sample: an empty list shows only
/// the type of its elements.
///
/// ```
/// use cache_kit::CacheEntity;
/// use cache_kit::testing::assert_storable;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Order {
///     id: u64,
///     notes: Vec<String>,
/// }
///
/// impl CacheEntity for Order {
///     type Key = u64;
///
///     fn cache_key(&self) -> u64 {
///         self.id
///     }
///
///     fn cache_prefix() -> &'static str {
///         "order"
///     }
/// }
///
/// assert_storable(&Order { id: 1, notes: vec!["fragile".to_string()] });
/// ```
///
/// # Panics
/// If it cannot, with the type and, if it is known, the path of the field.
#[track_caller]
pub fn assert_storable<T: CacheEntity>(sample: &T) {
    let refusal = codec::of_sample(sample).err();
    assert!(refusal.is_none(), "{}", text(refusal));
}

fn text(refusal: Option<crate::Error>) -> String {
    refusal.map_or_else(String::new, |refusal| refusal.to_string())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Holding<T> {
        value: T,
    }

    impl<T> CacheEntity for Holding<T>
    where
        T: Clone + Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
    {
        type Key = u8;

        fn cache_key(&self) -> u8 {
            0
        }

        fn cache_prefix() -> &'static str {
            "holding"
        }
    }

    #[test]
    fn what_comes_back_passes() {
        assert_storable(&Holding { value: vec![1] });
    }

    #[test]
    #[should_panic(expected = "field `value` can be read only from")]
    fn a_type_that_comes_back_at_times_does_not_pass() {
        assert_storable(&Holding {
            value: None::<serde_json::Value>,
        });
    }
}
