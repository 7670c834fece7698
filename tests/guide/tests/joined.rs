//! The services of the guide: the page of each framework with the page of each database, joined by
//! `build.rs` as a reader joins them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::net::SocketAddr;
use std::time::Duration;

use ::tonic::transport::Endpoint;
use cache_kit_guide::pb::directory_client::DirectoryClient;
use cache_kit_guide::pb::{GetUserRequest, GetUsersRequest, RenameUserRequest};
use cache_kit_guide::{Answer, Table, ask};
use cache_kit_tests::servers::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// What clients of the two web services see.
async fn http(addr: SocketAddr) {
    let get = async |path: &str| ask(addr, "GET", path, "").await.unwrap();
    let tells = |answer: &Answer, did: &str| answer.has(&format!("cache-status: users; {did}"));

    let first = get("/users/1").await;
    assert!(
        first.is(200, "Ann") && tells(&first, "fwd=miss; stored"),
        "{first:?}"
    );
    let second = get("/users/1").await;
    assert!(second.is(200, "Ann") && tells(&second, "hit"), "{second:?}");
    let renamed = ask(addr, "PUT", "/users/1", "Cleo").await.unwrap();
    assert!(
        renamed.is(200, "Cleo") && tells(&renamed, "fwd=request"),
        "{renamed:?}"
    );
    let after = get("/users/1").await;
    assert!(after.is(200, "Cleo") && tells(&after, "hit"), "{after:?}");
    for did in ["fwd=miss", "hit"] {
        let missing = get("/users/404").await;
        assert!(missing.is(404, "") && tells(&missing, did), "{missing:?}");
    }
    let renamed = ask(addr, "PUT", "/users/404", "Dora").await.unwrap();
    assert!(renamed.is(404, ""), "{renamed:?}");
    assert!(get("/health/live").await.is(200, "live"));
    assert!(get("/health/ready").await.is(200, "ready"));
}

/// The same of Axum's, which also answers batches.
async fn http_with_batch(addr: SocketAddr) {
    http(addr).await;
    let get = async |path: &str| ask(addr, "GET", path, "").await.unwrap();
    for did in ["fwd=miss; stored", "hit"] {
        let found = get("/users?ids=2,404,1").await;
        let both = found.is(
            200,
            r#"[{"id":2,"name":"Beth"},null,{"id":1,"name":"Cleo"}]"#,
        );
        assert!(
            both && found.has(&format!("cache-status: users; {did}")),
            "{found:?}"
        );
    }
    for wrong in ["/users?ids=", "/users?ids=1,x", "/users"] {
        assert!(get(wrong).await.is(400, ""));
    }
    let many = vec!["1"; 101].join(",");
    assert!(get(&format!("/users?ids={many}")).await.is(400, ""));
}

