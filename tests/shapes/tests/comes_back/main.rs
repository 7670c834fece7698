//! Realistic types: each value comes back unchanged on the second read, or is refused at its first
//! store with the path of the field.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is what a test is for"
)]

mod kinds;
mod redis;
mod values;

use std::any::type_name;
use std::collections::{BinaryHeap, HashMap, HashSet};

use cache_kit_shapes::{Store, Stored, Value};
use values::Trial;

/// Reads a value back.
async fn second_read<T: Value>(value: T) -> Result<T, String> {
    let store = Store::default();
    match store.load(value).await.unwrap() {
        Stored::Stored => Ok(store.read().await.unwrap().unwrap()),
        Stored::Refused(reason) => {
            let found = store.read::<T>().await.unwrap();
            assert!(found.is_none(), "refused, and read: {found:?}");
            Err(reason)
        }
    }
}

/// A store of bytes in this process.
struct InThisProcess;

impl Trial for InThisProcess {
    async fn comes_back<T: Value>(&mut self, value: T) {
        let name = type_name::<T>();
        let back = second_read(value.clone()).await;
        let back = back.unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(format!("{value:?}"), format!("{back:?}"), "{name}");
    }

    async fn is_refused<T: Value>(&mut self, value: T, why: &str) {
        let reason = second_read(value).await.unwrap_err();
        assert!(reason.contains(why), "{}: {reason}", type_name::<T>());
    }
}

#[tokio::test]
async fn types_of_the_standard_library_come_back() {
    values::of_the_standard_library(&mut InThisProcess).await;
}

#[tokio::test]
async fn types_of_other_crates_come_back() {
    values::of_other_crates(&mut InThisProcess).await;
}

#[tokio::test]
async fn helpers_that_read_what_they_write_come_back() {
    values::with_attributes(&mut InThisProcess).await;
}

#[tokio::test]
async fn what_cannot_come_back_is_refused_with_its_path() {
    values::that_never_come_back(&mut InThisProcess).await;
}

#[tokio::test]
async fn what_would_come_back_as_another_value_is_refused_with_its_path() {
    values::that_come_back_as_another(&mut InThisProcess).await;
}

#[tokio::test]
async fn a_set_comes_back_in_whatever_order() {
    let all: HashSet<u64> = (0..500).collect();
    assert_eq!(second_read(all.clone()).await.unwrap(), all);
    let named: HashMap<String, HashSet<u64>> =
        (0..50).map(|n| (n.to_string(), (0..n).collect())).collect();
    assert_eq!(second_read(named.clone()).await.unwrap(), named);
    let heap: BinaryHeap<u64> = [3, 1, 2].into();
    let back = second_read(heap).await.unwrap();
    assert_eq!(back.into_sorted_vec(), [1, 2, 3]);
}
