//! A cold cache: nearly all look-ups found nothing, so a call asks for its lease at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::observability::{CacheMetrics, StoreResult};
use cache_kit::{
    CacheEntity, CacheExpander, CacheFeed, CacheService, DataRepository, Error, Result,
    SharedFeeder, Source,
};
use cache_kit_tests::calls::{PATIENCE, call, is_hit, service, spawn};
use cache_kit_tests::servers::{Command, Server, Trick, eventually_async};
use cache_kit_tests::{Gated, Row};
use serde::{Deserialize, Serialize};

/// More than are remembered.
const MANY: usize = 80;

/// Reads missing keys until the cache is cold.
async fn cool<S: Server>(service: &CacheService<S::Backend>, database: &Gated) {
    for n in 0..MANY {
        let id = format!("missing-{n}-{}", fastrand::u64(..));
        database.set(&id, 1);
        let (outcome, _) = call(service, database, &id, Refresh).await.unwrap();
        assert_eq!(outcome.store(), StoreResult::Stored);
    }
}

pub async fn a_miss_of_a_cold_cache_costs_a_trip_less<S: Server>() {
    let server = S::start();
    let proxy = server.proxy();
    let service = service::<S>(&server.url_through(&proxy));
    let database = Gated::open();
    let get = S::COMMANDS.get.0;
    call(&service, &database, "absent", Refresh).await.unwrap();
    // A lease of memcached reads, too.
    let reads = proxy.seen(get);
    call(&service, &database, "absent", Refresh).await.unwrap();
    let of_a_miss = proxy.seen(get) - reads;
    cool::<S>(&service, &database).await;
    let looked_up = proxy.seen(get);
    cool::<S>(&service, &database).await;
    assert_eq!(proxy.seen(get) - looked_up, (of_a_miss - 1) * MANY);
    assert_eq!(database.loads(), 2 + 2 * MANY);

    // A feeder that wants to know of misses before the load is told in time.
    struct Curious(bool, Option<Arc<Row>>);
    impl CacheFeed<Row> for Curious {
        fn entity_id(&mut self) -> String {
            "curious".into()
        }
        fn feed(&mut self, entity: Option<Row>) {
            self.1 = entity.map(Arc::new);
        }
        fn on_miss(&mut self, _: &str) -> Result<()> {
            self.0 = true;
            Ok(())
        }
    }
    database.set("curious", 1);
    let looked_up = proxy.seen(get);
    let feeder = &mut Curious(false, None);
    service.execute(feeder, &database, Refresh).await.unwrap();
    assert!(feeder.0 && feeder.1.is_some());
    assert_eq!(proxy.seen(get) - looked_up, of_a_miss);
}

pub async fn a_hit_of_a_cold_cache_is_a_hit<S: Server>() {
    let server = S::start();
    let (here, there) = (service::<S>(&server.url()), service::<S>(&server.url()));
    let database = Gated::open();
    for n in 0..20 {
        database.set(&format!("n{n}"), 7);
        call(&there, &database, &format!("n{n}"), Refresh)
            .await
            .unwrap();
    }
    cool::<S>(&here, &database).await;
    let loads = database.loads();
    for n in 0..20 {
        let (outcome, seen) = call(&here, &database, &format!("n{n}"), Refresh)
            .await
            .unwrap();
        assert_eq!((outcome.source(), seen), (Source::Cache, Some(7)));
        assert!(
            !outcome.degraded().any() && outcome.age().is_some(),
            "{outcome:?}"
        );
    }
    assert_eq!(database.loads(), loads);
    // An update is seen, cold or not.
    cool::<S>(&here, &database).await;
    database.set("n1", 8);
    there.invalidate::<Row>(&"n1".to_owned()).await.unwrap();
    let (_, seen) = call(&here, &database, "n1", Refresh).await.unwrap();
    assert_eq!(seen, Some(8));
    assert!(is_hit(&there, &database, "n1").await);
}

#[derive(Debug, Default, Clone)]
struct Counts {
    hits: Arc<AtomicUsize>,
    misses: Arc<AtomicUsize>,
}

impl CacheMetrics for Counts {
    fn record_hit(&self, _: &str, _: Duration) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn record_miss(&self, _: &str, _: Duration) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }
}

pub async fn listeners_count_hits_and_misses_of_a_cold_cache<S: Server>() {
    let server = S::start();
    let counts = Counts::default();
    let backend = S::patient_backend(&server.url(), |encoded| encoded);
    let service: CacheService<S::Backend> = CacheExpander::new(backend.unwrap())
        .with_metrics(Box::new(counts.clone()))
        .into();
    let database = Gated::open();
    cool::<S>(&service, &database).await;
    cool::<S>(&service, &database).await;
    let counted = || {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (count(&counts.hits), count(&counts.misses))
    };
    assert_eq!(counted(), (0, 2 * MANY));
    database.set("k", 1);
    for _ in 0..3 {
        call(&service, &database, "k", Refresh).await.unwrap();
    }
    assert_eq!(counted(), (2, 2 * MANY + 1));
    database.fail(Some(Error::RepositoryError("away".into())));
    call(&service, &database, "other", Refresh)
        .await
        .unwrap_err();
    assert_eq!(counted(), (2, 2 * MANY + 2));
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Weather {
    id: String,
}

impl CacheEntity for Weather {
    type Key = String;

    fn cache_key(&self) -> String {
        self.id.clone()
    }

    fn cache_prefix() -> &'static str {
        "weather"
    }

    fn cache_ttl() -> Option<Duration> {
        Some(Duration::from_millis(1))
    }

    fn cache_stale_if_error() -> Option<Duration> {
        Some(Duration::from_secs(3_600))
    }
}

