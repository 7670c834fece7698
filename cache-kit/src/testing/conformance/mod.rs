//! The conformance suite: what every [`CacheBackend`] promises, as one function per behaviour.
//!
//! The author of a backend says in a [`Harness`] how its clients are made, and gets one test per
//! behaviour from [`conformance!`](crate::conformance):
//!
//! ```
//! use cache_kit::backend::InMemoryBackend;
//! use cache_kit::testing::conformance::Harness;
//!
//! fn memory() -> Harness<InMemoryBackend> {
//!     let backend = InMemoryBackend::new();
//!     Harness::in_process(move || backend.clone())
//! }
//!
//! cache_kit::conformance!(memory());
//! # fn main() { cache_kit::testing::conformance::all(memory) }
//! ```
//!
//! For a store outside the process use [`Harness::remote`]; its closure makes a new client each
//! time. [`run`] runs one behaviour, [`all`] runs all of them in one call.
//!
//! # What is accepted
//!
//! Where the contract leaves a choice, the suite takes either:
//!
//! - [`Take::IfMissing`](crate::backend::Take::IfMissing) over another lease is
//!   [`Busy`](crate::backend::Leased::Busy), or granted under the same fence; only one of the two
//!   holders fills. After one of them releases, the other may be fenced.
//! - Two types under one key may coexist, or displace each other.
//! - A value of up to 1 MiB is stored, or refused as
//!   [`TooLarge`](crate::backend::Stored::TooLarge) if the harness states a
//!   [limit](Harness::largest_payload).
//! - A dropped lease is given up at once, or when it expires.
//! - A whole entry that the type does not accept is a miss, over which
//!   [`Take::IfMissing`](crate::backend::Take::IfMissing) may answer
//!   [`Found`](crate::backend::Leased::Found): a store that reads only heads cannot tell. A lease
//!   over it must be granted.
//! - The store of an entry that has expired by then may be answered with anything except an error.
//! - Fences in look-ups may be `None`; if there is one, it must be correct.
//! - What a dropped command does late may fence another client's store.

#![allow(
    clippy::panic,
    reason = "an assertion that fails is how a test tool answers"
)]

mod batches;
mod cancelled;
mod clear;
mod client;
mod crowds;
mod entries;
mod fences;
mod harness;
mod keys;
mod leases;
mod runtimes;
mod scope;
mod specimen;
mod ttl;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Builder;

use crate::backend::CacheBackend;

pub use batches::{
    a_store_too_large_spoils_only_itself, empty_batches_are_answered,
    invalidations_reach_all_of_their_keys, leases_keep_order_and_their_own_requests,
    look_ups_keep_order_duplicates_and_holes, releases_free_each_its_own_key,
    stores_keep_order_and_fences,
};
pub use cancelled::{
    a_clear_may_be_dropped_at_any_await, a_get_may_be_dropped_at_any_await,
    a_lease_may_be_dropped_at_any_await, a_release_may_be_dropped_at_any_await,
    a_store_may_be_dropped_at_any_await, an_invalidation_may_be_dropped_at_any_await,
    batches_may_be_dropped_at_any_await,
};
pub use clear::{
    a_clear_drops_what_begins_alike_and_nothing_else, a_clear_voids_every_lease_under_its_beginning,
};
pub use crowds::{
    a_crowd_gets_its_own_answers_and_none_too_old, a_crowd_of_batches_keeps_its_answers_apart,
};
pub use entries::{
    absences_come_back, an_expired_entry_removes_what_its_lease_was_over,
    empty_and_odd_values_come_back, entries_come_back_with_all_stamps,
    large_values_come_back_or_are_refused, what_cannot_be_decoded_is_a_miss,
    what_cannot_be_encoded_spoils_only_itself,
};
pub use fences::{
    a_fence_is_never_used_twice, an_invalidating_lease_removes_at_once,
    an_invalidation_of_nothing_counts, an_invalidation_voids_every_lease,
    an_overtaken_store_changes_nothing, clients_share_one_store, of_two_leases_one_fills,
};
pub use harness::Harness;
pub use keys::{
    another_schema_is_a_miss_and_overwritten, hostile_keys_are_only_keys,
    long_keys_with_one_beginning_are_told_apart, two_types_under_one_key_never_mix,
};
pub use leases::{
    a_dropped_lease_is_given_up, a_lease_if_missing_is_had_only_where_nothing_is,
    a_lease_over_leaves_all_standing_until_the_store, a_lease_sent_again_is_the_same_lease,
    a_release_leaves_what_others_put_there, a_released_key_is_free,
    an_outlived_lease_yields_to_a_newer_one,
};
pub use runtimes::several_runtimes_use_one_client;
pub use scope::{
    an_acknowledgement_reaches_as_far_as_declared, an_invalidation_by_text_reaches_every_type,
};
pub use specimen::{Rival, Specimen};
pub use ttl::{
    a_short_life_ends, an_entry_is_gone_at_its_expiry, an_entry_without_expiry_stays,
    every_length_of_life_is_kept, the_default_life_is_as_declared,
    what_has_expired_when_stored_is_nothing,
};

/// How long one behaviour may take. The longest waits are two lease lifetimes.
const DEADLINE: Duration = Duration::from_secs(120);

