//! [`Connection`]: a connection to a server, and how its socket is opened.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

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
        let tasks = Tasks {
            driver: tokio::spawn(driver),
            watch: OnceLock::new(),
        };
        Ok(Self {
            client,
            tasks: Arc::new(tasks),
        })
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