/// What clients of the service over gRPC see.
async fn grpc(addr: SocketAddr) {
    let server = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let server = server.connect().await.unwrap();
    let mut client = DirectoryClient::new(server.clone());
    for did in ["users; fwd=miss; stored", "users; hit"] {
        let reply = client.get_user(GetUserRequest { id: 1 }).await.unwrap();
        assert_eq!(reply.metadata().get("cache-status").unwrap(), did);
        assert_eq!(reply.into_inner().name, "Ann");
    }
    let name = "Cleo".to_owned();
    let renamed = client.rename_user(RenameUserRequest { id: 1, name }).await;
    assert_eq!(renamed.unwrap().into_inner().name, "Cleo");
    let ids = vec![2, 404, 1];
    let found = client.get_users(GetUsersRequest { ids }).await.unwrap();
    let names = found.into_inner().users.into_iter().map(|user| user.name);
    assert_eq!(names.collect::<Vec<_>>(), ["Beth", "Cleo"]);
    let missing = client.get_user(GetUserRequest { id: 404 }).await;
    assert_eq!(missing.unwrap_err().code(), ::tonic::Code::NotFound);

    // The name is unknown until the database has been asked.
    let mut health = HealthClient::new(server);
    let service = "directory.Directory".to_owned();
    let told = loop {
        let service = service.clone();
        match health.check(HealthCheckRequest { service }).await {
            Ok(told) => break told.into_inner().status(),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(told, ServingStatus::Serving);
}

/// Sends half a request, and waits until the server has begun with it.
async fn stall(addr: SocketAddr, half: &[u8], begun: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(half).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(begun) {
        assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "it hung up");
    }
    client
}

/// The server says 100 when the handler waits for the body.
async fn stall_http(addr: SocketAddr) -> TcpStream {
    let half = b"PUT /users/1 HTTP/1.1\r\nhost: test\r\ncontent-type: text/plain\r\n\
        content-length: 9\r\nexpect: 100-continue\r\n\r\n";
    stall(addr, half, "100 Continue").await
}

/// The head of a call without its message, and a ping, which the server answers afterwards.
async fn stall_grpc(addr: SocketAddr) -> TcpStream {
    let half = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \x00\x00\x00\x04\x00\x00\x00\x00\x00\
        \x00\x00\x38\x01\x04\x00\x00\x00\x01\
        \x83\x86\x44\x1c/directory.Directory/GetUser\x41\x04test\x5f\x10application/grpc\
        \x00\x00\x08\x06\x00\x00\x00\x00\x00are you?";
    stall(addr, half, "are you?").await
}

/// For the whole life of a service. Kubernetes kills one after 30 s, and Actix gives clients 30 s by default;
/// a client that stalls costs the 5 s of `GRACE`.
const LIMIT: Duration = Duration::from_secs(25);

macro_rules! joined {
    ($($name:ident, $framework:ident;)*) => {$(
        #[allow(
            dead_code,
            unreachable_pub,
            clippy::needless_update,
            clippy::allow_attributes_without_reason,
            reason = "as on the page: `main` is not called, the table has two columns; and what tonic generates"
        )]
        mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), "/main.rs"));

            /// The service, from its start to its end, with clients in between.
            pub(super) async fn run<T>(clients: impl AsyncFnOnce(super::SocketAddr) -> T) -> T {
                // So that any two of them may share a store.
                assert_eq!(<User as cache_kit::CacheEntity>::cache_prefix(), "user");
                let redis = super::RedisServer::start();
                let table = super::Table::new().await.unwrap();
                let database = Users::connect(&table.url()).await.unwrap();
                let (told, stop) = tokio::sync::oneshot::channel::<()>();
                let stop = async { stop.await.unwrap() };
                let (addr, serving) = super::$framework!(redis.url(), database, stop);
                let asking = async {
                    let kept = clients(addr).await;
                    told.send(()).unwrap();
                    kept
                };
                let both = async { tokio::join!(asking, serving).0 };
                tokio::time::timeout(super::LIMIT, both).await.unwrap()
            }
        }
    )*};
}

macro_rules! axum {
    ($redis:expr, $database:ident, $stop:ident) => {{
        let app = App::new(&$redis, $database).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (addr, async { serve(listener, app, $stop).await.unwrap() })
    }};
}
use axum;

macro_rules! tonic {
    ($redis:expr, $database:ident, $stop:ident) => {{
        let service = Service::new(&$redis, $database).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (addr, async {
            serve(listener, service, $stop).await.unwrap()
        })
    }};
}
use tonic;

macro_rules! actix_web {
    ($redis:expr, $database:ident, $stop:ident) => {{
        let state = State::new(&$redis, $database).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = server(listener, state.clone()).unwrap();
        let handle = server.handle();
        let stopping = async move {
            $stop.await;
            handle.stop(true).await;
        };
        (addr, async {
            tokio::join!(server, stopping).0.unwrap();
            finish(state).await;
        })
    }};
}
use actix_web;

joined! {
    axum_sqlx, axum;
    axum_sea_orm, axum;
    axum_diesel, axum;
    actix_web_sqlx, actix_web;
    actix_web_sea_orm, actix_web;
    actix_web_diesel, actix_web;
    tonic_sqlx, tonic;
    tonic_sea_orm, tonic;
    tonic_diesel, tonic;
}

#[tokio::test]
async fn axum_with_each_database() {
    axum_sqlx::run(http_with_batch).await;
    axum_sea_orm::run(http_with_batch).await;
    axum_diesel::run(http_with_batch).await;
}

#[tokio::test]
async fn actix_web_with_each_database() {
    actix_web_sqlx::run(http).await;
    actix_web_sea_orm::run(http).await;
    actix_web_diesel::run(http).await;
}

#[tokio::test]
async fn tonic_with_each_database() {
    tonic_sqlx::run(grpc).await;
    tonic_sea_orm::run(grpc).await;
    tonic_diesel::run(grpc).await;
}

// What `run` returns is the connection: it is open until the service has ended.

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_axum() {
    axum_sqlx::run(stall_http).await;
}

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_actix_web() {
    actix_web_sqlx::run(stall_http).await;
}

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_tonic() {
    tonic_sqlx::run(stall_grpc).await;
}
