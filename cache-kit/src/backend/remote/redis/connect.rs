//! [`Connector`]: makes connections, and says why one cannot be made.

use std::fmt;
#[cfg(feature = "redis-sentinel")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::{ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError};

use super::RedisConfig;
use super::address::{Address, Topology};
use super::dial::{self, Connection};
use super::login::Login;
use super::said::{is_login, is_lost, said_of};
#[cfg(feature = "redis-sentinel")]
use super::sentinel::Watched;
#[cfg(feature = "redis-tls")]
use super::tls::{self, RedisTls};
use crate::error::{Error, Result};

pub(super) struct Connector {
    target: Target,
    access: Access,
    deadline: Duration,
}

enum Target {
    Server(Address),
    #[cfg(feature = "redis-sentinel")]
    Master(Arc<Watched>),
}

/// How servers of one kind are greeted.
pub(super) struct Access {
    login: Login,
    #[cfg(feature = "redis-tls")]
    tls: Option<RedisTls>,
    /// Whether a server has turned out not to speak RESP3.
    older: AtomicBool,
}

/// Why a server was not reached.
pub(super) enum Failure {
    /// By the socket, or by the server's answer.
    Redis(RedisError),
    /// The connection ended before there was an answer to the login; and what may be the reason.
    Ended(RedisError, &'static str),
    /// In our own words.
    Said(Error),
}

impl Connector {
    /// For one server, or for the master that sentinels name.
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        let target = match config.topology() {
            Topology::Single(address) => Target::Server(address.clone()),
            #[cfg(feature = "redis-sentinel")]
            Topology::Sentinel(sentinels) => {
                let access = Access::new(config, sentinels.login.clone());
                let watched = Watched::new(sentinels, access, config.connect_deadline());
                Target::Master(Arc::new(watched))
            }
            #[cfg(not(feature = "redis-sentinel"))]
            Topology::Sentinel(_) => return Err(needs("redis-sentinel")),
            Topology::Cluster(_) => return Err(needs("redis-cluster")),
        };
        Self::to(config, target, config.login().clone())
    }

    /// For one node of a cluster.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn to_node(config: &RedisConfig, host: &str, port: u16) -> Result<Self> {
        let target = Target::Server(Address::Tcp(host.to_owned(), port));
        Self::to(config, target, config.login().without_db())
    }

    fn to(config: &RedisConfig, target: Target, login: Login) -> Result<Self> {
        let access = Access::new(config, login);
        #[cfg(feature = "redis-tls")]
        if access.tls.is_some() && matches!(target, Target::Server(Address::Unix(_))) {
            return Err(Error::ConfigError(
                "redis: there is no TLS on a unix socket".into(),
            ));
        }
        Ok(Self {
            target,
            access,
            deadline: config.connect_deadline(),
        })
    }

    /// Makes a connection, within its own deadline; callers may stop waiting earlier.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let connecting = async {
            match &self.target {
                Target::Server(address) => self.access.reach(address).await,
                #[cfg(feature = "redis-sentinel")]
                Target::Master(watched) => watched.open(&self.access).await,
            }
        };
        match tokio::time::timeout(self.deadline, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Error {
        let hint = self.access.hint_of_silence();
        Error::BackendError(format!(
            "redis: no connection within {:?}{hint}",
            self.deadline
        ))
    }
}

impl Access {
    pub(super) fn new(config: &RedisConfig, login: Login) -> Self {
        #[cfg(not(feature = "redis-tls"))]
        let _ = config;
        Self {
            login,
            #[cfg(feature = "redis-tls")]
            tls: config.tls().cloned(),
            older: AtomicBool::new(false),
        }
    }

    fn is_encrypted(&self) -> bool {
        #[cfg(feature = "redis-tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "redis-tls"))]
        return false;
    }

