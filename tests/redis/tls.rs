//! Connections over TLS: whom they trust, and what is said when they cannot be made.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use cache_kit::CacheStrategy::{Bypass, Fresh, Refresh};
use cache_kit::Source;
use cache_kit::backend::{RedisBackend, RedisTls};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::{answers_from_the_repository, serves_again};
use cache_kit_tests::servers::{Authority, Identity, RedisServer, eventually_async};

use super::{PATIENCE, Service, call, config, service, service_by_default};

fn scene(
    options: impl FnOnce(&Authority) -> cache_kit_tests::servers::RedisOptions,
) -> (Authority, RedisServer, Gated) {
    let authority = Authority::new();
    let server = options(&authority).start();
    let database = Gated::open();
    database.set("k", 1);
    (authority, server, database)
}

/// A certificate of the client, in a URL.
fn with(url: &str, identity: &Identity) -> String {
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    format!("{url}&cert={certificate}&key={key}")
}

async fn hits(service: &Service, database: &Gated) {
    call(service, database, "k", Refresh).await.unwrap();
    let (outcome, seen) = call(service, database, "k", Fresh).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Cache, Some(1)));
}

/// The error of a look-up; a load goes on without the cache.
async fn refusal(service: &Service, database: &Gated) -> String {
    let (outcome, seen) = call(service, database, "k", Bypass).await.unwrap();
    assert_eq!((outcome.source(), seen), (Source::Repository, Some(1)));
    let error = call(service, database, "k", Fresh).await.unwrap_err();
    let said = error.to_string();
    assert!(!said.contains("/tmp") && !said.contains(".pem"), "{said}");
    said
}

#[tokio::test]
async fn a_server_is_trusted_by_a_root_of_ones_own() {
    for protocol in ["", "&protocol=resp2", "&protocol=resp3"] {
        let (_authority, server, database) =
            scene(|authority| RedisServer::options().tls(authority).password("p w"));
        hits(
            &service(&format!("{}{protocol}", server.tls_url())),
            &database,
        )
        .await;
    }
}

