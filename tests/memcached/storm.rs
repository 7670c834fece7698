//! Requests that are dropped while their answers arrive, byte by byte. Independent of the client:
//! the same storm runs over ours, and over a client that is known to mix up answers
//! (`tests/memcached-0.7`).

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// How many keys there are.
pub const KEYS: usize = 400;

/// How many callers there are at a time.
const TASKS: usize = 64;

/// The longest that the rest of an answer is held back.
const HELD: Duration = Duration::from_millis(1);

/// Gets values by key. The test is about what its future does when it is dropped.
pub trait Gets: Clone + Send + 'static {
    /// The values under `keys`, or nothing after a failure.
    fn get(&self, keys: Vec<String>) -> impl Future<Output = Option<Vec<Option<Vec<u8>>>>> + Send;
}

/// The results of the requests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Dropped before they were answered.
    pub cancelled: usize,
    /// Answered, each key with its own value.
    pub right: usize,
    /// Answered with another key's value, or with a part of one.
    pub wrong: usize,
    /// Failed.
    pub failed: usize,
}

/// The name of a key.
pub fn key(n: usize) -> String {
    format!("storm:{n}")
}

/// The value of a key. Lengths differ, so that answers are cut everywhere.
pub fn value(n: usize) -> Vec<u8> {
    format!("value of {n} {}", "x".repeat(n)).into_bytes()
}

/// The commands that put every value under its key, and an `MN` at the end.
pub fn sets() -> Vec<u8> {
    let mut commands = Vec::new();
    for n in 0..KEYS {
        let value = value(n);
        commands.extend(format!("ms {} {} q\r\n", key(n), value.len()).into_bytes());
        commands.extend(value);
        commands.extend(b"\r\n");
    }
    commands.extend(b"mn\r\n");
    commands
}

/// Sends requests until `cancelled` of them were dropped.
pub async fn storm(store: impl Gets, cancelled: usize) -> Tally {
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (store, dropped) = (store.clone(), Arc::clone(&dropped));
        tasks.spawn(async move {
            let random = &mut fastrand::Rng::with_seed(task as u64);
            let mut tally = Tally::default();
            while dropped.load(Ordering::Relaxed) < cancelled {
                let wanted: Vec<usize> = match random.u8(..4) {
                    0 => (0..random.usize(2..5))
                        .map(|_| random.usize(..KEYS))
                        .collect(),
                    _ => vec![random.usize(..KEYS)],
                };
                let request = store.get(wanted.iter().map(|n| key(*n)).collect());
                // Shorter than most answers take, except for every fourth caller, which is patient.
                let patience = match random.u8(..4) {
                    0 => Duration::from_secs(60),
                    _ => Duration::from_micros(random.u64(..1_500)),
                };
                match tokio::time::timeout(patience, request).await {
                    Err(_) => {
                        dropped.fetch_add(1, Ordering::Relaxed);
                        tally.cancelled += 1;
                    }
                    Ok(None) => tally.failed += 1,
                    Ok(Some(values)) => {
                        let own: Vec<_> = wanted.iter().map(|n| Some(value(*n))).collect();
                        if values == own {
                            tally.right += 1;
                        } else {
                            tally.wrong += 1;
                        }
                    }
                }
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(ended) = tasks.join_next().await {
        let tally = ended.unwrap();
        all.cancelled += tally.cancelled;
        all.right += tally.right;
        all.wrong += tally.wrong;
        all.failed += tally.failed;
    }
    all
}

/// A wire to a server that splits every answer in two, each time a byte later, and delays the rest
/// for a moment. Over unix sockets: a hundred thousand connections would use up the ports.
pub struct Wire {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A wire to the server at `server`; it listens at `path`.
    pub fn between(path: &Path, server: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (server, cut) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, cut) = (server.clone(), Arc::clone(&cut));
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(server).await {
                        carry(client, server, &cut).await;
                    }
                });
            }
        });
        Self {
            path: path.to_owned(),
            accepting,
        }
    }

    /// Where it listens.
    pub fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries both ways until one end is gone.
async fn carry(client: UnixStream, server: UnixStream, cut: &AtomicUsize) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let commands = tokio::io::copy(&mut from_client, &mut to_server);
    let answers = async {
        let mut chunk = vec![0; 64 * 1_024];
        loop {
            let Ok(read @ 1..) = from_server.read(&mut chunk).await else {
                return;
            };
            let at = cut.fetch_add(1, Ordering::Relaxed) % (read + 1);
            if to_client.write_all(&chunk[..at]).await.is_err() {
                return;
            }
            tokio::time::sleep(HELD).await;
            if to_client.write_all(&chunk[at..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = commands => {}
        () = answers => {}
    }
}
