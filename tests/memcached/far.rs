//! A wire to a server that is far away, or slow to answer a new connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_kit_tests::servers::MemcachedServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How many bytes it carries at a time.
const CHUNK: usize = 64 * 1_024;

/// How late bytes arrive.
#[derive(Clone, Copy)]
struct Wire {
    round_trip: Duration,
    /// The additional delay of a connection's first answer.
    greeting: Duration,
}

const WIRE: Wire = Wire {
    round_trip: Duration::ZERO,
    greeting: Duration::ZERO,
};

/// A wire that delivers everything late. It carries any number of bytes at a time.
pub struct Far {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Far {
    /// Every byte takes half of `round_trip`.
    pub async fn away(server: &MemcachedServer, round_trip: Duration) -> Self {
        Self::with("127.0.0.1:0", server, Wire { round_trip, ..WIRE }).await
    }

    /// The first answer on every connection takes this long, and the others no time.
    pub async fn slow_to_greet(server: &MemcachedServer, greeting: Duration) -> Self {
        Self::with("127.0.0.1:0", server, Wire { greeting, ..WIRE }).await
    }

    /// Listens on `::1`, and carries without delay.
    pub async fn on_ipv6(server: &MemcachedServer) -> Self {
        Self::with("[::1]:0", server, WIRE).await
    }

    async fn with(here: &str, server: &MemcachedServer, wire: Wire) -> Self {
        let listener = TcpListener::bind(here).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (server, accepted) = (server.addr(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&accepted);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    let greeting = Duration::ZERO;
                    let there = carry(from_client, to_server, Wire { greeting, ..wire });
                    let back = carry(from_server, to_client, wire);
                    tokio::select! {
                        () = there => {}
                        () = back => {}
                    }
                });
            }
        });
        Self {
            addr,
            accepted,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("memcached://{}", self.addr)
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries bytes as late as `wire` says. Ends when one side does.
fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    wire: Wire,
) -> impl Future<Output = ()> {
    let (send, mut under_way) = mpsc::channel(1_000_000);
    let mut first = wire.greeting;
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let due = Instant::now() + wire.round_trip / 2 + std::mem::take(&mut first);
            if send.send((due, chunk[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    async move {
        tokio::select! {
            () = read => {}
            () = write => {}
        }
    }
}
