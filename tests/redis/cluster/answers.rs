//! What the nodes of a cluster answer, and who is asked.

use std::net::TcpListener;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::Source;
use cache_kit::backend::Invalidated;
use cache_kit_tests::Row;
use cache_kit_tests::calls::{call, is_hit};
use cache_kit_tests::servers::{Command, Proxy, RedisCluster, RedisServer, Trick};

use super::super::Service;
use super::{database, ids, service_at, settles};

/// A cluster of one node, which every client reaches through the proxy.
fn watched() -> (RedisCluster, Proxy, Service) {
    let cluster = RedisCluster::with(1, 0, &RedisServer::options());
    let proxy = Proxy::in_front_of(cluster.nodes()[0].addr());
    let port = proxy.port().to_string();
    let reply = cluster.nodes()[0].command(&["CONFIG", "SET", "cluster-announce-port", &port]);
    assert!(reply.is_ok(), "{reply:?}");
    let service = service_at(&format!("redis+cluster://127.0.0.1:{port}"));
    (cluster, proxy, service)
}

fn answer(text: &str) -> Trick {
    Trick::ReplaceAnswer(format!("-{text}\r\n").into_bytes())
}

#[tokio::test]
async fn a_command_is_sent_again_where_the_answer_says() {
    let (_cluster, proxy, service) = watched();
    let ids = ids(1);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let moved = format!("MOVED 7 127.0.0.1:{}", proxy.port());
    let asked = format!("ASK 7 127.0.0.1:{}", proxy.port());
    for text in [
        "TRYAGAIN Multiple keys request during rehashing",
        &moved,
        &asked,
        "MOVED 7 :0",
    ] {
        let sprung = proxy.on_next(Command::named("GET"), answer(text));
        let hit = is_hit(&service, &database, "n0");
        match text {
            // It does not say where.
            "MOVED 7 :0" => drop(call(&service, &database, "n0", Refresh).await.unwrap()),
            _ => assert!(hit.await, "{text}"),
        }
        assert!(sprung.has_sprung(), "{text}");
    }
    assert!(is_hit(&service, &database, "n0").await);
}

#[tokio::test]
async fn redirections_in_a_circle_end() {
    let (_cluster, proxy, service) = watched();
    let ids = ids(1);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let port = proxy.port();
    let circle: Vec<_> = (0..9)
        .map(|_| {
            let text = format!("MOVED 7 127.0.0.1:{port}");
            proxy.on_next(Command::named("GET"), answer(&text))
        })
        .collect();
    let error = call(&service, &database, "n0", Fresh).await.unwrap_err();
    assert!(error.to_string().contains("redirected 8 times"), "{error}");
    drop(circle);
    let (outcome, seen) = call(&service, &database, "n0", Refresh).await.unwrap();
    assert_eq!((outcome.is_hit(), seen), (true, Some(1)));
}

#[tokio::test]
async fn an_answer_that_passes_costs_one_look_up() {
    let (_cluster, proxy, service) = watched();
    let ids = ids(1);
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    for text in [
        "CLUSTERDOWN The cluster is down",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "READONLY You can't write against a read only replica.",
        "BUSY Redis is busy running a script",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR something new",
    ] {
        let sprung = proxy.on_next(Command::named("GET"), answer(text));
        let (outcome, seen) = call(&service, &database, "n0", Refresh).await.unwrap();
        assert!(sprung.has_sprung(), "{text}");
        assert_eq!(
            (outcome.source(), seen),
            (Source::Repository, Some(1)),
            "{text}"
        );
        assert!(outcome.degraded().read, "{text}: {outcome:?}");
        settles(&service, &database, &ids, 1).await;
    }
}

