//! Peers that answer late, twice, in part, wrongly or not at all: the connection is closed, and the
//! caller gets his own answer, a miss or a clear error.

use std::time::Duration;

use cache_kit::backend::{ByteStore, MemcachedBackend};
use cache_kit::{Error, Result};
use cache_kit_tests::servers::{RedisServer, eventually_async};

use super::peer::{Act, Peer, honest, mark};
use super::{PATIENCE, config};

fn backend(peer: &Peer) -> MemcachedBackend {
    MemcachedBackend::new(config(&peer.url())).unwrap()
}

async fn get(backend: &MemcachedBackend, key: &str) -> Result<Option<String>> {
    let mut values = backend.servers()[0].store().get_many(&[key]).await?;
    assert_eq!(values.len(), 1);
    let value = values.remove(0);
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
async fn an_answer_that_comes_twice_is_nobody_elses() {
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
    // Also for the same key: the second copy may be older than what stands there now.
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
async fn an_answer_that_comes_late_is_nobodys() {
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
        let error = get(&backend, "a").await.unwrap_err();
        assert!(matches!(error, Error::BackendError(_)), "{cut}: {error:?}");
        is_closed(&peer, 1).await;
        assert_eq!(get(&backend, "b").await.unwrap(), own("b"), "{cut}");
    }
}

#[tokio::test]
async fn no_answer_at_all_ends_with_the_deadline() {
    let peer = Peer::start(|_, _| Act::Silence).await;
    let config =
        config(&peer.url()).set(|it| it.with_operation_deadline(Duration::from_millis(50)));
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
        let error = get(&backend, "a").await.unwrap_err();
        assert!(
            matches!(error, Error::BackendError(_)),
            "{wrong:?}: {error:?}"
        );
        is_closed(&peer, 1).await;
    }
}

#[tokio::test]
async fn the_servers_errors_are_told_in_our_words() {
    for (words, told) in [
        ("ERROR\r\n", "does not know meta commands"),
        ("CLIENT_ERROR secret\r\n", "does not take the command"),
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

#[tokio::test]
async fn a_batch_is_all_its_own_or_an_error() {
    // What a server with a value under `a`, `b` and `c` answers, the marks and keys being right.
    let item = |line: &str, key: &str| {
        format!("VA 1 {} k{key}\r\n{}\r\n", mark(line), key.to_uppercase()).into_bytes()
    };
    type Script = fn(&str, &[Vec<u8>; 3]) -> Vec<u8>;
    let scripts: [(&str, bool, Script); 7] = [
        ("whole", true, |_, items| items.concat()),
        ("with holes", true, |_, [_, b, _]| b.clone()),
        ("another order", false, |_, [a, b, c]| {
            [&c[..], b, a].concat()
        }),
        ("one twice", false, |_, [a, b, c]| {
            [&a[..], b, b, c].concat()
        }),
        ("one more", false, |line, items| {
            [
                items.concat(),
                format!("VA 1 {} kd\r\nD\r\n", mark(line)).into(),
            ]
            .concat()
        }),
        ("another mark", false, |_, [a, _, _]| {
            [&a[..], b"VA 1 O999 kb\r\nB\r\n"].concat()
        }),
        ("no mark", false, |_, [a, _, _]| {
            [&a[..], b"VA 1 kb\r\nB\r\n"].concat()
        }),
    ];
    for (what, fits, script) in scripts {
        let peer = Peer::start(move |_, line| match line {
            "mn" => Act::Answer("MN\r\n".into()),
            line if line.starts_with("mg c ") => {
                let items = ["a", "b", "c"].map(|key| item(line, key));
                Act::Answer(script(line, &items))
            }
            _ => Act::Silence,
        })
        .await;
        let backend = backend(&peer);
        let values = backend.servers()[0]
            .store()
            .get_many(&["a", "b", "c"])
            .await;
        match values {
            Ok(values) => {
                assert!(fits, "{what}: {values:?}");
                for (value, own) in values.iter().zip([b"A", b"B", b"C"]) {
                    assert!(value.as_deref().is_none_or(|it| it == own), "{what}");
                }
            }
            Err(error) => {
                assert!(
                    !fits && matches!(error, Error::BackendError(_)),
                    "{what}: {error:?}"
                );
                is_closed(&peer, 1).await;
            }
        }
    }
}

#[tokio::test]
async fn a_deletion_counts_only_when_all_of_it_is_confirmed() {
    // Several keys are deleted without answers, and the look-up behind them has one.
    for (answer, confirmed) in [
        (None, true),
        (Some("SERVER_ERROR out of memory\r\n"), false),
        (Some("EN O999\r\n"), false),
        (Some("EN\r\n"), false),
    ] {
        let peer = Peer::start(move |_, line| {
            if line.ends_with("noreply") {
                return Act::Silence;
            }
            let right = format!("EN {}\r\n", mark(line));
            Act::Answer(answer.map_or(right, str::to_owned).into())
        })
        .await;
        let backend = backend(&peer);
        let deleted = backend.servers()[0].store().delete_many(&["a", "b"]).await;
        assert_eq!(deleted.is_ok(), confirmed, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_of_another_kind_is_a_clear_error() {
    let redis = RedisServer::start();
    let config = config(&format!("memcached://127.0.0.1:{}", redis.port()));
    let backend = MemcachedBackend::new(config).unwrap();
    let error = get(&backend, "a").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("none of memcached"), "{text}");
}
