//! [`Watched`]: a master that sentinels watch over. They are asked where it is at every connection,
//! and while one lasts.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{RedisError, RedisResult, Value};

use super::address::{Address, Host, Sentinels};
use super::connect::{Access, Failure};
use super::dial::Connection;
use super::said::{is_login, said_of};
use crate::error::{Error, Result};

/// How long a master may have been replaced until the connections to it end.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Watched {
    /// The one that answered last comes first.
    sentinels: Mutex<Vec<Host>>,
    master: String,
    access: Access,
    /// For all of them, and the master.
    deadline: Duration,
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
            deadline,
            share: deadline / shares.saturating_add(1),
        }
    }

    /// Connects to the master that the sentinels name. A sentinel may be the last to know, so the
    /// next one is asked if the server is none.
    pub(super) async fn open(self: &Arc<Self>, access: &Access) -> Result<Connection> {
        let (begun, hosts) = (Instant::now(), self.sentinels());
        let (count, mut tried) = (hosts.len(), Vec::new());
        let (mut unknown, mut silent, mut refused) = (0, None, None);
        for (place, host) in hosts.into_iter().enumerate() {
            match self.ask(&host).await {
                Ok(Named::At(master)) if tried.contains(&master) => {}
                Ok(Named::At(master)) => {
                    let limit = self.left(begun, count - place - 1);
                    let opened = tokio::time::timeout(limit, open_master(access, &master)).await;
                    match opened.unwrap_or_else(|_| Err(silent_master(access))) {
                        Ok(connection) => {
                            self.prefer(&host);
                            connection.end_after(Arc::clone(self).until_another_than(master));
                            return Ok(connection);
                        }
                        Err(error) => {
                            refused = Some(error);
                            tried.push(master);
                        }
                    }
                }
                Ok(Named::Unknown) => unknown += 1,
                Err(error) => silent = Some(error),
            }
        }
        Err(match (refused, silent) {
            (Some(error), _) => error,
            (None, None) => backend_error("no sentinel knows a master of this name"),
            (None, Some(last)) if unknown > 0 => backend_error(&format!(
                "{unknown} of {count} sentinels know no master of this name, and the last of the \
                 others: {}",
                text(&last)
            )),
            (None, Some(last)) => backend_error(&format!(
                "none of {count} sentinels answers; the last: {}",
                text(&last)
            )),
        })
    }

    /// Waits until the sentinels name another master. The old one may still answer: one that stood
    /// still during the failover does not know of it.
    async fn until_another_than(self: Arc<Self>, master: Address) {
        let mut kept: Option<Connection> = None;
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Some(mut connection) = kept.take()
                && let Ok(Named::At(named)) = self.in_time(self.ask_on(&mut connection)).await
            {
                if named != master {
                    return;
                }
                kept = Some(connection);
                continue;
            }
            for host in self.sentinels() {
                let asked = self.in_time(async {
                    let mut connection = self.connect(&host).await?;
                    let named = self.ask_on(&mut connection).await?;
                    Ok((connection, named))
                });
                match asked.await {
                    Ok((_, Named::At(named))) if named != master => return,
                    Ok((connection, Named::At(_))) => {
                        kept = Some(connection);
                        break;
                    }
                    Ok((_, Named::Unknown)) | Err(_) => {}
                }
            }
        }
    }

    async fn ask(&self, host: &Host) -> Result<Named> {
        let asked = async {
            let mut connection = self.connect(host).await?;
            self.ask_on(&mut connection).await
        };
        self.in_time(asked).await
    }

    async fn connect(&self, (host, port): &Host) -> Result<Connection> {
        let sentinel = Address::Tcp(host.clone(), *port);
        match self.access.open(&sentinel).await {
            Ok(connection) => Ok(connection),
            Err(Failure::Redis(error)) if is_login(&error) => Err(of_the_login()),
            Err(failure) => Err(failure.said(0)),
        }
    }

    async fn ask_on(&self, connection: &mut Connection) -> Result<Named> {
        let answer: RedisResult<Option<(String, u16)>> = ::redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.master)
            .query_async(connection)
            .await;
        match answer {
            Ok(Some((host, port))) => Ok(Named::At(Address::Tcp(host, port))),
            Ok(None) => Ok(Named::Unknown),
            Err(error) if is_login(&error) => Err(of_the_login()),
            Err(error) => Err(said_of(&error, "SENTINEL")),
        }
    }

    async fn in_time<O>(&self, asked: impl Future<Output = Result<O>>) -> Result<O> {
        let answered = tokio::time::timeout(self.share, asked).await;
        answered.unwrap_or_else(|_| Err(backend_error("it does not answer in its time")))
    }

    /// How long a master may take, while this many sentinels have not been asked: one of them may name
    /// another one. The last one ends a little before the deadline, so that its error is told.
    fn left(&self, begun: Instant, others: usize) -> Duration {
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let spared = self.share.saturating_mul(others) + self.share / 8;
        let left = self.deadline.saturating_sub(begun.elapsed());
        left.saturating_sub(spared).max(self.share / 2)
    }

    fn prefer(&self, host: &Host) {
        let mut sentinels = self.lock();
        if let Some(place) = sentinels.iter().position(|known| known == host) {
            sentinels[..=place].rotate_right(1);
        }
    }

    fn sentinels(&self) -> Vec<Host> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Host>> {
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

fn silent_master(access: &Access) -> Error {
    let hint = access.hint_of_silence();
    backend_error(&format!(
        "the master that the sentinels name does not answer in its time{hint}"
    ))
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