    /// What may be the reason if a server accepts a connection and does not answer.
    pub(super) fn hint_of_silence(&self) -> &'static str {
        match self.is_encrypted() {
            true => ": is it the server's port for TLS?",
            false => "",
        }
    }

    /// Connects to a server and logs in; errors are in our own words.
    pub(super) async fn reach(&self, address: &Address) -> Result<Connection> {
        let opened = self.open(address).await;
        opened.map_err(|failure| failure.said(self.login.db))
    }

    /// Connects to a server and logs in.
    pub(super) async fn open(&self, address: &Address) -> std::result::Result<Connection, Failure> {
        let info = self.login.now().await?;
        let mut told: Option<Failure> = None;
        for socket in address.each() {
            match self.greet(address, &socket, &info).await {
                // That nothing listens at the other address says less than the answer of this one.
                Err(failure) if failure.is_of_the_socket() => {
                    told = told.filter(|told| !told.is_refusal()).or(Some(failure));
                }
                connected => return connected,
            }
        }
        Err(told.unwrap_or_else(|| Error::ConfigError("redis: no address".into()).into()))
    }

    async fn greet(
        &self,
        server: &Address,
        socket: &Address,
        info: &RedisConnectionInfo,
    ) -> std::result::Result<Connection, Failure> {
        let open = |protocol: ProtocolVersion| {
            let info = info.clone().set_protocol(protocol);
            async move { self.dial(server, socket, &info).await }
        };
        let [newer, older] = *self.login.protocols() else {
            let [only, ..] = *self.login.protocols() else {
                return Err(Error::ConfigError("redis: no protocol".into()).into());
            };
            return open(only).await;
        };
        if self.older.load(Ordering::Relaxed) {
            return open(older).await;
        }
        match open(newer).await {
            // A server's error for an unknown `HELLO`, however it is worded.
            Err(Failure::Redis(error)) if is_said_by_server(&error) && !is_login(&error) => {
                let connected = open(older).await;
                self.older.store(connected.is_ok(), Ordering::Relaxed);
                connected
            }
            connected => connected,
        }
    }

    async fn dial(
        &self,
        server: &Address,
        socket: &Address,
        info: &RedisConnectionInfo,
    ) -> std::result::Result<Connection, Failure> {
        #[cfg(not(feature = "redis-tls"))]
        let _ = server;
        let (connected, hint) = match socket {
            Address::Tcp(host, port) => {
                let stream = dial::tcp(host, *port).await.map_err(RedisError::from)?;
                #[cfg(feature = "redis-tls")]
                if let Some(tls) = &self.tls {
                    let stream = tls.handshake(server, stream).await?;
                    let connected = Connection::login(stream, info).await;
                    return connected.map_err(|error| Failure::of_login(error, tls::ENDED));
                }
                let hint = "; a URL for a port with TLS begins with rediss://";
                (Connection::login(stream, info).await, hint)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                let stream = stream.map_err(RedisError::from)?;
                (Connection::login(stream, info).await, "")
            }
            #[cfg(not(unix))]
            Address::Unix(_) => {
                let words = "redis: this system has no unix sockets";
                return Err(Error::ConfigError(words.into()).into());
            }
        };
        connected.map_err(|error| Failure::of_login(error, hint))
    }
}

impl Failure {
    fn of_login(error: RedisError, hint: &'static str) -> Self {
        match is_lost(&error) {
            true => Self::Ended(error, hint),
            false => Self::Redis(error),
        }
    }

    /// Whether another address of the server may answer.
    fn is_of_the_socket(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_io_error(),
            Self::Ended(..) => true,
            Self::Said(_) => false,
        }
    }

    /// Whether nothing listens at the address.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_connection_refusal())
    }

    /// In our own words, after a login to this database.
    pub(super) fn said(self, db: i64) -> Error {
        let error = match self {
            Self::Redis(error) => error,
            Self::Ended(error, hint) => {
                #[cfg(feature = "redis-tls")]
                if let Some(said) = tls::said_of(&error) {
                    return said;
                }
                return Error::BackendError(format!(
                    "redis: the connection ended at the login ({}){hint}",
                    error.category()
                ));
            }
            Self::Said(error) => return error,
        };
        // Matches the client's own message; the server's is not looked at.
        if error.to_string().contains("refused to switch database") {
            return Error::BackendError(format!("redis: the server has no database {db}"));
        }
        #[cfg(feature = "redis-tls")]
        if let Some(said) = tls::said_of(&error) {
            return said;
        }
        match said_of(&error, "the login") {
            Error::ConnectionLost(text) | Error::BackendRefused(text) => Error::BackendError(text),
            said => said,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

fn needs(feature: &str) -> Error {
    Error::ConfigError(format!("redis needs the feature `{feature}` for this"))
}

fn is_said_by_server(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::RESP3NotSupported
    )
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Server(address) => write!(f, "{address}"),
            #[cfg(feature = "redis-sentinel")]
            Target::Master(watched) => fmt::Debug::fmt(watched, f),
        }
    }
}