#[tokio::test]
async fn a_list_of_nodes_that_makes_no_sense_is_asked_for_again() {
    let (_cluster, proxy, service) = watched();
    let slots = |command: &Command| command.is("CLUSTER") && command.has_arg("SLOTS");
    let odd = Trick::ReplaceAnswer(b"*1\r\n*3\r\n:0\r\n:16384\r\n$1\r\nx\r\n".to_vec());
    let sprung = proxy.on_next(slots, odd);
    let ids = ids(1);
    let database = database(&ids);
    let error = call(&service, &database, "n0", Fresh).await.unwrap_err();
    assert!(sprung.has_sprung());
    assert!(error.to_string().contains("no node with slots"), "{error}");
    settles(&service, &database, &ids, 1).await;
}

#[tokio::test]
async fn a_server_that_is_no_cluster_says_so() {
    let server = RedisServer::start();
    let service = service_at(&format!("redis+cluster://{}", server.addr()));
    let database = database(&ids(1));
    let error = call(&service, &database, "n0", Fresh).await.unwrap_err();
    assert!(error.to_string().contains("write redis://"), "{error}");
}

/// One seed takes connections and never answers, and one is not there.
#[tokio::test]
async fn a_seed_that_does_not_answer_is_passed_over() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = cache_kit_tests::servers::free_port();
    let cluster = RedisCluster::with(1, 0, &RedisServer::options());
    let service = service_at(&format!(
        "redis+cluster://{},127.0.0.1:{gone},{}",
        silent.local_addr().unwrap(),
        cluster.nodes()[0].addr(),
    ));
    let ids = ids(1);
    let database = database(&ids);
    let (outcome, _) = call(&service, &database, "n0", Refresh).await.unwrap();
    assert!(!outcome.degraded().any(), "{outcome:?}");
}

/// The rights that the docs of `RedisBackend` name are enough, and a missing one is named.
#[tokio::test]
async fn a_user_with_the_rights_of_the_docs_and_no_others() {
    let cluster = RedisCluster::with(3, 0, &RedisServer::options());
    #[rustfmt::skip]
    let rights = [
        "ACL", "SETUSER", "app", "on", ">password", "~row:*", "+get", "+mget", "+set", "+del",
        "+getrange", "+evalsha", "+script|load", "+ping", "+cluster|slots", "+asking",
    ];
    for node in cluster.nodes() {
        assert!(node.command(&rights).is_ok());
    }
    let url = cluster.url().replace("//", "//app:password@");
    let service = service_at(&url);
    let ids: Vec<String> = ["{s}a", "{s}b"].map(str::to_owned).into();
    let database = database(&ids);
    settles(&service, &database, &ids, 1).await;
    let key = super::key("{s}a");
    let from = cluster.node_of(&key).port();
    let to = cluster
        .primaries()
        .iter()
        .position(|node| node.port() != from);
    let moved = cluster.begin_move(&key, to.unwrap());
    moved.keys();
    database.set("{s}a", 2);
    let done = service.invalidate::<Row>(&"{s}a".to_owned()).await.unwrap();
    assert_eq!(done, Invalidated::Done);
    let (outcome, seen) = call(&service, &database, "{s}b", Invalidate).await.unwrap();
    assert!(!outcome.degraded().any() && seen == Some(1), "{outcome:?}");
    let health = service.backend().health();
    assert_eq!(health.last_refusal, None);

    for node in cluster.nodes() {
        assert!(node.command(&["ACL", "SETUSER", "app", "-asking"]).is_ok());
    }
    let (outcome, _) = call(&service, &database, "{s}a", Refresh).await.unwrap();
    assert!(outcome.degraded().any(), "{outcome:?}");
    let refusal = service.backend().health().last_refusal.unwrap();
    assert!(refusal.contains("NOPERM for ASKING"), "{refusal}");

    for node in cluster.nodes() {
        assert!(
            node.command(&["ACL", "SETUSER", "app", "-cluster|slots"])
                .is_ok()
        );
    }
    let there = service_at(&url);
    let error = call(&there, &database, "{s}a", Fresh).await.unwrap_err();
    assert!(
        error.to_string().contains("right to CLUSTER SLOTS"),
        "{error}"
    );
}
