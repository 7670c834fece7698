//! Passwords that change while the service runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Refresh};
use cache_kit::backend::RedisBackend;
use cache_kit::{CacheService, Error};
use cache_kit_tests::Gated;
use cache_kit_tests::calls::{answers_from_the_repository, is_hit, serves_again};
use cache_kit_tests::servers::{RedisServer, eventually, room};

use super::{PATIENCE, Service, call, config, service_by_default};

/// A server whose password is `first`, and a database.
fn scene() -> (RedisServer, Gated) {
    let server = RedisServer::start();
    user(&server, "first");
    let database = Gated::open();
    database.set("k", 1);
    (server, database)
}

fn user(server: &RedisServer, password: &str) {
    let rules = ["resetpass", &format!(">{password}"), "~*", "+@all"];
    let words = [&["ACL", "SETUSER", "app", "on"][..], &rules].concat();
    assert!(server.command(&words).is_ok());
}

/// Ends the connections of the service.
fn cut(server: &RedisServer) {
    let killed = server.command(&["CLIENT", "KILL", "USER", "app"]);
    assert!(killed.integer() >= Some(1), "{killed:?}");
}

/// The password changes on the server, and then `here`.
async fn rotates(server: &RedisServer, database: &Gated, service: &Service, here: impl Fn(&str)) {
    call(service, database, "k", Refresh).await.unwrap();
    assert!(is_hit(service, database, "k").await);
    user(server, "second");
    assert!(
        is_hit(service, database, "k").await,
        "what is connected goes on"
    );
    here("second");
    cut(server);
    // Refused by no connection, since the next one asks for the password.
    assert!(is_hit(service, database, "k").await);
    assert_eq!(service.backend().health().last_error, None);

    // The other way round: the server first, and the old password for a while.
    user(server, "third");
    cut(server);
    answers_from_the_repository(service, database).await;
    let health = service.backend().health();
    let said = health.last_error.unwrap();
    assert!(
        said.contains("the password is refused") && !said.contains("second"),
        "{said}"
    );
    here("third");
    serves_again::<RedisServer>(service, database, "k", 1).await;
}

#[tokio::test]
async fn a_password_in_a_file_is_read_for_each_connection() {
    let (server, database) = scene();
    let room = room("password");
    let path = room.path().join("password file");
    let write = |password: &str| std::fs::write(&path, format!("{password}\n")).unwrap();
    write("first");
    let escaped = path.display().to_string().replace(' ', "%20");
    let url = format!(
        "redis://app@127.0.0.1:{}?pass_file={escaped}",
        server.port()
    );
    let service = service_by_default(&url);
    rotates(&server, &database, &service, write).await;

    for text in ["", "\n"] {
        std::fs::write(&path, text).unwrap();
        let error = call(&service_by_default(&url), &database, "k", Fresh)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the file of `pass_file` is empty"),
            "{error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let error = call(&service_by_default(&url), &database, "k", Fresh)
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("the file of `pass_file` cannot be read"),
        "{said}"
    );
    assert!(!said.contains(room.path().to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn a_password_is_asked_for_at_each_connection() {
    let (server, database) = scene();
    let password = Arc::new(Mutex::new(Ok("first".to_owned())));
    let told = Arc::clone(&password);
    let url = format!("redis://app:unused@127.0.0.1:{}", server.port());
    let config = config(&url).with_password(move || told.lock().unwrap().clone());
    let service: Service = CacheService::new(RedisBackend::new(config.clone()).unwrap());
    let tell = |new: &str| *password.lock().unwrap() = Ok(new.to_owned());
    rotates(&server, &database, &service, tell).await;

    *password.lock().unwrap() = Err(Error::BackendError("no token".into()));
    let other: Service = CacheService::new(RedisBackend::new(config.clone()).unwrap());
    let error = call(&other, &database, "k", Fresh).await.unwrap_err();
    assert!(error.to_string().contains("no token"), "{error}");

    // Printing the panic may take its time.
    let panics = config
        .with_password(|| panic!("on purpose"))
        .with_connect_deadline(PATIENCE)
        .set(|encoded| encoded.with_operation_deadline(PATIENCE));
    let other: Service = CacheService::new(RedisBackend::new(panics).unwrap());
    let error = call(&other, &database, "k", Fresh).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("asking for the password panicked"),
        "{error}"
    );
}

/// A token service that hangs must not take a thread for every attempt to connect.
#[tokio::test]
async fn a_password_that_does_not_come_is_asked_for_once() {
    let (server, database) = scene();
    let (tell, told) = std::sync::mpsc::channel::<String>();
    let (told, asked) = (Mutex::new(told), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    let url = format!("redis://app@127.0.0.1:{}", server.port());
    let config = config(&url)
        .with_password(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = told.lock().unwrap().recv();
            Ok("first".to_owned())
        })
        .with_connect_deadline(Duration::from_millis(20))
        .set(|encoded| {
            encoded
                .with_operation_deadline(PATIENCE)
                .with_breaker_failures(u32::MAX)
        });
    let service: Service = CacheService::new(RedisBackend::new(config).unwrap());
    for _ in 0..50 {
        let error = call(&service, &database, "k", Fresh).await.unwrap_err();
        assert!(
            error.to_string().contains("no connection within"),
            "{error}"
        );
    }
    eventually("it is asked for", PATIENCE, || {
        asked.load(Ordering::SeqCst) > 0
    });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    drop(tell);
    serves_again::<RedisServer>(&service, &database, "k", 1).await;
}

/// It is not ignored, as if the login were that of the default user.
#[tokio::test]
async fn a_user_without_a_password_is_logged_in() {
    let server = RedisServer::start();
    let rules = ["ACL", "SETUSER", "app", "on", "nopass", "~row:*", "+@all"];
    assert!(server.command(&rules).is_ok());
    let database = Gated::open();
    database.set("k", 1);
    for protocol in ["resp2", "resp3"] {
        let port = server.port();
        let url = format!("redis://app@127.0.0.1:{port}?protocol={protocol}");
        let service = service_by_default(&url);
        call(&service, &database, "k", Refresh).await.unwrap();
        let list = server.command(&["CLIENT", "LIST"]).text().unwrap();
        assert!(list.contains("user=app"), "{list}");
        let unknown = service_by_default(&url.replace("app", "ghost"));
        assert!(call(&unknown, &database, "k", Fresh).await.is_err());
    }
}
