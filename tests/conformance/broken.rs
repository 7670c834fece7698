//! Backends that break one promise each, and the behaviour that catches it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cache_kit::testing::conformance::{self as suite, Harness};

mod backend;
mod disguise;

use backend::Broken;

/// The promise that a [`Broken`] breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Nothing,
    BusyWithItself,
    ClearsAFew,
    ClearsTooMuch,
    CutsKeys,
    DropsDuplicates,
    EndsForEver,
    EndsLongLives,
    FailsToDecode,
    FencedRemoves,
    FindsExpired,
    ForgetsAbsences,
    IgnoresFences,
    InvalidateKeepsLeases,
    InvalidatesOneType,
    InvalidatesHalf,
    InvalidatingKeeps,
    KeepsCopies,
    KeepsDroppedLeases,
    KeepsExpired,
    KeepsOldWhenExpired,
    KeepsOldWhenTooLarge,
    LocksWhenDropped,
    LosesMillis,
    MixesAnswers,
    MixesLeases,
    MixesLookUps,
    MixesTypes,
    OneRuntime,
    OneSpoilsAll,
    OverDrops,
    ReleaseDeletes,
    ReleasesHalf,
    ReleasesNothing,
    ReusesFences,
    ServesExpired,
    ServesExpiredAtHand,
    SharesNothing,
    SkipsWhatIsMissing,
    StoresWhenDropped,
    TakesWhatIsThere,
    TrimsKeys,
}

fn harness(flaw: Flaw) -> Harness<Broken> {
    let backend = Broken::new(flaw);
    Harness::in_process(move || backend.client()).largest_payload(super::LARGEST)
}

fn outside(flaw: Flaw) -> Harness<Broken> {
    let backend = Broken::new(flaw);
    Harness::remote(move || backend.client()).clock(cache_kit::testing::ManualClock::new())
}

/// The panic message of a behaviour.
fn complaint(behaviour: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(behaviour)) else {
        panic!("a broken promise went unnoticed");
    };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => panic!(
            "a panic without a message of its own: {:?}",
            other.type_id()
        ),
    }
}

macro_rules! caught {
    ($($name:ident: $flaw:ident in $harness:ident by $behaviour:ident, $says:literal;)*) => {$(
        #[test]
        fn $name() {
            let harness = $harness(Flaw::$flaw);
            let complaint = complaint(|| suite::run(&harness, suite::$behaviour));
            assert!(complaint.contains($says), "another complaint: {complaint}");
        }
    )*};
}

