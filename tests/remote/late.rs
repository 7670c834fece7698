//! Commands that reach the server late, after a lost connection and a second try: no older value,
//! and no older absence, is served after an acknowledgement.

use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Invalidate, Refresh};
use cache_kit::backend::Invalidated;
use cache_kit_tests::late::{
    Before, Case, Ending, INVALIDATIONS, MOMENTS, Scene, Tally, fresh_ids, key_of, read,
};
use cache_kit_tests::servers::{Server, Trick, eventually_async};
use cache_kit_tests::{Gated, Ghost};

/// How long a test waits for something that must happen.
const LIMIT: Duration = Duration::from_secs(20);

pub async fn each_command_of_each_strategy_at_any_moment<S: Server>() {
    each_command::<S>(false).await;
}

pub async fn each_command_of_a_batch_at_any_moment<S: Server>() {
    each_command::<S>(true).await;
}

/// Each command of a slow call, before any kind of invalidation.
async fn each_command<S: Server>(batch: bool) {
    let (server, mut tally) = (S::start(), Tally::default());
    for (strategy, kind) in [
        (Refresh, S::COMMANDS.get),
        (Refresh, S::COMMANDS.claim),
        (Refresh, S::COMMANDS.swap),
        (Bypass, S::COMMANDS.claim),
        (Bypass, S::COMMANDS.swap),
        (Invalidate, S::COMMANDS.set),
        (Invalidate, S::COMMANDS.swap),
    ] {
        for moment in MOMENTS {
            for invalidation in INVALIDATIONS {
                for (before, present) in [
                    (Before::Nothing, true),
                    (Before::Nothing, false),
                    (Before::Foreign, true),
                    (Before::Entry, true),
                    (Before::Entry, false),
                ] {
                    if before == Before::Entry && strategy == Refresh
                        || before != Before::Nothing && batch
                    {
                        continue;
                    }
                    let case = Case {
                        batch,
                        before,
                        present,
                        invalidation,
                        ..Case::of(std::slice::from_ref(&kind), strategy, moment)
                    };
                    tally.play(Scene::new(&server), case).await;
                }
            }
        }
    }
    tally.report();
}

pub async fn a_claim_and_its_store_both_and_a_claim_that_is_lost_twice<S: Server>() {
    let (server, mut tally) = (S::start(), Tally::default());
    let (claim, set, swap) = (S::COMMANDS.claim, S::COMMANDS.set, S::COMMANDS.swap);
    for (strategy, late) in [
        (Refresh, [claim, swap]),
        (Bypass, [claim, swap]),
        (Invalidate, [set, swap]),
        (Refresh, [claim, claim]),
        (Bypass, [claim, claim]),
        (Invalidate, [set, set]),
    ] {
        for moment in MOMENTS {
            for batch in [false, true] {
                let case = Case {
                    batch,
                    ..Case::of(&late, strategy, moment)
                };
                tally.play(Scene::new(&server), case).await;
            }
        }
    }
    tally.report();
}

/// The command by which a slow call gives up its lease.
pub async fn what_a_slow_call_gives_its_lease_up_with<S: Server>() {
    let (server, mut tally) = (S::start(), Tally::default());
    for strategy in [Refresh, Bypass, Invalidate] {
        for moment in MOMENTS {
            for ending in [Ending::Fails, Ending::Dropped] {
                let case = Case {
                    ending,
                    ..Case::of(&[S::COMMANDS.remove], strategy, moment)
                };
                tally.play(Scene::new(&server), case).await;
            }
        }
    }
    tally.report();
}

/// Its first copy arrives long after the acknowledgement, when others have filled the cache again.
pub async fn a_deletion_after_its_acknowledgement<S: Server>() {
    let server = S::start();
    for batch in [false, true] {
        let scene = Scene::new(&server);
        let ids = fresh_ids(batch);
        let database = Gated::open();
        ids.iter().for_each(|id| database.set(id, 1));
        read(&scene.shaky, &database, &ids, Refresh).await.unwrap();
        ids.iter().for_each(|id| database.set(id, 2));
        let late = scene.trap(&key_of(&ids[0]), &S::COMMANDS.delete.1, Trick::LateCommand);
        let done = scene.shaky.invalidate_many::<Ghost>(&ids).await.unwrap();
        assert!(late.has_sprung());
        if done == Invalidated::Pending {
            eventually_async("the queue is empty", LIMIT, || {
                S::health(&scene.shaky).pending_invalidations == 0
            })
            .await;
        }
        scene.nothing_old(&database, &ids).await.unwrap();
        late.deliver().await;
        scene.nothing_old(&database, &ids).await.unwrap();
    }
}
