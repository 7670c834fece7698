//! What the pages say of the frameworks: a handler is dropped when its client hangs up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::net::SocketAddr;
use std::time::Duration;

use cache_kit_guide::pb::directory_client::DirectoryClient;
use cache_kit_guide::pb::directory_server::{Directory, DirectoryServer};
use cache_kit_guide::pb::{
    GetUserRequest, GetUsersRequest, RenameUserRequest, UserReply, UsersReply,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// What a handler does.
#[derive(Debug, PartialEq)]
enum Did {
    Begin,
    End,
}

/// A handler that never answers, and tells when it is dropped.
async fn hang(tell: UnboundedSender<Did>) {
    struct Dropped(UnboundedSender<Did>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(Did::End);
        }
    }
    let _ = tell.send(Did::Begin);
    let _dropped = Dropped(tell);
    std::future::pending::<()>().await;
}

async fn expect(told: &mut UnboundedReceiver<Did>, did: Did) {
    let next = timeout(Duration::from_secs(20), told.recv()).await;
    assert_eq!(next, Ok(Some(did)));
}

/// Asks over HTTP, and hangs up when the handler has begun.
async fn hang_up(addr: SocketAddr, told: &mut UnboundedReceiver<Did>) {
    let client = TcpStream::connect(addr).await.unwrap();
    ask_and_drop(client, told).await;
}

/// As [`hang_up`], with a reset in place of an orderly end.
async fn reset(addr: SocketAddr, told: &mut UnboundedReceiver<Did>) {
    let client = TcpStream::connect(addr).await.unwrap();
    client.set_zero_linger().unwrap();
    ask_and_drop(client, told).await;
}

async fn ask_and_drop(mut client: TcpStream, told: &mut UnboundedReceiver<Did>) {
    let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    client.write_all(request).await.unwrap();
    expect(told, Did::Begin).await;
    drop(client);
    expect(told, Did::End).await;
}

#[tokio::test]
async fn axum() {
    let (tell, mut told) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let route = axum::routing::get(move || hang(tell.clone()));
    let router = axum::Router::new().route("/", route);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    hang_up(addr, &mut told).await;
    server.abort();
}

/// By default it takes an orderly end for a client that only sends nothing more.
#[tokio::test]
async fn actix_web() {
    for half_closed in [true, false] {
        let (tell, mut told) = unbounded_channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let app = move || {
            let tell = tell.clone();
            let handler = move || {
                let hanging = hang(tell.clone());
                async move {
                    hanging.await;
                    actix_web::HttpResponse::Ok().finish()
                }
            };
            actix_web::App::new().route("/", actix_web::web::get().to(handler))
        };
        let server = actix_web::HttpServer::new(app).workers(1);
        let server = server.h1_allow_half_closed(half_closed).disable_signals();
        let server = server.listen(listener).unwrap().run();
        let handle = server.handle();
        let server = tokio::spawn(server);
        match half_closed {
            true => reset(addr, &mut told).await,
            false => hang_up(addr, &mut told).await,
        }
        handle.stop(false).await;
        server.await.unwrap().unwrap();
    }
}

struct Hanging(UnboundedSender<Did>);

#[tonic::async_trait]
impl Directory for Hanging {
    async fn get_user(
        &self,
        _request: Request<GetUserRequest>,
    ) -> Result<Response<UserReply>, Status> {
        hang(self.0.clone()).await;
        Err(Status::internal("it hangs"))
    }

    async fn get_users(
        &self,
        _request: Request<GetUsersRequest>,
    ) -> Result<Response<UsersReply>, Status> {
        Err(Status::unimplemented("only reads of one hang"))
    }

    async fn rename_user(
        &self,
        _request: Request<RenameUserRequest>,
    ) -> Result<Response<UserReply>, Status> {
        Err(Status::unimplemented("only reads of one hang"))
    }
}

#[tokio::test]
async fn tonic() {
    let (tell, mut told) = unbounded_channel();
    let addr = SocketAddr::from(([127, 0, 0, 1], cache_kit_tests::servers::free_port()));
    let server = ::tonic::transport::Server::builder();
    let server = server
        .clone()
        .add_service(DirectoryServer::new(Hanging(tell)));
    let server = tokio::spawn(server.serve(addr));
    let mut client = loop {
        match DirectoryClient::connect(format!("http://{addr}")).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let call = tokio::spawn(async move { client.get_user(GetUserRequest { id: 1 }).await });
    expect(&mut told, Did::Begin).await;
    call.abort();
    expect(&mut told, Did::End).await;
    server.abort();
}