#[tokio::test]
async fn a_client_shows_a_certificate_from_files_or_from_memory() {
    let (authority, server, database) =
        scene(|authority| RedisServer::options().tls(authority).asks_clients());
    let identity = authority.issue();
    hits(&service(&with(&server.tls_url(), &identity)), &database).await;

    let read = |path| std::fs::read(path).unwrap();
    let tls = RedisTls::new()
        .with_ca_pem(read(authority.file()))
        .with_client_pem(
            read(identity.certificate.clone()),
            read(identity.key.clone()),
        );
    // A configuration that says TLS is one, whatever the URL says.
    let url = format!("redis://localhost:{}", server.tls_port());
    let config = config(&url)
        .with_tls(tls)
        .set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let service: Service = cache_kit::CacheService::new(RedisBackend::new(config).unwrap());
    hits(&service, &database).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    let (authority, server, database) =
        scene(|authority| RedisServer::options().tls(authority).asks_clients());
    let stranger = Authority::new();
    let (ours, theirs) = (authority.issue(), stranger.issue());
    let trusting = |authority: &Authority| {
        let path = authority.file();
        format!(
            "rediss://127.0.0.1:{}?ca={}",
            server.tls_port(),
            path.display()
        )
    };
    // Two addresses, and nothing listens at the second one.
    let by_name = |authority| trusting(authority).replace("127.0.0.1", "localhost");
    let mixed = Identity {
        certificate: ours.certificate.clone(),
        key: theirs.key.clone(),
    };
    let no_key = Identity {
        certificate: ours.certificate.clone(),
        key: authority.file(),
    };
    let missing = Identity {
        certificate: "/nowhere/at.all".into(),
        key: ours.key.clone(),
    };
    for (url, words) in [
        (trusting(&stranger), "no authority that is trusted here"),
        (trusting(&authority), "asks for a certificate of the client"),
        (by_name(&stranger), "no authority that is trusted here"),
        (by_name(&authority), "a certificate of the client"),
        (
            with(&trusting(&authority), &theirs),
            "the client's certificate",
        ),
        (
            with(&trusting(&authority), &authority.issue_expired()),
            "expired",
        ),
        (
            with(&trusting(&authority), &mixed),
            "`key` does not belong to `cert`",
        ),
        (
            with(&trusting(&authority), &no_key),
            "`key` is no private key",
        ),
        (
            with(&trusting(&authority), &missing),
            "the file of `cert` cannot be read",
        ),
        (
            format!(
                "rediss://127.0.0.1:{}?ca={}",
                server.tls_port(),
                ours.key.display()
            ),
            "`ca` has no certificate",
        ),
        // The system's roots do not know this authority.
        (
            format!("rediss://127.0.0.1:{}", server.tls_port()),
            "authority that is trusted here",
        ),
    ] {
        let said = refusal(&service(&url), &database).await;
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_server_with_an_expired_certificate_or_another_name_is_refused() {
    for (identity, words) in [
        (
            Authority::issue_expired as fn(&Authority) -> Identity,
            "has expired",
        ),
        (
            |authority| authority.issue_for(&["cache.internal", "10.9.8.7"]),
            "for another name",
        ),
    ] {
        let (_authority, server, database) =
            scene(|authority| RedisServer::options().tls_as(authority, identity(authority)));
        let said = refusal(&service(&server.tls_url()), &database).await;
        assert!(
            said.contains("the server's certificate") && said.contains(words),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_wrong_port_is_said() {
    let (authority, server, database) = scene(|authority| RedisServer::options().tls(authority));
    let plain = format!("redis://127.0.0.1:{}", server.tls_port());
    let said = refusal(&service(&plain), &database).await;
    assert!(said.contains("rediss://"), "{said}");
    let path = authority.file();
    let encrypted = format!("rediss://127.0.0.1:{}?ca={}", server.port(), path.display());
    let said = refusal(&service(&encrypted), &database).await;
    assert!(said.contains("TLS"), "{said}");
}

/// It accepts, reads, and never answers the handshake.
#[tokio::test]
async fn a_peer_that_never_answers_a_handshake_costs_its_deadline() {
    let (_authority, server, database) = scene(|authority| RedisServer::options().tls(authority));
    let silent = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = silent.local_addr().unwrap().port();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        // Until the other side closes: it gives up.
        let _ = std::io::copy(&mut stream.by_ref(), &mut std::io::sink());
    });
    let url = server
        .tls_url()
        .replace(&server.tls_port().to_string(), &port.to_string());
    let impatient = config(&url)
        .with_connect_deadline(Duration::from_millis(200))
        .set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let service: Service = cache_kit::CacheService::new(RedisBackend::new(impatient).unwrap());
    let error = call(&service, &database, "k", Fresh).await.unwrap_err();
    assert!(
        error.to_string().contains("no connection within 200ms"),
        "{error}"
    );
    peer.join().unwrap();
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_used_by_the_next_connection() {
    let authority = Authority::new();
    let (first, second) = (authority.issue_expired(), authority.issue());
    let server = RedisServer::options()
        .tls(&authority)
        .asks_clients()
        .start();
    let database = Gated::open();
    database.set("k", 1);
    let service = service_by_default(&with(&server.tls_url(), &first));
    answers_from_the_repository(&service, &database).await;
    first.replace_with(&second);
    serves_again::<RedisServer>(&service, &database, "k", 1).await;

    // The server's own, and the authority that the client trusts.
    let other = Authority::new();
    let (renewed, path) = (other.issue(), |path: &std::path::Path| {
        path.display().to_string()
    });
    let (certificate, key) = (path(&renewed.certificate), path(&renewed.key));
    let set = [
        "CONFIG",
        "SET",
        "tls-cert-file",
        &certificate,
        "tls-key-file",
        &key,
    ];
    assert!(server.command(&set).is_ok());
    let (outcome, _) = call(&service, &database, "k", Fresh).await.unwrap();
    assert!(outcome.is_hit(), "what is connected goes on");
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    database.set("k", 2);
    answers_from_the_repository(&service, &database).await;
    let health = service.backend().health();
    assert!(
        health
            .last_error
            .unwrap()
            .contains("no authority that is trusted")
    );
    std::fs::copy(other.file(), authority.file()).unwrap();
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
}

#[tokio::test]
async fn everything_comes_back_when_a_server_with_tls_does() {
    let (_authority, server, database) = scene(|authority| RedisServer::options().tls(authority));
    let service = service_by_default(&server.tls_url());
    hits(&service, &database).await;
    server.kill();
    answers_from_the_repository(&service, &database).await;
    server.restart();
    serves_again::<RedisServer>(&service, &database, "k", 1).await;
    server.stop();
    database.set("k", 2);
    answers_from_the_repository(&service, &database).await;
    server.cont();
    serves_again::<RedisServer>(&service, &database, "k", 2).await;
    let sockets = || {
        let list = server.command(&["CLIENT", "LIST"]).text().unwrap();
        list.lines()
            .filter(|line| !line.contains("cmd=client|list"))
            .count()
    };
    eventually_async("the replaced connections are closed", PATIENCE, || {
        sockets() <= 1
    })
    .await;
}