caught! {
    coarse_stamps: LosesMillis in harness
        by entries_come_back_with_all_stamps, "instead of Entry";
    forgotten_absences: ForgetsAbsences in harness
        by absences_come_back, "a miss right after the store";
    an_expired_entry_that_is_kept: KeepsExpired in harness
        by an_expired_entry_removes_what_its_lease_was_over, "absence: true";
    an_old_entry_behind_an_expired_one: KeepsOldWhenExpired in harness
        by an_expired_entry_removes_what_its_lease_was_over, "absence: false";
    a_late_store_behind_an_expired_one: IgnoresFences in harness
        by an_expired_entry_removes_what_its_lease_was_over, "Stored instead of Fenced";
    an_expired_entry_that_removes_a_newer_one: FencedRemoves in harness
        by an_expired_entry_removes_what_its_lease_was_over, "under a worthless lease";
    an_old_entry_behind_a_refused_one: KeepsOldWhenTooLarge in harness
        by large_values_come_back_or_are_refused, "refused as too large";
    a_refused_batch: OneSpoilsAll in harness
        by a_store_too_large_spoils_only_itself, "TooLarge instead of Stored";
    an_error_for_an_undecodable_entry: FailsToDecode in harness
        by what_cannot_be_decoded_is_a_miss, "get_many failed";
    keys_cut_at_250_bytes: CutsKeys in harness
        by long_keys_with_one_beginning_are_told_apart, "answered with the value of";
    keys_without_blanks: TrimsKeys in harness
        by hostile_keys_are_only_keys, "answered with the value of";
    one_type_for_another: MixesTypes in harness
        by two_types_under_one_key_never_mix, "answered for another type";
    expired_entries: ServesExpired in harness
        by an_entry_is_gone_at_its_expiry, "served at its expiry";
    expired_entries_at_hand: ServesExpiredAtHand in harness
        by an_entry_is_gone_at_its_expiry, "try_get has";
    a_found_that_has_expired: FindsExpired in harness
        by an_entry_is_gone_at_its_expiry, "the answer was Found";
    a_store_without_a_time_to_live: Nothing in outside
        by a_short_life_ends, "the store still has it";
    lives_of_over_thirty_days: EndsLongLives in harness
        by every_length_of_life_is_kept, "a life of 2592001000 ms has ended";
    an_end_to_for_ever: EndsForEver in harness
        by an_entry_without_expiry_stays, "gone without an expiry";
    no_default_life: Nothing in outside
        by the_default_life_is_as_declared, "a default time to live of None";
    a_lease_if_missing_over_an_entry: TakesWhatIsThere in harness
        by a_lease_if_missing_is_had_only_where_nothing_is, "over an entry";
    an_entry_dropped_by_a_lease_over_it: OverDrops in harness
        by a_lease_over_leaves_all_standing_until_the_store, "leased over";
    a_repeated_lease_that_is_busy: BusyWithItself in harness
        by a_lease_sent_again_is_the_same_lease, "the answer was Busy";
    a_release_that_does_not: ReleasesNothing in harness
        by a_released_key_is_free, "still stands";
    a_release_that_deletes: ReleaseDeletes in harness
        by a_release_leaves_what_others_put_there, "a late release";
    a_dropped_lease_for_ever: KeepsDroppedLeases in harness
        by a_dropped_lease_is_given_up, "never given up";
    clients_with_stores_of_their_own: SharesNothing in harness
        by clients_share_one_store, "stored by another client";
    clients_with_copies_of_their_own: KeepsCopies in harness
        by clients_share_one_store, "by another client";
    two_stores_for_two_leases: IgnoresFences in harness
        by of_two_leases_one_fills, "Stored instead of Fenced";
    a_late_store: IgnoresFences in harness
        by an_overtaken_store_changes_nothing, "Stored instead of Fenced";
    a_fenced_store_that_removes: FencedRemoves in harness
        by an_overtaken_store_changes_nothing, "Fenced instead of Stored";
    an_invalidation_by_lease_that_waits: InvalidatingKeeps in harness
        by an_invalidating_lease_removes_at_once, "leased with Invalidating";
    leases_that_survive_an_invalidation: InvalidateKeepsLeases in harness
        by an_invalidation_voids_every_lease, "Stored instead of Fenced";
    an_invalidation_that_saves_itself_the_trouble: SkipsWhatIsMissing in harness
        by an_invalidation_of_nothing_counts, "Stored instead of Fenced";
    one_fence_for_all: ReusesFences in harness
        by a_fence_is_never_used_twice, "is used twice";
    look_ups_in_another_order: MixesLookUps in harness
        by look_ups_keep_order_duplicates_and_holes, "answered with the value of";
    look_ups_without_duplicates: DropsDuplicates in harness
        by look_ups_keep_order_duplicates_and_holes, "answers for 150 keys";
    leases_in_another_order: MixesLeases in harness
        by leases_keep_order_and_their_own_requests, "leased over";
    copies_that_outlive_an_acknowledgement: KeepsCopies in harness
        by an_acknowledgement_reaches_as_far_as_declared, "invalidated in another process";
    an_invalidation_by_text_of_one_type: InvalidatesOneType in harness
        by an_invalidation_by_text_reaches_every_type, "another type is still there";
    a_clear_that_leaves_some: ClearsAFew in harness
        by a_clear_drops_what_begins_alike_and_nothing_else, "keys dropped where 40 were stored";
    a_clear_of_a_shorter_beginning: ClearsTooMuch in harness
        by a_clear_drops_what_begins_alike_and_nothing_else, "after a clear of";
    a_store_behind_a_clear: IgnoresFences in harness
        by a_clear_voids_every_lease_under_its_beginning, "Stored instead of Fenced";
    half_of_the_invalidations: InvalidatesHalf in harness
        by invalidations_reach_all_of_their_keys, "instead of";
    half_of_the_releases: ReleasesHalf in harness
        by releases_free_each_its_own_key, "not released";
    the_answer_to_another: MixesAnswers in harness
        by a_crowd_gets_its_own_answers_and_none_too_old, "answered with the value of";
    a_stale_answer_in_a_crowd: IgnoresFences in harness
        by a_crowd_gets_its_own_answers_and_none_too_old, "was acknowledged";
    a_stale_answer_in_a_crowd_of_batches: IgnoresFences in harness
        by a_crowd_of_batches_keeps_its_answers_apart, "was acknowledged";
    a_key_locked_by_a_dropped_command: LocksWhenDropped in harness
        by a_lease_may_be_dropped_at_any_await, "locked";
    a_dropped_store_that_comes_late: StoresWhenDropped in harness
        by a_store_may_be_dropped_at_any_await, "invalidated after";
}

#[test]
fn one_runtime_for_ever() {
    let harness = harness(Flaw::OneRuntime);
    let complaint = complaint(|| suite::several_runtimes_use_one_client(&harness));
    assert!(
        complaint.contains("the runtime is gone"),
        "another complaint: {complaint}"
    );
}

#[test]
fn without_a_flaw_the_wrapper_behaves() {
    suite::all(|| harness(Flaw::Nothing));
}

#[test]
fn every_behaviour_that_failed_is_named() {
    let complaint = complaint(|| suite::all(|| harness(Flaw::ReleaseDeletes)));
    let mut lines = complaint.lines();
    let failures = lines.clone().count() - 1;
    assert_eq!(
        lines.next().unwrap(),
        format!("{failures} behaviours failed:")
    );
    assert!(
        complaint.contains("\na_release_leaves_what_others_put_there: \"conformance-"),
        "{complaint}"
    );
    assert!(!complaint.contains("absences_come_back"), "{complaint}");
}
