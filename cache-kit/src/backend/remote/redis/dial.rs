//! [`Connection`]: a connection to a server, and how its socket is opened.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Poll;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::backend::remote::drive::drive;

/// A connection that many callers use. The tasks behind it end with the last clone, whatever is
/// unanswered by then.
#[derive(Clone)]
pub(super) struct Connection {
    client: MultiplexedConnection,
    tasks: Arc<Tasks>,
}

struct Tasks {
    /// Sends and reads.
    driver: JoinHandle<()>,
    /// Ends the driver.
    watch: OnceLock<JoinHandle<()>>,
}

/// Whether several callers have a connection with these tasks.
fn is_shared(tasks: &Weak<Tasks>) -> bool {
    /// The clone that is kept for the next caller, and that of one caller.
    const OF_ONE_CALLER: usize = 2;

    tasks.strong_count() > OF_ONE_CALLER
}

impl Connection {
    /// Logs in on an open socket.
    pub(super) async fn login<S>(stream: S, info: &RedisConnectionInfo) -> RedisResult<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The guard in front of the store has the deadline of every command.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let (client, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
        let tasks = Arc::new_cyclic(|tasks| {
            let tasks = Weak::clone(tasks);
            Tasks {
                driver: tokio::spawn(drive(driver, move || is_shared(&tasks))),
                watch: OnceLock::new(),
            }
        });
        Ok(Self { client, tasks })
    }

    /// Whether nothing can be sent on it any more.
    pub(super) fn has_ended(&self) -> bool {
        self.tasks.driver.is_finished()
    }

    /// Ends the connection for all of its callers when `over` is done.
    #[cfg(feature = "redis-sentinel")]
    pub(super) fn end_after(&self, over: impl Future<Output = ()> + Send + 'static) {
        let driver = self.tasks.driver.abort_handle();
        self.tasks.watch.get_or_init(|| {
            tokio::spawn(async move {
                over.await;
                driver.abort();
            })
        });
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.driver.abort();
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.client.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.client.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.client.get_db()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

/// Opens a socket to the first of the host's addresses that answers; all are tried at once.
pub(super) async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let mut attempts: Vec<_> = addresses
        .map(|address| Box::pin(TcpStream::connect(address)))
        .collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let opened = poll_fn(|cx| {
        let mut opened = None;
        attempts.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
            _ if opened.is_some() => false,
            Poll::Pending => true,
            Poll::Ready(Ok(stream)) => {
                opened = Some(stream);
                false
            }
            Poll::Ready(Err(error)) => {
                last = error;
                false
            }
        });
        match opened {
            Some(stream) => Poll::Ready(Some(stream)),
            None if attempts.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        }
    })
    .await;
    let stream = opened.ok_or(last)?;
    // Commands are written whole, and must not wait for the answers to those before them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::pin::{Pin, pin};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
    use tokio::task::JoinSet;

    use super::*;

    /// Counts the writes to a stream.
    struct Counted {
        stream: DuplexStream,
        writes: Arc<AtomicUsize>,
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }
    }

    /// A server that answers each command with `OK`.
    async fn agrees_to_all(mut stream: DuplexStream) {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            let commands = bytes[..read].iter().filter(|byte| **byte == b'*').count();
            let answers = "+OK\r\n".repeat(commands);
            stream.write_all(answers.as_bytes()).await.unwrap();
        }
    }

    async fn send(mut connection: Connection) {
        let command = ::redis::cmd("PING");
        let answer = command.query_async::<String>(&mut connection);
        assert_eq!(answer.await.unwrap(), "OK");
    }

    /// Lends `connection` to `callers`, as its keeper does, and waits until all have an answer.
    async fn lend(connection: &Connection, callers: usize) {
        let lent: Vec<_> = (0..callers).map(|_| connection.clone()).collect();
        let all = tokio::spawn(async move {
            let mut all = JoinSet::new();
            for connection in lent {
                all.spawn(send(connection));
            }
            all.join_all().await;
        });
        all.await.unwrap();
    }

    /// On one thread, which would continue the driver right behind the first caller.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_several_callers_send_goes_out_in_one_write() {
        let (ours, theirs) = duplex(64 << 10);
        tokio::spawn(agrees_to_all(theirs));
        let writes = Arc::new(AtomicUsize::new(0));
        let counted = Counted {
            stream: ours,
            writes: Arc::clone(&writes),
        };
        let info = RedisConnectionInfo::default();
        let connection = Connection::login(counted, &info).await.unwrap();

        for callers in [1, 2, 30] {
            let before = writes.load(Ordering::Relaxed);
            lend(&connection, callers).await;
            let written = writes.load(Ordering::Relaxed) - before;
            assert_eq!(written, 1, "{callers} callers");
        }
    }

    /// How often a driver has been polled after `polls` polls of its task.
    fn polled(clones: usize, polls: usize) -> usize {
        let tasks = Arc::new(Tasks {
            driver: tokio::spawn(async {}),
            watch: OnceLock::new(),
        });
        let lent: Vec<_> = (1..clones).map(|_| Arc::clone(&tasks)).collect();
        let polled = AtomicUsize::new(0);
        let driver = poll_fn(|_| {
            polled.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        });
        let known = Arc::downgrade(&tasks);
        let mut driven = pin!(drive(driver, || is_shared(&known)));
        for _ in 0..polls {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(driven.as_mut().poll(&mut cx).is_pending());
        }
        drop(lent);
        polled.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn only_for_several_callers_does_the_driver_wait_its_turn() {
        // One clone is kept for the next caller.
        assert_eq!(polled(1, 4), 4, "nobody");
        assert_eq!(polled(2, 4), 4, "one caller");
        assert_eq!(polled(3, 4), 2, "two callers");
    }
}