struct Station {
    is_up: bool,
}

impl DataRepository<Weather> for Station {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Weather>> {
        match self.is_up {
            true => Ok(Some(Weather { id: id.clone() })),
            false => Err(Error::RepositoryError("away".into())),
        }
    }
}

pub async fn a_stale_entry_of_a_cold_cache_stands_in_for_a_failed_load<S: Server>() {
    let server = S::start();
    let service = service::<S>(&server.url());
    let database = Gated::open();
    let feeder = &mut SharedFeeder::<Weather>::new("here".into());
    let up = Station { is_up: true };
    service.execute(feeder, &up, Refresh).await.unwrap();
    cool::<S>(&service, &database).await;
    // It has expired long ago: a millisecond is over.
    let down = Station { is_up: false };
    let outcome = service.execute(feeder, &down, Refresh).await.unwrap();
    assert!(outcome.is_stale() && feeder.entity.is_some(), "{outcome:?}");
    // While it is not tried again, it is served without a load.
    let outcome = service.execute(feeder, &up, Refresh).await.unwrap();
    assert!(outcome.is_stale(), "{outcome:?}");
    let feeder = &mut SharedFeeder::<Weather>::new("elsewhere".into());
    let error = service.execute(feeder, &down, Refresh).await.unwrap_err();
    assert!(error.to_string().contains("away"), "{error}");
}

pub async fn a_cold_cache_that_refuses_leases_is_looked_up_again<S: Server>() {
    let server = S::start();
    let proxy = server.proxy();
    let (here, there) = (
        service::<S>(&server.url_through(&proxy)),
        service::<S>(&server.url()),
    );
    let database = Gated::open();
    database.set("k", 1);
    call(&there, &database, "k", Refresh).await.unwrap();
    cool::<S>(&here, &database).await;
    let claims = S::COMMANDS.claim.1;
    let refused = proxy.on_next(claims, Trick::CutCommand);
    let again = proxy.on_next(claims, Trick::CutCommand);
    database.set("other", 1);
    let (outcome, seen) = call(&here, &database, "other", Refresh).await.unwrap();
    assert!(refused.has_sprung() && again.has_sprung());
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
    let of_k = move |command: &Command| claims(command) && command.has_arg("row:k");
    let leased = proxy.on_next(of_k, Trick::DropCommand);
    let (outcome, _) = call(&here, &database, "k", Refresh).await.unwrap();
    assert!(outcome.is_hit() && !leased.has_sprung(), "{outcome:?}");
}

pub async fn a_thousand_tasks_on_a_key_of_a_cold_cache_make_one_load<S: Server>() {
    let server = S::start();
    let services = [service::<S>(&server.url()), service::<S>(&server.url())];
    let database = Gated::open();
    for service in &services {
        cool::<S>(service, &database).await;
    }
    let gated = Gated::closed();
    gated.set("hot", 3);
    let mut tasks = Vec::new();
    for n in 0..1_000 {
        tasks.push(spawn(&services[n % 2], &gated, "hot", Refresh));
    }
    gated.entered(1).await;
    gated.let_through(1_000);
    for task in tasks {
        let (_, seen) = task.await.unwrap().unwrap();
        assert_eq!(seen, Some(3));
    }
    assert_eq!(gated.loads(), 1);
}

/// A load that takes longer than a process waits for the lease of another one.
pub async fn callers_of_a_cold_cache_join_a_load_that_is_running<S: Server>() {
    let server = S::start();
    let proxy = server.proxy();
    let backend = S::patient_backend(&server.url_through(&proxy), |encoded| encoded);
    let service: CacheService<S::Backend> = CacheExpander::new(backend.unwrap())
        .with_lease_wait(Duration::ZERO)
        .into();
    cool::<S>(&service, &Gated::open()).await;
    let gated = Gated::closed();
    gated.set("slow", 5);
    let mut callers = vec![spawn(&service, &gated, "slow", Refresh)];
    // Its lease has been granted.
    gated.entered(1).await;
    let get = S::COMMANDS.get.0;
    let before = proxy.seen(get);
    callers.extend((0..3).map(|_| spawn(&service, &gated, "slow", Refresh)));
    let looked = || proxy.seen(get) >= before + 3;
    eventually_async("they look", PATIENCE, looked).await;
    gated.let_through(10);
    for caller in callers {
        let (_, seen) = caller.await.unwrap().unwrap();
        assert_eq!(seen, Some(5));
    }
    assert_eq!(gated.loads(), 1);
}
