//! The stories that every remote store must tell alike: each is written once, over
//! [`Server`](cache_kit_tests::servers::Server), and runs on real Redis and Memcached servers.
//! What only one store has is in `tests/redis` and `tests/memcached`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a failed expectation is what a test is for"
)]

mod batches;
mod bytes;
mod cold;
mod failures;
mod fences;
mod large;
mod late;
mod limits;
mod noticed;
mod schedules;
mod stale;
mod successor;
mod waiting;
mod wire;

/// One test of one story: on a runtime of one thread, on one of four, or on none.
macro_rules! story {
    (task $group:ident $story:ident $server:ident) => {
        #[tokio::test]
        async fn $story() {
            crate::$group::$story::<cache_kit_tests::servers::$server>().await;
        }
    };
    (threads $group:ident $story:ident $server:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $story() {
            crate::$group::$story::<cache_kit_tests::servers::$server>().await;
        }
    };
    (plain $group:ident $story:ident $server:ident) => {
        #[test]
        fn $story() {
            crate::$group::$story::<cache_kit_tests::servers::$server>();
        }
    };
}

/// The stories of one file.
macro_rules! stories {
    ($server:ident $group:ident: $($kind:ident $story:ident,)*) => {
        mod $group {
            $(story!($kind $group $story $server);)*
        }
    };
}

/// All stories, as tests of one store.
macro_rules! on {
    ($store:ident, $server:ident) => {
        mod $store {
            stories! { $server batches:
                task order_duplicates_and_holes,
                task more_keys_than_are_sent_at_once,
                task an_entry_that_cannot_be_used_spoils_only_itself,
                task overlapping_batches_of_two_processes_load_each_key_once,
                task what_another_process_does_not_finish_is_loaded_after_a_while,
                task what_another_process_gives_up_is_loaded_at_once,
                task an_invalidation_elsewhere_fences_only_its_key,
                task a_dropped_batch_leaves_no_placeholders,
                task a_server_that_is_away_costs_no_answer,
            }
            stories! { $server bytes:
                task every_flipped_bit_and_every_cut_is_a_miss_that_is_overwritten,
                task garbage_and_the_entries_of_other_keys_are_misses,
                task what_is_discarded_is_told_once_and_why,
            }
            stories! { $server cold:
                task a_miss_of_a_cold_cache_costs_a_trip_less,
                task a_hit_of_a_cold_cache_is_a_hit,
                task listeners_count_hits_and_misses_of_a_cold_cache,
                task a_stale_entry_of_a_cold_cache_stands_in_for_a_failed_load,
                task a_cold_cache_that_refuses_leases_is_looked_up_again,
                threads a_thousand_tasks_on_a_key_of_a_cold_cache_make_one_load,
                threads callers_of_a_cold_cache_join_a_load_that_is_running,
            }
            stories! { $server large:
                threads so_many_are_under_way_at_a_time,
            }
            stories! { $server limits:
                task an_entity_larger_than_its_type_allows_is_served_and_not_stored,
                task a_stored_entity_that_has_become_unfit_is_a_miss_that_is_overwritten,
                task what_is_too_large_is_not_kept_and_what_was_there_is_gone,
                task services_with_different_limits_do_not_delete_each_others_entries,
            }
            stories! { $server failures:
                task dead_from_the_start_then_there,
                task killed_in_the_middle_and_back,
                task restarted_between_two_calls_it_costs_no_error,
                task a_connection_that_is_cut_between_two_calls_costs_nothing,
                task stopped_and_continued_with_an_invalidation_in_between,
                task stopped_for_ten_seconds_no_call_waits_longer_than_its_deadlines,
                task many_calls_that_are_dropped_together_cost_no_connection,
                task two_hundred_reads_of_a_dead_server_make_few_attempts,
                task a_thousand_readers_of_a_dead_server_make_one_load,
                task a_queue_that_is_full_is_an_error_and_not_silence,
                task a_failed_invalidation_fences_the_loads_of_this_process,
                task a_ping_asks_the_server_now,
                task health_names_the_servers_and_what_they_do,
            }
            stories! { $server noticed:
                task a_dead_store_and_its_return,
                task a_single_failure,
                task a_store_that_is_misspelt,
                task a_type_that_cannot_be_stored,
                task entries_of_another_schema_that_pile_up,
                task nothing_is_said_where_nothing_is_wrong,
            }
            stories! { $server fences:
                task a_slow_load_never_undoes_an_invalidation_elsewhere,
                task nor_an_invalidation_with_a_load,
                task nor_what_any_client_does_to_the_key,
                task a_reader_after_the_invalidation_never_joins_the_older_load,
                task an_older_bypass_is_fenced_by_a_newer_store,
                task another_process_waits_for_a_load_that_is_under_way,
                task a_lease_that_has_expired_stores_nothing,
                task a_load_whose_caller_goes_away_leaves_no_placeholder,
                task a_row_that_does_not_exist_leaves_nothing_and_waits_for_nothing,
            }
            stories! { $server waiting:
                task a_first_call_that_is_polled_once_holds_no_other,
                task a_connection_that_takes_longer_than_its_callers_wait_is_made_once,
                task a_connection_that_takes_longer_than_a_deadline_serves_the_next_call,
                task a_black_hole_is_noticed_by_callers_with_less_patience_than_the_deadline,
                task a_storm_of_dropped_calls_does_not_open_the_breaker,
                plain a_runtime_that_stands_still_holds_neither_the_queue_nor_the_others,
                plain a_runtime_that_stands_still_while_it_connects_holds_no_other,
                plain one_backend_serves_one_runtime_after_another,
                plain a_runtime_without_timer_or_sockets_is_a_clear_error,
            }
            stories! { $server wire:
                task each_command_of_a_slow_refresh_against_an_invalidation_elsewhere,
                task each_command_of_an_invalidation,
            }
            stories! { $server late:
                task each_command_of_each_strategy_at_any_moment,
                task each_command_of_a_batch_at_any_moment,
                task a_claim_and_its_store_both_and_a_claim_that_is_lost_twice,
                task what_a_slow_call_gives_its_lease_up_with,
                task a_deletion_after_its_acknowledgement,
            }
            stories! { $server successor:
                task a_successor_in_the_same_tick_of_the_clock,
            }
            stories! { $server stale:
                task a_thousand_tasks_on_a_stale_key_make_one_load,
                task a_caller_that_loads_itself_is_the_only_one,
                task an_invalidation_ends_staleness_everywhere,
            }
            stories! { $server schedules:
                task two_processes_in_any_order,
                task owned_repositories_in_two_processes,
                threads a_race_makes_one_load,
            }
        }
    };
}

on!(redis, RedisServer);
on!(newer_redis, NewerRedis);
on!(memcached, MemcachedServer);
