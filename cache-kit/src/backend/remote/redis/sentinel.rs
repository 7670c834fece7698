//! [`Watched`]: a master that sentinels watch over. They are asked at every connection where it is.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::redis::{RedisError, RedisResult, Value};

use super::address::{Address, Host, Sentinels};
use super::connect::{Access, Failure};
use super::dial::Connection;
use super::said::{is_login, said_of};
use crate::error::{Error, Result};

pub(super) struct Watched {
    /// The one that answered last comes first.
    sentinels: Mutex<Vec<Host>>,
    master: String,
    access: Access,
    /// How long one sentinel may take, so that a silent one leaves time for the others and the
    /// master.
    share: Duration,
}

/// What a sentinel says of the master.
enum Named {
    At(Address),
    Unknown,
}

impl Watched {
    pub(super) fn new(sentinels: &Sentinels, access: Access, deadline: Duration) -> Self {
        let shares = u32::try_from(sentinels.hosts.len()).unwrap_or(u32::MAX);
        Self {
            sentinels: Mutex::new(sentinels.hosts.clone()),
            master: sentinels.master.clone(),
            access,
            share: deadline / shares.saturating_add(1),
        }
    }

    /// Connects to the master that the sentinels name. A sentinel may be the last to know, so the
    /// next one is asked if the server is none.
    pub(super) async fn open(&self, access: &Access) -> Result<Connection> {
        let hosts = self.sentinels().clone();
        let count = hosts.len();
        let (mut tried, mut unknown, mut last) = (Vec::new(), 0, None);
        let mut refused = None;
        for host in hosts {
            let named = tokio::time::timeout(self.share, self.ask(&host)).await;
            match named {
                Ok(Ok(Named::At(master))) => {
                    self.prefer(&host);
                    if tried.contains(&master) {
                        continue;
                    }
                    match open_master(access, &master).await {
                        Ok(connection) => return Ok(connection),
                        Err(error) => refused = Some(error),
                    }
                    tried.push(master);
                }
                Ok(Ok(Named::Unknown)) => unknown += 1,
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(backend_error("it does not answer in its time")),
            }
        }
        Err(match (refused, last) {
            (Some(error), _) => error,
            (None, None) => backend_error("no sentinel knows a master of this name"),
            (None, Some(last)) if unknown > 0 => backend_error(&format!(
                "{unknown} of {count} sentinels know no master of this name, and of the others the \
                 last says: {}",
                text(&last)
            )),
            (None, Some(last)) => backend_error(&format!(
                "none of {count} sentinels answers; the last: {}",
                text(&last)
            )),
        })
    }

    async fn ask(&self, (host, port): &Host) -> Result<Named> {
        let sentinel = Address::Tcp(host.clone(), *port);
        let mut connection = match self.access.open(&sentinel).await {
            Ok(connection) => connection,
            Err(Failure::Redis(error)) if is_login(&error) => return Err(of_the_login()),
            Err(failure) => return Err(failure.said(0)),
        };
        let answer: RedisResult<Option<(String, u16)>> = ::redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async(&mut connection)
            .await;
        match answer {
            Ok(Some((host, port))) => Ok(Named::At(Address::Tcp(host, port))),
            Ok(None) => Ok(Named::Unknown),
            Err(error) if is_login(&error) => Err(of_the_login()),
            Err(error) => Err(said_of(&error, "SENTINEL")),
        }
    }

    fn prefer(&self, host: &Host) {
        let mut sentinels = self.sentinels();
        if let Some(place) = sentinels.iter().position(|known| known == host) {
            sentinels[..=place].rotate_right(1);
        }
    }

    fn sentinels(&self) -> std::sync::MutexGuard<'_, Vec<Host>> {
        self.sentinels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to a server and makes sure that it is a master.
async fn open_master(access: &Access, master: &Address) -> Result<Connection> {
    let opened = access.reach(master).await;
    let mut connection = opened.map_err(|error| {
        backend_error(&format!(
            "the master that the sentinels name: {}",
            text(&error)
        ))
    })?;
    let role: RedisResult<Vec<Value>> = ::redis::cmd("ROLE").query_async(&mut connection).await;
    match role {
        Ok(role) if is_master(&role) => Ok(connection),
        Ok(_) => Err(backend_error(
            "the sentinels name a server that is a replica",
        )),
        // A user without the right to ask. A write will tell.
        Err(error) if is_refused(&error) => Ok(connection),
        Err(error) => Err(said_of(&error, "ROLE")),
    }
}

fn is_master(role: &[Value]) -> bool {
    match role.first() {
        Some(Value::BulkString(name)) => name == b"master",
        Some(Value::SimpleString(name)) => name == "master",
        _ => false,
    }
}

fn is_refused(error: &RedisError) -> bool {
    matches!(said_of(error, "ROLE"), Error::BackendRefused(_))
}

fn of_the_login() -> Error {
    backend_error("it refuses the login of `sentinel_user` and `sentinel_pass`")
}

fn text(error: &Error) -> String {
    let text = match error {
        Error::BackendError(text) | Error::ConnectionLost(text) | Error::BackendRefused(text) => {
            text
        }
        error => return error.to_string(),
    };
    text.strip_prefix("redis: ").unwrap_or(text).to_owned()
}

fn backend_error(what: &str) -> Error {
    Error::BackendError(format!("redis: {what}"))
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.master, self.sentinels())
    }
}
