//! A master that sentinels watch over, and what a failover costs.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::{Invalidated, RedisBackend};
use cache_kit::{CacheExpander, CacheService, Source};
use cache_kit_tests::calls::{answers_from_the_repository, serves_again};
use cache_kit_tests::servers::{
    Authority, Proxy, RedisServer, Reply, Trick, Watched, eventually, eventually_async,
};
use cache_kit_tests::{Gated, Row};

use super::{PATIENCE, Service, call, config, service, service_by_default};

/// Short, for the tests in which a master dies.
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// How long it may take to find the new master. Some hundred milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

fn database() -> Gated {
    let database = Gated::open();
    database.set("k", 1);
    database
}

async fn hits(service: &Service, database: &Gated) {
    call(service, database, "k", Refresh).await.unwrap();
    let (outcome, seen) = call(service, database, "k", Fresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Cache, Some(1)));
}

/// A service that waits long for a connection: each sentinel has its share of that time.
fn patient(url: &str, connect: Duration) -> Service {
    let config = config(url)
        .with_connect_deadline(connect)
        .set(|encoded| encoded.with_operation_deadline(PATIENCE));
    CacheExpander::new(RedisBackend::new(config).unwrap()).into()
}

async fn refusal(service: &Service, database: &Gated) -> String {
    let error = call(service, database, "k", Fresh).await.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn the_master_is_found_with_the_logins_of_both() {
    let watched = Watched::options()
        .sentinels(3)
        .password("of the servers")
        .sentinel_password("of-the-sentinels")
        .start();
    let database = database();
    for protocol in ["", "&protocol=resp2", "&protocol=resp3"] {
        hits(&service(&format!("{}{protocol}", watched.url())), &database).await;
    }
    let [master, _] = watched.servers();
    assert_eq!(master.command(&["EXISTS", "row:k"]).integer(), Some(1));
}

#[tokio::test]
async fn the_master_is_found_over_tls() {
    let authority = Authority::new();
    let watched = Watched::options().tls(&authority).start();
    hits(&service(&watched.url()), &database()).await;
    // Nothing of this goes without TLS.
    let plain = watched.url().replace("rediss+", "redis+");
    let plain = plain.split('?').next().unwrap().to_owned();
    let said = refusal(&patient(&plain, Duration::from_secs(1)), &database()).await;
    assert!(said.contains("none of 1 sentinels answers"), "{said}");
}

/// One refuses, one is silent, and the third one answers: it comes first the next time.
#[tokio::test]
async fn sentinels_that_do_not_answer_are_passed_over() {
    let watched = Watched::options().sentinels(3).start();
    let [dead, silent, alive] = watched.sentinels() else {
        panic!("there are three");
    };
    let front = Proxy::in_front_of(silent.addr());
    let [master, _] = watched.servers();
    dead.kill();
    silent.stop();
    let url = watched.url_over([dead.port(), front.port(), alive.port()]);
    let service = patient(&url, PATIENCE.min(Duration::from_secs(8)));
    let database = database();
    hits(&service, &database).await;
    assert_eq!(front.accepted(), 1);
    for _ in 0..3 {
        assert!(
            master
                .command(&["CLIENT", "KILL", "TYPE", "normal"])
                .integer()
                >= Some(1)
        );
        call(&service, &database, "k", Refresh).await.unwrap();
    }
    assert_eq!(front.accepted(), 1, "the silent one is not asked again");
}

#[tokio::test]
async fn what_is_wrong_with_sentinels_is_said() {
    let watched = Watched::options().sentinel_password("secret").start();
    let database = database();
    let [sentinel] = watched.sentinels() else {
        panic!("there is one");
    };
    let port = sentinel.port();
    let master = "the-master";
    for (url, words) in [
        (
            format!("redis+sentinel://127.0.0.1:{port}/{master}"),
            "none of 1 sentinels answers; the last: it refuses the login of `sentinel_user`",
        ),
        (
            format!("redis+sentinel://127.0.0.1:{port}/{master}?sentinel_pass=wrong"),
            "it refuses the login of `sentinel_user`",
        ),
        (
            format!("redis+sentinel://127.0.0.1:{port}/another?sentinel_pass=secret"),
            "no sentinel knows a master of this name",
        ),
        (
            format!("redis+sentinel://127.0.0.1:{port},127.0.0.1:1/another?sentinel_pass=secret"),
            "1 of 2 sentinels know no master of this name, and the last of the others: Connection",
        ),
        (
            "redis+sentinel://127.0.0.1:1,127.0.0.1:2/name".into(),
            "none of 2 sentinels answers; the last: Connection refused",
        ),
        (
            format!("redis+sentinel://ghost:no@127.0.0.1:{port}/{master}?sentinel_pass=secret"),
            "the master that the sentinels name:",
        ),
    ] {
        let said = refusal(&patient(&url, Duration::from_secs(5)), &database).await;
        assert!(said.contains(words), "{url}: {said}");
        assert!(
            !said.contains("secret") && !said.contains("wrong"),
            "{said}"
        );
    }
    let [server, _] = watched.servers();
    server.kill();
    let said = refusal(&patient(&watched.url(), Duration::from_secs(5)), &database).await;
    let words = "the master that the sentinels name: Connection refused";
    assert!(said.contains(words), "{said}");
}

/// A sentinel may be the last to know.
#[tokio::test]
async fn a_replica_that_a_sentinel_names_is_not_used() {
    let watched = Watched::options().start();
    let [_, replica] = watched.servers();
    let behind = Proxy::in_front_of(watched.sentinels()[0].addr());
    let named = ["127.0.0.1".to_owned(), replica.port().to_string()];
    let named = Reply::Array(named.map(|word| Reply::Bulk(word.into())).into()).to_bytes();
    let trick = || {
        let is_asked = |command: &cache_kit_tests::servers::Command| command.is("SENTINEL");
        behind.on_next(is_asked, Trick::ReplaceAnswer(named.clone()));
    };
    let database = database();
    trick();
    let url = watched.url_over([behind.port()]);
    let said = refusal(&patient(&url, Duration::from_secs(5)), &database).await;
    assert!(said.contains("name a server that is a replica"), "{said}");
    // The next one knows better.
    trick();
    let url = watched.url_over([behind.port(), watched.sentinels()[0].port()]);
    hits(&patient(&url, Duration::from_secs(5)), &database).await;
}

/// As a sentinel does that is cut off with the old master.
#[tokio::test]
async fn a_silent_master_leaves_time_for_what_another_sentinel_names() {
    let watched = Watched::options().start();
    let sentinel = &watched.sentinels()[0];
    let cut_off = Proxy::in_front_of(sentinel.addr());
    // It accepts, and never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let named = ["127.0.0.1".to_owned(), port.to_string()];
    let named = Reply::Array(named.map(|word| Reply::Bulk(word.into())).into()).to_bytes();
    let trick = || {
        let is_asked = |command: &cache_kit_tests::servers::Command| command.is("SENTINEL");
        cut_off.on_next(is_asked, Trick::ReplaceAnswer(named.clone()));
    };
    let database = database();
    trick();
    let url = watched.url_over([cut_off.port()]);
    let said = refusal(&patient(&url, Duration::from_secs(1)), &database).await;
    assert!(said.contains("sentinels name does not answer"), "{said}");
    trick();
    let url = watched.url_over([cut_off.port(), sentinel.port()]);
    hits(&patient(&url, Duration::from_secs(6)), &database).await;
}

#[tokio::test]
async fn a_user_without_the_right_to_ask_for_the_role_is_served() {
    let watched = Watched::options().start();
    let [master, _] = watched.servers();
    let rights = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-role"];
    assert!(master.command(&rights).is_ok());
    let url = watched.url().replace("//", "//app:pw@");
    hits(&service(&url), &database()).await;
}

/// What a process knows of acknowledged invalidations.
#[derive(Default)]
struct Oracle {
    /// For each row, the version since the last acknowledged invalidation, and whether the old master
    /// may have acknowledged it.
    acknowledged: Mutex<BTreeMap<String, (u64, bool)>>,
    /// Reads that were older, although nothing was lost.
    wrong: Mutex<Vec<String>>,
    /// Reads that were older than an invalidation that the old master had acknowledged.
    lost: AtomicU64,
    /// The master has been broken.
    broken: AtomicBool,
    /// Nothing is sent to the old master any more.
    left: AtomicBool,
    over: AtomicBool,
}

impl Oracle {
    fn acknowledge(&self, id: &str, version: u64) {
        let before = !self.left.load(Ordering::SeqCst);
        let mut acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.insert(id.to_owned(), (version, before));
    }

    fn expected(&self, id: &str) -> Option<(u64, bool)> {
        self.acknowledged.lock().unwrap().get(id).copied()
    }

    fn check(&self, id: &str, expected: Option<(u64, bool)>, seen: Option<u64>) {
        let Some((version, before)) = expected else {
            return;
        };
        if seen.is_some_and(|seen| seen >= version) {
            return;
        }
        if before && self.broken.load(Ordering::SeqCst) {
            self.lost.fetch_add(1, Ordering::SeqCst);
        } else {
            let mut wrong = self.wrong.lock().unwrap();
            wrong.push(format!("{id}: {seen:?} after {version}"));
        }
    }
}

fn id(number: u64) -> String {
    format!("n{number}")
}

const ROWS: u64 = 20;

/// Breaks the master under readers and a writer of two processes, until writes go on and hits are
/// back. Answers with the writer.
async fn fails_over(watched: &Watched, turn: impl FnOnce(&RedisServer)) -> (Service, Gated) {
    let database = Gated::open();
    let oracle = Arc::new(Oracle::default());
    let [here, there] = [(); 2].map(|()| service_by_default(&watched.url()));
    for number in 0..ROWS {
        database.set(&id(number), 0);
        call(&there, &database, &id(number), Refresh).await.unwrap();
    }
    let mut readers = tokio::task::JoinSet::new();
    for service in [here.clone(), there.clone()] {
        for _ in 0..2 {
            let (service, database) = (service.clone(), database.clone());
            let oracle = Arc::clone(&oracle);
            readers.spawn(async move {
                while !oracle.over.load(Ordering::SeqCst) {
                    let id = id(fastrand::u64(..ROWS));
                    let expected = oracle.expected(&id);
                    // Never an error: the repository is up.
                    let (_, seen) = call(&service, &database, &id, Refresh).await.unwrap();
                    oracle.check(&id, expected, seen);
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    let mut version = 0;
    let write = async |version: u64| {
        let id = id(version % ROWS);
        database.set(&id, version);
        let done = here.invalidate::<Row>(&id).await.unwrap();
        if done == Invalidated::Done {
            oracle.acknowledge(&id, version);
        }
        done == Invalidated::Done
    };
    for _ in 0..200 {
        version += 1;
        assert!(write(version).await);
    }
    // No write is in flight while it breaks.
    let [master, replica] = watched.servers();
    oracle.broken.store(true, Ordering::SeqCst);
    turn(master);
    let begun = Instant::now();
    let mut promoted = None;
    loop {
        if !oracle.left.load(Ordering::SeqCst) && is_left(master) {
            oracle.left.store(true, Ordering::SeqCst);
        }
        version += 1;
        let done = write(version).await;
        if promoted.is_none() && watched.is_master(replica) {
            promoted = Some(Instant::now());
        }
        if done && promoted.is_some() && oracle.left.load(Ordering::SeqCst) {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE * 2,
            "{:?}",
            here.backend().health()
        );
        tokio::task::yield_now().await;
    }
    let resumed = promoted.map(|promoted| promoted.elapsed());
    assert!(resumed < Some(LIMIT), "{resumed:?}");
    for number in 0..2 * ROWS {
        version += 1;
        assert!(
            write(version).await,
            "{number}: {:?}",
            here.backend().health()
        );
    }
    for service in [&here, &there] {
        let settled = Instant::now();
        while !call(service, &database, "n1", Refresh)
            .await
            .unwrap()
            .0
            .is_hit()
        {
            assert!(
                settled.elapsed() < LIMIT,
                "{:?}",
                service.backend().health()
            );
        }
    }
    oracle.over.store(true, Ordering::SeqCst);
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    let (wrong, lost) = (oracle.wrong.lock().unwrap(), &oracle.lost);
    assert!(wrong.is_empty(), "{wrong:?}");
    println!("resumed after {resumed:?}; {lost:?} reads of what the failover lost");
    (here, database)
}

/// Whether no service is connected to it. Sentinels and replicas are.
fn is_left(server: &RedisServer) -> bool {
    let limit = Duration::from_millis(500);
    let list = server
        .connect(limit)
        .and_then(|mut connection| connection.command(&["CLIENT", "LIST", "TYPE", "NORMAL"]));
    let list = list.ok().and_then(|list| list.text()).unwrap_or_default();
    let is_ours = |line: &str| !line.contains("name=sentinel") && !line.contains("cmd=client|list");
    !list.lines().any(is_ours)
}

fn failing_over() -> Watched {
    Watched::options()
        .sentinels(3)
        .down_after(DOWN_AFTER)
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_killed_is_replaced() {
    let watched = failing_over();
    fails_over(&watched, RedisServer::kill).await;
}

/// It answers again while it still takes itself for the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_stands_still_is_replaced_and_left_when_it_goes_on() {
    let watched = failing_over();
    // Connected to the old master, and then without a call until it goes on.
    let idle = service_by_default(&watched.url());
    let database = database();
    hits(&idle, &database).await;
    assert!(format!("{:?}", idle.backend().byte_store()).contains("connections: 1"));
    let (service, _) = fails_over(&watched, RedisServer::stop).await;
    database.set("k", 2);
    assert_eq!(
        service.invalidate::<Row>(&"k".to_owned()).await.unwrap(),
        Invalidated::Done
    );
    let left = || format!("{:?}", idle.backend().byte_store()).contains("connections: 0");
    eventually_async("it has left the old master, without a call", LIMIT, left).await;
    let [old, _] = watched.servers();
    old.cont();
    let (_, seen) = call(&idle, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2), "the old master still has the old entry");
}

/// The old master lives on, and refuses writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_order_is_followed() {
    let watched = failing_over();
    fails_over(&watched, |_| watched.order_failover()).await;
}

/// The replica did not hear of an invalidation. What is bound by the time to live is counted here.
#[tokio::test]
async fn what_a_failover_loses_is_what_the_replica_did_not_hear() {
    let watched = failing_over();
    let [master, replica] = watched.servers();
    let database = Gated::open();
    let service = service_by_default(&watched.url());
    let ids: Vec<_> = (0..10).map(id).collect();
    for id in &ids {
        database.set(id, 1);
        call(&service, &database, id, Refresh).await.unwrap();
    }
    eventually("the replica has them", LIMIT, || {
        replica.command(&["DBSIZE"]).integer() == Some(10)
    });
    // It comes back as a user that there is not.
    let stranger = ["CONFIG", "SET", "masteruser", "ghost", "masterauth", "pw"];
    assert!(replica.command(&stranger).is_ok());
    let killed = master.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    assert_eq!(killed.integer(), Some(1));
    for id in &ids[..4] {
        database.set(id, 2);
        let done = service.invalidate::<Row>(id).await.unwrap();
        assert_eq!(done, Invalidated::Done);
    }
    master.kill();
    watched.wait_until_master(replica);
    let there = CacheService::new(RedisBackend::new(config(&watched.url())).unwrap());
    let mut lost = 0;
    for id in &ids {
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        if seen == Some(1) && ids[..4].contains(id) {
            lost += 1;
        }
    }
    assert_eq!(lost, 4, "exactly those that were invalidated meanwhile");
    for id in &ids[..4] {
        let begun = Instant::now();
        while there.invalidate::<Row>(id).await.unwrap() != Invalidated::Done {
            assert!(begun.elapsed() < LIMIT);
        }
        let (_, seen) = call(&there, &database, id, Refresh).await.unwrap();
        assert_eq!(seen, Some(2));
    }
}

#[tokio::test]
async fn all_servers_and_sentinels_may_go_and_come_back() {
    let watched = Watched::options().start();
    let service = service_by_default(&watched.url());
    let database = database();
    hits(&service, &database).await;
    for server in watched.servers() {
        server.kill();
    }
    for sentinel in watched.sentinels() {
        sentinel.kill();
    }
    answers_from_the_repository(&service, &database).await;
    database.set("k", 2);
    for sentinel in watched.sentinels() {
        sentinel.restart();
    }
    let (_, seen) = call(&service, &database, "k", Refresh).await.unwrap();
    assert_eq!(seen, Some(2));
    for server in watched.servers() {
        server.restart();
    }
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
}
