//! [`Fences`]: claims, stores and releases, by a command where the server has one that compares, and
//! by a script elsewhere.

use std::time::Duration;

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind, Value};

use super::dialect::{Plain, is_unknown, misses_arguments};
use super::said::{has_code, is_login, is_lost};
use super::scripts::Scripts;
use super::servers::Servers;
use super::session::Session;
use super::split::Split;
use super::store::millis;
use crate::backend::remote::byte_store::{Claim, HEAD_BYTES, HEAD_PREFIXES, head, is_head};
use crate::error::{Error, Result};

pub(super) struct Fences {
    scripts: Scripts,
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

impl Fences {
    pub(super) fn new() -> Self {
        Self {
            scripts: Scripts::new(),
            scripts_needed: Split::new(),
        }
    }

    /// Puts `placeholder` under `key`, unless there is a value with a head.
    pub(super) async fn claim(
        &self,
        servers: &Servers,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Claim<Vec<u8>>> {
        let mut session = servers.session(key).await?;
        if session.dialect().claims() {
            let claimed = claim_plainly(&mut session, key, placeholder, lifetime).await?;
            if let Some(claimed) = claimed {
                return Ok(claimed);
            }
        }
        let millis = millis(lifetime).to_string();
        let [entry, lease] = &HEAD_PREFIXES;
        let arguments: [&[u8]; 4] = [placeholder, millis.as_bytes(), entry, lease];
        match run(&mut session, &self.scripts.claim, key, &arguments).await {
            Err(refusal @ Error::BackendRefused(_)) => {
                let claimed = self.claim_without_scripts(&mut session, key, placeholder, lifetime);
                Box::pin(claimed).await?.ok_or(refusal)
            }
            standing => Ok(claim_of(standing?, placeholder)),
        }
    }

    /// Claims for a user that may not run scripts, if the server has commands for all that follows a
    /// claim. It is asked by a store that changes nothing: it compares with the placeholder, which is
    /// under no key yet.
    async fn claim_without_scripts(
        &self,
        session: &mut Session<'_>,
        key: &str,
        placeholder: &[u8],
        lifetime: Duration,
    ) -> Result<Option<Claim<Vec<u8>>>> {
        let dialect = session.dialect();
        if dialect.claims() || !dialect.swaps() || self.scripts_needed.is_on() {
            return Ok(None);
        }
        let question = swap(key, placeholder, b"", Some(lifetime));
        let answer: Result<Answer<Option<Vec<u8>>>> =
            plain(session, Plain::Swap, key, &question).await;
        match answer {
            Ok(Answer::Done(_)) => claim_plainly(session, key, placeholder, lifetime).await,
            Ok(Answer::OtherType | Answer::NotDone) => Ok(None),
            Err(Error::BackendRefused(_)) => {
                self.scripts_needed.begin();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces what `token` stands for by `value`.
    pub(super) async fn swap(
        &self,
        servers: &Servers,
        key: &str,
        token: &[u8],
        value: &[u8],
        lifetime: Option<Duration>,
    ) -> Result<bool> {
        let mut session = servers.session(key).await?;
        if is_whole(token) && session.dialect().swaps() {
            let swap = swap(key, token, value, lifetime);
            let answer: Answer<Option<Vec<u8>>> =
                plain(&mut session, Plain::Swap, key, &swap).await?;
            match answer {
                // An earlier copy of the command may have stored the value.
                Answer::Done(Some(there)) => {
                    return Ok(there == token || head(&there) == head(value));
                }
                Answer::Done(None) | Answer::OtherType => return Ok(false),
                Answer::NotDone => {}
            }
        }
        let millis = lifetime.map_or(0, millis).to_string();
        let arguments: [&[u8]; 3] = [token, value, millis.as_bytes()];
        run(&mut session, &self.scripts.swap, key, &arguments).await
    }

    /// Removes what `token` stands for.
    pub(super) async fn remove(&self, servers: &Servers, key: &str, token: &[u8]) -> Result<bool> {
        let mut session = servers.session(key).await?;
        let mut refused = None;
        // Two commands may have to be asked for, before one is sent.
        for _ in 0..3 {
            let removal = session.dialect().removal();
            let Some((command, known)) = removal.filter(|_| is_whole(token)) else {
                break;
            };
            if !known {
                Box::pin(ask_for(&mut session, command, key)).await?;
                continue;
            }
            let removal = remove(command, key, token);
            match plain(&mut session, command, key, &removal).await? {
                Answer::Done(done) => return Ok(done),
                Answer::OtherType => return Ok(false),
                Answer::NotDone => {
                    refused = Some(command);
                    break;
                }
            }
        }
        let removed = run(&mut session, &self.scripts.remove, key, &[token]).await?;
        // So it is not the key that is refused.
        if let Some(command) = refused {
            session.learn(|dialect| dialect.with(command, false));
        }
        Ok(removed)
    }
}

/// Claims by a command. `None` if it is not claimed: the server does not know the command, or has
/// a foreign value under the key, which only a script replaces.
async fn claim_plainly(
    session: &mut Session<'_>,
    key: &str,
    placeholder: &[u8],
    lifetime: Duration,
) -> Result<Option<Claim<Vec<u8>>>> {
    let mut set = Cmd::with_capacity(7, 3 + key.len() + placeholder.len() + 25);
    set.arg("SET").arg(key).arg(placeholder);
    set.arg("NX").arg("GET").arg("PX").arg(millis(lifetime));
    let answer: Answer<Option<Vec<u8>>> = plain(session, Plain::Claim, key, &set).await?;
    Ok(match answer {
        Answer::Done(None) => Some(claim_of(None, placeholder)),
        Answer::Done(Some(there)) if is_head(&there) => {
            Some(claim_of(Some(head(&there).to_vec()), placeholder))
        }
        Answer::Done(Some(_)) | Answer::OtherType | Answer::NotDone => None,
    })
}

/// Sends a command that only newer servers know, and notes whether this one does.
async fn plain<O: FromRedisValue>(
    session: &mut Session<'_>,
    command: Plain,
    key: &str,
    packed: &Cmd,
) -> Result<Answer<O>> {
    let (answer, known) = match session.send(packed).await? {
        Ok(answer) => (Answer::Done(answer), true),
        Err(error) if has_code(&error, "WRONGTYPE") => (Answer::OtherType, true),
        Err(error) if is_unknown(&error) => (Answer::NotDone, false),
        // It may be the key that is refused, so nothing is known of other keys.
        Err(error) if command.has_rights_of_its_own() && has_code(&error, "NOPERM") => {
            return Ok(Answer::NotDone);
        }
        Err(error) => return Err(session.failed(&error, command.name(), key)),
    };
    session.learn(|dialect| dialect.with(command, known));
    Ok(answer)
}

/// Finds out whether the server knows a command.
async fn ask_for(session: &mut Session<'_>, command: Plain, key: &str) -> Result<()> {
    let asked = ::redis::cmd(command.name());
    let known = match session.send::<Value>(&asked).await? {
        Err(error) if is_lost(&error) || is_login(&error) => {
            return Err(session.failed(&error, command.name(), key));
        }
        answer => answer.is_err_and(|error| misses_arguments(&error)),
    };
    session.learn(|dialect| dialect.with(command, known));
    Ok(())
}

/// Runs a script on `key`. If the server does not have it, it is loaded. The first sending has been
/// answered then, and cannot arrive again.
async fn run<O: FromRedisValue>(
    session: &mut Session<'_>,
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
        match session.send(&evalsha).await? {
            Ok(answer) => {
                session.learn(|dialect| dialect.with_scripts(true));
                return Ok(answer);
            }
            Err(error) if is_unknown_script(&error) => {}
            Err(error) => return Err(refused(session, &error, "EVALSHA", key)),
        }
        if let Err(error) = Box::pin(session.load(script)).await {
            return Err(refused(session, &error, "SCRIPT LOAD", key));
        }
    }
    Err(Error::BackendError(
        "redis: a script is gone as soon as it is loaded".into(),
    ))
}

/// The error of a command that is part of running a script. Notes if scripts are refused.
fn refused(session: &mut Session<'_>, error: &RedisError, name: &str, key: &str) -> Error {
    let error = session.failed(error, name, key);
    if matches!(error, Error::BackendRefused(_)) {
        session.learn(|dialect| dialect.with_scripts(false));
    }
    error
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
