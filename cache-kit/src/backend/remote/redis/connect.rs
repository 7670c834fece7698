//! [`Connector`]: makes connections, and says why one cannot be made.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion,
    RedisError, RedisResult,
};

use super::RedisConfig;
use super::said::{is_login, said_of};
use crate::error::{Error, Result};

pub(super) struct Connector {
    /// The addresses of the server, each with the protocols to try, the preferred one first.
    clients: Vec<Vec<Client>>,
    db: i64,
    deadline: Duration,
    /// Whether the server has turned out not to speak RESP3.
    older: AtomicBool,
}

impl Connector {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        let info = config.connection();
        let protocols: &[Option<ProtocolVersion>] = if config.protocol_chosen() {
            &[None]
        } else {
            &[Some(ProtocolVersion::RESP3), Some(ProtocolVersion::RESP2)]
        };
        let clients = addresses(info).into_iter().map(|address| {
            let clients = protocols.iter().map(|protocol| {
                let mut settings = info.redis_settings().clone();
                if let Some(protocol) = protocol {
                    settings = settings.set_protocol(*protocol);
                }
                let info = info.clone().set_addr(address.clone());
                // The message could repeat parts of the URL.
                Client::open(info.set_redis_settings(settings))
                    .map_err(|_| Error::ConfigError("redis: bad connection settings".into()))
            });
            clients.collect()
        });
        Ok(Self {
            clients: clients.collect::<Result<_>>()?,
            db: info.redis_settings().db(),
            deadline: config.connect_deadline(),
            older: AtomicBool::new(false),
        })
    }

    /// Makes a connection, within its own deadline; callers may stop waiting earlier.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection> {
        let connecting = async {
            let mut last = None;
            for clients in &self.clients {
                match self.connect_with(clients).await {
                    Err(error) if error.is_io_error() => last = Some(error),
                    connected => return connected,
                }
            }
            Err(last.unwrap_or_else(|| (ErrorKind::InvalidClientConfig, "no address").into()))
        };
        match tokio::time::timeout(self.deadline, connecting).await {
            Ok(connected) => connected.map_err(|error| self.said(&error)),
            Err(_) => Err(Error::BackendError(format!(
                "redis: no connection within {:?}",
                self.deadline
            ))),
        }
    }

    async fn connect_with(&self, clients: &[Client]) -> RedisResult<MultiplexedConnection> {
        // The guard in front of the store has the deadline of every command.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let open = |client: &Client| {
            let client = client.clone();
            let config = config.clone();
            async move {
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            }
        };
        let [newer, older] = clients else {
            return match clients.first() {
                Some(client) => open(client).await,
                None => Err((ErrorKind::InvalidClientConfig, "no protocol").into()),
            };
        };
        if self.older.load(Ordering::Relaxed) {
            return open(older).await;
        }
        match open(newer).await {
            // A server's error for an unknown `HELLO`, however it is worded.
            Err(error) if is_said_by_server(&error) && !is_login(&error) => {
                let connected = open(older).await;
                self.older.store(connected.is_ok(), Ordering::Relaxed);
                connected
            }
            connected => connected,
        }
    }

    fn said(&self, error: &RedisError) -> Error {
        // Matches the client's own message; the server's is not looked at.
        if error.to_string().contains("refused to switch database") {
            return Error::BackendError(format!("redis: the server has no database {}", self.db));
        }
        match said_of(error, "the login") {
            Error::ConnectionLost(text) | Error::BackendRefused(text) => Error::BackendError(text),
            said => said,
        }
    }
}

/// The addresses under which a server is tried. `localhost` is tried as both, whatever a hosts file
/// says.
fn addresses(info: &ConnectionInfo) -> Vec<ConnectionAddr> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) if host.eq_ignore_ascii_case("localhost") => {
            let tcp = |host: &str| ConnectionAddr::Tcp(host.into(), *port);
            vec![tcp("127.0.0.1"), tcp("::1")]
        }
        address => vec![address.clone()],
    }
}

fn is_said_by_server(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::RESP3NotSupported
    )
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients.iter().flatten();
        let addresses = clients.map(|client| client.get_connection_info().addr().to_string());
        f.debug_list().entries(addresses).finish()
    }
}
