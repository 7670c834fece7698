//! Peers that answer late, twice, in part, wrongly or not at all: the connection is closed, and the
//! caller gets its own answer, a miss or a clear error.

use std::time::Duration;

use cache_kit::backend::{ByteStore, MemcachedBackend};
use cache_kit::{Error, ErrorKind, Result};
use cache_kit_tests::servers::{RedisServer, eventually_async};

use super::peer::{Act, Peer, honest, mark};
use super::{PATIENCE, config};

fn backend(peer: &Peer) -> MemcachedBackend {
    MemcachedBackend::new(config(&peer.url())).unwrap()
}

/// Asks once more if the connection is lost, as the layer above does.
async fn get(backend: &MemcachedBackend, key: &str) -> Result<Option<String>> {
    match get_once(backend, key).await {
        Err(Error::ConnectionLost(_)) => get_once(backend, key).await,
        value => value,
    }
}

async fn get_once(backend: &MemcachedBackend, key: &str) -> Result<Option<String>> {
    let value = backend.servers()[0].byte_store().get(key).await?;
    Ok(value.map(|bytes| String::from_utf8(bytes).unwrap()))
}

fn own(key: &str) -> Option<String> {
    Some(format!("value of {key}"))
}

async fn is_closed(peer: &Peer, connections: usize) {
    eventually_async("the connection is closed", PATIENCE, || {
        peer.closed() == connections
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_twice_answers_no_other_command() {
    let peer = Peer::start(|number, line| {
        let answer = honest(line);
        Act::Answer(if number == 0 {
            answer.repeat(2)
        } else {
            answer
        })
    })
    .await;
    let backend = backend(&peer);
    assert_eq!(get(&backend, "a").await.unwrap(), own("a"));
    // Also for the same key: the second copy may be older than the current item.
    for key in ["b", "a", "a"] {
        assert_eq!(get(&backend, key).await.unwrap(), own(key));
    }
    assert_eq!(peer.accepted(), 2);
    is_closed(&peer, 1).await;
}

#[tokio::test]
async fn every_answer_twice_is_never_taken_for_another() {
    let peer = Peer::start(|_, line| Act::Answer(honest(line).repeat(2))).await;
    let backend = backend(&peer);
    for n in 0..50 {
        let key = format!("k{n}");
        assert_eq!(get(&backend, &key).await.unwrap(), own(&key));
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_is_dropped() {
    let peer = Peer::start(|number, line| match number {
        0 => Act::Silence,
        // Had the connection stayed open, this would answer the one before.
        _ => Act::Answer(honest(line)),
    })
    .await;
    let backend = backend(&peer);
    let late = tokio::time::timeout(Duration::from_millis(50), get(&backend, "late")).await;
    assert!(late.is_err());
    is_closed(&peer, 1).await;
    assert_eq!(get(&backend, "b").await.unwrap(), own("b"));
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn an_answer_that_ends_anywhere_is_none() {
    let whole = honest("mg a v O1").len();
    for cut in 0..whole {
        let peer = Peer::start(move |number, line| {
            let mut answer = honest(line);
            if number == 0 {
                answer.truncate(cut);
                return Act::AnswerAndEnd(answer);
            }
            Act::Answer(answer)
        })
        .await;
        let backend = backend(&peer);
        let error = get_once(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{cut}: {error:?}");
        is_closed(&peer, 1).await;
        assert_eq!(get(&backend, "b").await.unwrap(), own("b"), "{cut}");
    }
}

#[tokio::test]
async fn no_answer_at_all_ends_with_the_deadline() {
    let peer = Peer::start(|_, _| Act::Silence).await;
    let config = config(&peer.url())
        .set(|encoded| encoded.with_operation_deadline(Duration::from_millis(50)));
    let backend = MemcachedBackend::new(config).unwrap();
    let now = cache_kit::clock::Clock::system().now();
    let found =
        cache_kit::backend::CacheBackend::get::<cache_kit_tests::Row>(&backend, "row:k", now);
    let error = found.await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    is_closed(&peer, 1).await;
}

#[tokio::test]
async fn an_answer_without_our_mark_is_refused() {
    for wrong in [
        "EN\r\n",
        "EN O999\r\n",
        "VA 1\r\nx\r\n",
        "VA 1 O999\r\nx\r\n",
        "HD\r\n",
        "MN\r\n",
        "VA x O1\r\n",
        "VA 1 O1\r\nxx\r\n",
        "VA 99999999999 O1\r\n",
        "VALUE a 0 1\r\nx\r\nEND\r\n",
        "END\r\n",
        "STORED\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "-ERR unknown command\r\n",
        "\r\n",
        "\0\0\0\0\r\n",
    ] {
        let peer = Peer::start(move |_, _| Act::Answer(wrong.into())).await;
        let backend = backend(&peer);
        let error = get_once(&backend, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{wrong:?}: {error:?}");
        is_closed(&peer, 1).await;
    }
}

#[tokio::test]
async fn the_servers_errors_are_told_in_our_words() {
    for (words, told) in [
        ("ERROR\r\n", "does not know meta commands"),
        ("CLIENT_ERROR secret\r\n", "does not take the command"),
        ("CLIENT_ERROR unauthenticated secret\r\n", "wants a login"),
        ("SERVER_ERROR out of memory secret\r\n", "out of memory"),
        ("SERVER_ERROR secret\r\n", "has an error"),
    ] {
        let peer = Peer::start(move |_, _| Act::Answer(words.into())).await;
        let error = get(&backend(&peer), "a").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::BackendRefused(_)), "{text}");
        assert!(text.contains(told) && !text.contains("secret"), "{text}");
    }
}

/// The answer of a server that has these items; the marks of other commands are correct.
fn items(line: &str, items: &[(&str, &str)]) -> Vec<u8> {
    if !line.starts_with("get ") {
        return format!("EN {}\r\n", mark(line)).into();
    }
    let item = |(key, value): &(&str, &str)| {
        let length = value.len();
        format!("VALUE {key} 0 {length}\r\n{value}\r\n")
    };
    let items: String = items.iter().map(item).collect();
    format!("{items}END\r\n").into()
}

async fn get_abc(backend: &MemcachedBackend) -> Result<Vec<Option<Vec<u8>>>> {
    let store = backend.servers()[0].byte_store();
    let values = store.get_many(&["a", "b", "c"]).await;
    match values.into_iter().collect() {
        Err(Error::ConnectionLost(_)) => {
            let values = store.get_many(&["a", "b", "c"]).await;
            values.into_iter().collect()
        }
        values => values,
    }
}

#[tokio::test]
async fn a_batch_is_all_its_own_or_an_error() {
    let (a, b, c) = (("a", "A"), ("b", "B"), ("c", "C"));
    for (told, fits) in [
        (vec![a, b, c], true),
        (vec![b], true),
        (vec![], true),
        (vec![c, b, a], false),
        (vec![a, b, b, c], false),
        (vec![a, b, c, ("d", "D")], false),
        (vec![("d", "D")], false),
    ] {
        let answer = told.clone();
        let peer = Peer::start(move |_, line| Act::Answer(items(line, &answer))).await;
        match get_abc(&backend(&peer)).await {
            Ok(values) => {
                assert!(fits, "{told:?}: {values:?}");
                for (value, own) in values.iter().zip([a, b, c]) {
                    let expected = told.contains(&own).then_some(own.1.as_bytes());
                    assert_eq!(value.as_deref(), expected, "{told:?}");
                }
            }
            Err(error) => {
                assert!(!fits, "{told:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::Backend, "{error:?}");
                is_closed(&peer, 2).await;
            }
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_answered_twice_never_answers_the_next() {
    // The value of every key is the number of the command that it answers.
    let peer = Peer::start(|number, line| {
        let number = number.to_string();
        let answer = items(line, &[("a", &number), ("b", &number), ("c", &number)]);
        let twice = line.starts_with("get ");
        Act::Answer(answer.repeat(if twice { 2 } else { 1 }))
    })
    .await;
    let backend = backend(&peer);
    let mut last = None;
    for round in 0..20 {
        let values = get_abc(&backend).await.unwrap();
        let number = String::from_utf8(values[0].clone().unwrap()).unwrap();
        let number: usize = number.parse().unwrap();
        assert!(
            last < Some(number),
            "round {round}: {number} after {last:?}"
        );
        last = Some(number);
    }
}

#[tokio::test]
async fn a_batch_whose_answer_ends_anywhere_is_an_error() {
    let whole = [("a", "A"), ("b", "B"), ("c", "C")];
    for cut in 0..items("get a b c", &whole).len() {
        let peer = Peer::start(move |_, line| {
            let mut answer = items(line, &whole);
            if !line.starts_with("get ") {
                return Act::Answer(answer);
            }
            answer.truncate(cut);
            Act::AnswerAndEnd(answer)
        })
        .await;
        let error = get_abc(&backend(&peer)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{cut}: {error:?}");
    }
}

#[tokio::test]
async fn a_deletion_counts_only_when_it_is_confirmed() {
    for (answer, confirmed) in [
        (None, true),
        (Some("SERVER_ERROR out of memory\r\n"), false),
        (Some("NF O999\r\n"), false),
        (Some("NF\r\n"), false),
        (Some("EN\r\n"), false),
    ] {
        let peer = Peer::start(move |_, line| {
            let right = format!("NF {}\r\n", mark(line));
            Act::Answer(answer.map_or(right, str::to_owned).into())
        })
        .await;
        let backend = backend(&peer);
        let deleted = backend.servers()[0]
            .byte_store()
            .delete_many(&["a", "b"])
            .await;
        assert!(
            deleted.iter().all(|result| result.is_ok() == confirmed),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_server_of_another_kind_is_a_clear_error() {
    let redis = RedisServer::start();
    let config = config(&format!("memcached://127.0.0.1:{}", redis.port()));
    let backend = MemcachedBackend::new(config).unwrap();
    let error = get(&backend, "a").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not one of memcached"), "{text}");
}
