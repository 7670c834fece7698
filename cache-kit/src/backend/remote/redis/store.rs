//! [`RedisStore`]: the bytes that one server keeps.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, Value,
};

use super::RedisConfig;
use super::connection::{Link, Usable};
use super::dialect::{Dialect, Plain, is_unknown, misses_arguments};
use super::said::{has_code, is_demoted, is_login, is_lost, said_of};
use super::scripts::Scripts;
use super::split::Split;
use crate::answers::all_failed;
use crate::backend::remote::byte_store::{
    ByteStore, Claim, HEAD_BYTES, HEAD_PREFIXES, head, is_head,
};
use crate::error::{Error, Result};
use crate::together::join;

/// The bytes of a [`RedisBackend`](super::RedisBackend).
pub struct RedisStore {
    link: Link,
    scripts: Scripts,
    /// Whether look-ups, and deletions, of many keys are sent key by key.
    split_reads: Split,
    split_deletes: Split,
    /// Whether the server has refused to say what a user without scripts can do instead.
    scripts_needed: Split,
}

/// The answer to a command that only newer servers know.
enum Answer<O> {
    Done(O),
    /// There is something other than a string under the key.
    OtherType,
    /// The server does not know the command, or refuses it to this user. A script does the same.
    NotDone,
}

impl RedisStore {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        Ok(Self {
            link: Link::new(config)?,
            scripts: Scripts::new(),
            split_reads: Split::new(),
            split_deletes: Split::new(),
            scripts_needed: Split::new(),
        })
    }

    /// Runs `command`, which is called `name` and works on `key`, on the connection. A connection
    /// that turns out to be broken is replaced.
    async fn run<O, C>(
        &self,
        name: &str,
        key: &str,
        command: impl FnOnce(MultiplexedConnection) -> C,
    ) -> Result<O>
    where
        C: Future<Output = RedisResult<O>>,
    {
        let usable = self.link.connection().await?;
        self.run_on(usable, name, key, command).await
    }

    async fn run_on<O, C>(
        &self,
        usable: Usable,
        name: &str,
        key: &str,
        command: impl FnOnce(MultiplexedConnection) -> C,
    ) -> Result<O>
    where
        C: Future<Output = RedisResult<O>>,
    {
        let answer = command(usable.connection).await;
        answer.map_err(|error| {
            if is_demoted(&error) {
                self.link.demote(usable.number, key);
            } else if is_lost(&error) || is_login(&error) {
                self.link.replace(usable.number);
            }
            said_of(&error, name)
        })
    }

    /// Sends a command that only newer servers know, and notes whether this one does.
    async fn plain<O: FromRedisValue>(
        &self,
        usable: Usable,
        command: Plain,
        key: &str,
        packed: Cmd,
    ) -> Result<Answer<O>> {
        let (number, dialect) = (usable.number, usable.dialect);
        let send = |mut connection| async move {
            match packed.query_async(&mut connection).await {
                Ok(answer) => Ok((Answer::Done(answer), Some(true))),
                Err(error) if has_code(&error, "WRONGTYPE") => Ok((Answer::OtherType, Some(true))),
                Err(error) if is_unknown(&error) => Ok((Answer::NotDone, Some(false))),
                // It may be the key that is refused, so nothing is known of other keys.
                Err(error) if command.has_rights_of_its_own() && has_code(&error, "NOPERM") => {
                    Ok((Answer::NotDone, None))
                }
                Err(error) => Err(error),
            }
        };
        let (answer, known) = self.run_on(usable, command.name(), key, send).await?;
        if let Some(known) = known {
            self.learn(number, dialect, |dialect| dialect.with(command, known));
        }
        Ok(answer)
    }

    /// Finds out whether the server knows a command.
    async fn ask_for(&self, usable: Usable, command: Plain, key: &str) -> Result<()> {
        let (number, dialect) = (usable.number, usable.dialect);
        let ask = |mut connection| async move {
            let asked = ::redis::cmd(command.name());
            match asked.query_async::<Value>(&mut connection).await {
                Err(error) if misses_arguments(&error) => Ok(true),
                Err(error) if is_lost(&error) || is_login(&error) => Err(error),
                _ => Ok(false),
            }
        };
        let known = self.run_on(usable, command.name(), key, ask).await?;
        self.learn(number, dialect, |dialect| dialect.with(command, known));
        Ok(())
    }

    /// Notes what an answer shows of the server, if that is new.
    fn learn(&self, number: u64, known: Dialect, learn: impl Fn(Dialect) -> Dialect) {
        if learn(known) != known {
            self.link.learn(number, learn);
        }
    }

    /// Runs a script on `key`. If the server does not have it, it is loaded. The first sending has
    /// been answered then, and cannot arrive again.
    async fn script<O: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        arguments: &[&[u8]],
    ) -> Result<O> {
        for _ in 0..2 {
            let bytes: usize = arguments.iter().map(|argument| argument.len()).sum();
            let fixed = "EVALSHA".len() + script.get_hash().len() + 1 + key.len();
            let mut evalsha = Cmd::with_capacity(4 + arguments.len(), fixed + bytes);
            evalsha.arg("EVALSHA").arg(script.get_hash()).arg("1");
            evalsha.arg(key).arg(arguments);
            let run = |mut connection| async move {
                match evalsha.query_async(&mut connection).await {
                    Ok(answer) => Ok(Some(answer)),
                    Err(error) if is_unknown_script(&error) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            if let Some(answer) = self.run_noting_rights("EVALSHA", key, run).await? {
                return Ok(answer);
            }
            let load = |mut connection| async move {
                let _: String = script.load_async(&mut connection).await?;
                Ok(None::<()>)
            };
            Box::pin(self.run_noting_rights("SCRIPT LOAD", key, load)).await?;
        }
        Err(Error::BackendError(
            "redis: a script is gone as soon as it is loaded".into(),
        ))
    }

    /// Runs a command that is part of running a script, and notes whether scripts run or are
    /// refused.
    async fn run_noting_rights<O, C>(
        &self,
        name: &str,
        key: &str,
        command: impl FnOnce(MultiplexedConnection) -> C,
    ) -> Result<Option<O>>
    where
        C: Future<Output = RedisResult<Option<O>>>,
    {
        let usable = self.link.connection().await?;
        let (number, dialect) = (usable.number, usable.dialect);
        let answer = self.run_on(usable, name, key, command).await;
        match &answer {
            Ok(Some(_)) => self.learn(number, dialect, |dialect| dialect.with_scripts(true)),
            Err(Error::BackendRefused(_)) => {
                self.learn(number, dialect, |dialect| dialect.with_scripts(false));
            }
            _ => {}
        }
        answer
    }

    /// Claims by a command. `None` if it is not claimed: the server does not know the command, or has
    /// a foreign value under the key, which only a script replaces.
    async fn claim_plainly(
        &self,
        usable: Usable,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Option<Claim<Vec<u8>>>> {
        let mut set = Cmd::with_capacity(7, 3 + key.len() + placeholder.len() + 25);
        set.arg("SET").arg(key).arg(placeholder);
        set.arg("NX").arg("GET").arg("PX").arg(millis(lifetime));
        let answer: Answer<Option<Vec<u8>>> = self.plain(usable, Plain::Claim, key, set).await?;
        Ok(match answer {
            Answer::Done(None) => Some(claim_of(None, placeholder)),
            Answer::Done(Some(there)) if is_head(&there) => {
                Some(claim_of(Some(head(&there).to_vec()), placeholder))
            }
            Answer::Done(Some(_)) | Answer::OtherType | Answer::NotDone => None,
        })
    }

    /// Claims for a user that may not run scripts, if the server has commands for all that follows a
    /// claim. It is asked by a store that changes nothing: it compares with the placeholder, which is
    /// under no key yet.
    async fn claim_without_scripts(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Option<Claim<Vec<u8>>>> {
        let usable = self.link.connection().await?;
        if usable.dialect.claims() || !usable.dialect.swaps() || self.scripts_needed.is_on() {
            return Ok(None);
        }
        let question = swap(key, placeholder, b"", Some(lifetime));
        let answer: Result<Answer<Option<Vec<u8>>>> =
            self.plain(usable, Plain::Swap, key, question).await;
        match answer {
            Ok(Answer::Done(_)) => {
                let usable = self.link.connection().await?;
                self.claim_plainly(usable, key, placeholder, lifetime).await
            }
            Ok(Answer::OtherType | Answer::NotDone) => Ok(None),
            Err(Error::BackendRefused(_)) => {
                self.scripts_needed.begin();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.run("DEL", key, |mut connection| async move {
            ::redis::cmd("DEL")
                .arg(key)
                .query_async(&mut connection)
                .await
        })
        .await
    }

    /// Finds out whether a server that was a replica takes writes. The key is one of ours, whose
    /// deletion or store the server refused.
    async fn prove(&self, key: &str) -> Result<()> {
        let mut connection = self.link.apart().await?;
        let deleted: RedisResult<()> = ::redis::cmd("DEL")
            .arg(key)
            .query_async(&mut connection)
            .await;
        match deleted.map_err(|error| said_of(&error, "DEL")) {
            Ok(()) | Err(Error::BackendRefused(_)) => {
                self.link.promoted();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl ByteStore for RedisStore {
    type Token = Vec<u8>;

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.run("GET", key, |mut connection| async move {
            // Large enough, so that it need not grow.
            let mut get = Cmd::with_capacity(2, "GET".len() + key.len());
            get.arg("GET").arg(key);
            let value = get.query_async(&mut connection).await;
            // A list or a hash under the key is a miss like any other foreign value.
            match value {
                Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
                value => value,
            }
        })
        .await
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.get(key)), 1).await;
        };
        if !self.split_reads.is_on() {
            let mget = |mut connection: MultiplexedConnection| async move {
                let bytes: usize = keys.iter().map(|key| key.len()).sum();
                let mut mget = Cmd::with_capacity(1 + keys.len(), "MGET".len() + bytes);
                mget.arg("MGET").arg(keys);
                let values: Vec<Option<Vec<u8>>> = mget.query_async(&mut connection).await?;
                Ok(values)
            };
            match self.run("MGET", first, mget).await {
                Ok(values) => return values.into_iter().map(Ok).collect(),
                // Maybe because of one key that this user may not touch.
                Err(Error::BackendRefused(_)) => self.split_reads.begin(),
                Err(error) => return all_failed(keys.len(), &error),
            }
        }
        join(keys.iter().map(|key| self.get(key)), usize::MAX).await
    }

    async fn claim(
        &self,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<Vec<u8>>> {
        let usable = self.link.connection().await?;
        if usable.dialect.claims()
            && let Some(claimed) = self
                .claim_plainly(usable, key, placeholder, lifetime)
                .await?
        {
            return Ok(claimed);
        }
        let millis = millis(lifetime).to_string();
        let [entry, lease] = &HEAD_PREFIXES;
        let arguments: [&[u8]; 4] = [placeholder, millis.as_bytes(), entry, lease];
        match self.script(&self.scripts.claim, key, &arguments).await {
            Err(refusal @ Error::BackendRefused(_)) => {
                let claimed = self.claim_without_scripts(key, placeholder, lifetime);
                Box::pin(claimed).await?.ok_or(refusal)
            }
            standing => Ok(claim_of(standing?, placeholder)),
        }
    }

    async fn compare_and_set(
        &self,
        key: &str,
        token: &Vec<u8>,
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        let usable = self.link.connection().await?;
        if is_whole(token) && usable.dialect.swaps() {
            let swap = swap(key, token, value, lifetime);
            let answer: Answer<Option<Vec<u8>>> =
                self.plain(usable, Plain::Swap, key, swap).await?;
            match answer {
                // An earlier copy of the command may have stored the value.
                Answer::Done(Some(there)) => {
                    return Ok(there == *token || head(&there) == head(value));
                }
                Answer::Done(None) | Answer::OtherType => return Ok(false),
                Answer::NotDone => {}
            }
        }
        let millis = lifetime.map_or(0, millis).to_string();
        let arguments: [&[u8]; 3] = [token, value, millis.as_bytes()];
        self.script(&self.scripts.swap, key, &arguments).await
    }

    async fn compare_and_delete(&self, key: &str, token: &Vec<u8>) -> Result<bool> {
        let mut refused = None;
        // Two commands may have to be asked for, before one is sent.
        for _ in 0..3 {
            let usable = self.link.connection().await?;
            let removal = usable.dialect.removal();
            let Some((command, known)) = removal.filter(|_| is_whole(token)) else {
                break;
            };
            if !known {
                Box::pin(self.ask_for(usable, command, key)).await?;
                continue;
            }
            let number = usable.number;
            let removal = remove(command, key, token);
            match self.plain(usable, command, key, removal).await? {
                Answer::Done(done) => return Ok(done),
                Answer::OtherType => return Ok(false),
                Answer::NotDone => {
                    refused = Some((number, command));
                    break;
                }
            }
        }
        let removed = self.script(&self.scripts.remove, key, &[token]).await?;
        // So it is not the key that is refused.
        if let Some((number, command)) = refused {
            self.link
                .learn(number, |dialect| dialect.with(command, false));
        }
        Ok(removed)
    }

    async fn set(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<Option<Vec<u8>>> {
        let set = |mut connection| async move {
            let mut set = Cmd::with_capacity(5, "SETPX".len() + key.len() + value.len() + 20);
            set.arg("SET").arg(key).arg(value);
            set.arg("PX").arg(millis(lifetime));
            match set.query_async::<()>(&mut connection).await {
                Ok(()) => Ok(Some(head(value).to_vec())),
                Err(error) if error.code() == Some("OOM") => Ok(None),
                Err(error) => Err(error),
            }
        };
        match self.run("SET", key, set).await? {
            Some(token) => Ok(Some(token)),
            // No memory for anything new, but deleting works.
            None => self.delete(key).await.map(|()| None),
        }
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let [first, _, ..] = keys else {
            return join(keys.iter().map(|key| self.delete(key)), 1).await;
        };
        if !self.split_deletes.is_on() {
            let del = |mut connection| async move {
                let mut del = ::redis::cmd("DEL");
                del.arg(keys).query_async::<()>(&mut connection).await
            };
            match self.run("DEL", first, del).await {
                Err(Error::BackendRefused(_)) => self.split_deletes.begin(),
                deleted => return keys.iter().map(|_| deleted.clone()).collect(),
            }
        }
        join(keys.iter().map(|key| self.delete(key)), usize::MAX).await
    }

    async fn ping(&self) -> Result<()> {
        if let Some(key) = self.link.demoted() {
            return self.prove(&key).await;
        }
        let usable = self.link.connection().await?;
        let mut connection = usable.connection;
        let unanswered = Unanswered {
            link: &self.link,
            number: Some(usable.number),
        };
        let answer: RedisResult<()> = ::redis::cmd("PING").query_async(&mut connection).await;
        if answer
            .as_ref()
            .is_err_and(|error| is_lost(error) || is_login(error))
        {
            drop(unanswered);
        } else {
            unanswered.answered();
        }
        answer.map_err(|error| said_of(&error, "PING"))
    }
}

/// A ping. A connection that gives no answer to it is replaced: it may be one that the network has
/// forgotten.
struct Unanswered<'l> {
    link: &'l Link,
    number: Option<u64>,
}

impl Unanswered<'_> {
    fn answered(mut self) {
        self.number = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.link.replace(number);
        }
    }
}

/// Whether `token` is a whole value. One of the length of a head may be the head of a longer value,
/// and an empty one stands for nothing.
fn is_whole(token: &[u8]) -> bool {
    (1..HEAD_BYTES).contains(&token.len())
}

fn claim_of(standing: Option<Vec<u8>>, placeholder: &[u8]) -> Claim<Vec<u8>> {
    match standing {
        None => Claim::Taken(placeholder.to_vec()),
        Some(head) => Claim::Standing {
            token: head.clone(),
            head,
        },
    }
}

/// Sets `value` if `token` is there; answers with what was there.
fn swap(key: &str, token: &[u8], value: &[u8], lifetime: Option<Duration>) -> Cmd {
    let bytes = "SETIFEQGETPX".len() + key.len() + token.len() + value.len() + 20;
    let mut set = Cmd::with_capacity(8, bytes);
    set.arg("SET").arg(key).arg(value);
    set.arg("IFEQ").arg(token).arg("GET");
    if let Some(lifetime) = lifetime {
        set.arg("PX").arg(millis(lifetime));
    }
    set
}

/// Removes `token`, if it is there; answers with how many keys were removed.
fn remove(command: Plain, key: &str, token: &[u8]) -> Cmd {
    let name = command.name();
    let mut remove = Cmd::with_capacity(4, name.len() + key.len() + "IFEQ".len() + token.len());
    remove.arg(name).arg(key);
    if command == Plain::Delex {
        remove.arg("IFEQ");
    }
    remove.arg(token);
    remove
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// A lifetime in whole milliseconds. The server refuses zero, and times beyond its calendar, so a
/// lifetime is bounded by a hundred years.
fn millis(lifetime: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 3_600 * 1_000;
    u64::try_from(lifetime.as_millis()).map_or(CENTURY, |millis| millis.clamp(1, CENTURY))
}