/// Makes one `#[test]` per behaviour of the
/// [conformance suite](crate::testing::conformance), named after it.
///
/// Takes an expression for a [`Harness`](crate::testing::conformance::Harness), which each test
/// evaluates for itself. To test several backends, or one with several configurations, put each in
/// a module of its own.
///
/// ```
/// mod memory {
///     use cache_kit::backend::InMemoryBackend;
///     use cache_kit::testing::conformance::Harness;
///
///     cache_kit::conformance!({
///         let backend = InMemoryBackend::new();
///         Harness::in_process(move || backend.clone())
///     });
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    // The list of all behaviours.
    (@list $then:ident $harness:expr) => {
        $crate::conformance! { @$then $harness;
            awaited
            entries_come_back_with_all_stamps
            absences_come_back
            an_expired_entry_removes_what_its_lease_was_over
            empty_and_odd_values_come_back
            large_values_come_back_or_are_refused
            what_cannot_be_encoded_spoils_only_itself
            what_cannot_be_decoded_is_a_miss
            hostile_keys_are_only_keys
            long_keys_with_one_beginning_are_told_apart
            two_types_under_one_key_never_mix
            another_schema_is_a_miss_and_overwritten
            an_entry_is_gone_at_its_expiry
            a_short_life_ends
            every_length_of_life_is_kept
            an_entry_without_expiry_stays
            what_has_expired_when_stored_is_nothing
            the_default_life_is_as_declared
            a_lease_if_missing_is_had_only_where_nothing_is
            a_lease_over_leaves_all_standing_until_the_store
            a_lease_sent_again_is_the_same_lease
            a_released_key_is_free
            a_release_leaves_what_others_put_there
            a_dropped_lease_is_given_up
            an_outlived_lease_yields_to_a_newer_one
            clients_share_one_store
            of_two_leases_one_fills
            an_overtaken_store_changes_nothing
            an_invalidating_lease_removes_at_once
            an_invalidation_voids_every_lease
            an_invalidation_of_nothing_counts
            an_acknowledgement_reaches_as_far_as_declared
            an_invalidation_by_text_reaches_every_type
            a_clear_drops_what_begins_alike_and_nothing_else
            a_clear_voids_every_lease_under_its_beginning
            a_fence_is_never_used_twice
            empty_batches_are_answered
            look_ups_keep_order_duplicates_and_holes
            leases_keep_order_and_their_own_requests
            stores_keep_order_and_fences
            a_store_too_large_spoils_only_itself
            releases_free_each_its_own_key
            invalidations_reach_all_of_their_keys
            a_crowd_gets_its_own_answers_and_none_too_old
            a_crowd_of_batches_keeps_its_answers_apart
            a_get_may_be_dropped_at_any_await
            a_lease_may_be_dropped_at_any_await
            a_store_may_be_dropped_at_any_await
            a_release_may_be_dropped_at_any_await
            an_invalidation_may_be_dropped_at_any_await
            a_clear_may_be_dropped_at_any_await
            batches_may_be_dropped_at_any_await;
            blocking
            several_runtimes_use_one_client
        }
    };
    (@tests $harness:expr; awaited $($awaited:ident)*; blocking $($blocking:ident)*) => {
        $(
            #[test]
            fn $awaited() {
                $crate::testing::conformance::run(
                    &$harness,
                    $crate::testing::conformance::$awaited,
                );
            }
        )*
        $(
            #[test]
            fn $blocking() {
                $crate::testing::conformance::$blocking(&$harness);
            }
        )*
    };
    (@table $harness:expr; awaited $($awaited:ident)*; blocking $($blocking:ident)*) => {
        [
            $((stringify!($awaited), Box::new(|| run(&$harness, $awaited)) as Behaviour<'_>),)*
            $((stringify!($blocking), Box::new(|| $blocking(&$harness)) as Behaviour<'_>),)*
        ]
    };
    ($harness:expr) => {
        $crate::conformance! { @list tests $harness }
    };
}

/// Runs one behaviour, in a runtime of its own with two threads.
///
/// # Panics
/// If the backend fails the behaviour, or takes longer than two minutes.
pub fn run<B, F>(harness: &Harness<B>, behaviour: F)
where
    B: CacheBackend,
    F: AsyncFnOnce(&Harness<B>),
{
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime for the test: {error}"),
    };
    let ended =
        runtime.block_on(async { tokio::time::timeout(DEADLINE, behaviour(harness)).await });
    runtime.shutdown_background();
    assert!(ended.is_ok(), "did not end within {DEADLINE:?}");
}

/// Runs every behaviour, each with a harness of its own, one after the other.
///
/// # Panics
/// If the backend fails any behaviour. The message names every behaviour that failed, and why.
pub fn all<B: CacheBackend>(harness: impl Fn() -> Harness<B>) {
    let behaviours = crate::conformance! { @list table harness() };
    let mut failed = Vec::new();
    for (name, behaviour) in behaviours {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(behaviour)) {
            failed.push(format!("{name}: {}", message(&*panic)));
        }
    }
    assert!(
        failed.is_empty(),
        "{} behaviours failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

type Behaviour<'a> = Box<dyn Fn() + 'a>;

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("panicked")
}
