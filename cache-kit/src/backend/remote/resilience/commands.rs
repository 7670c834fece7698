//! The commands of a [`GuardedStore`]: those of the store, each within its deadline, if the breaker
//! admits it, and after the queued invalidation of its key.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::again::{account_of_both, account_of_many, account_of_one, twice, twice_each};
use super::pending::Way;
use super::unconfirmed::Unconfirmed;
use super::{GuardedStore, breaker_is_open};
use crate::answers::all_failed;
use crate::backend::remote::PARTS_AT_ONCE;
use crate::backend::remote::byte_store::{ByteStore, Claim};
use crate::error::{Error, Result};
use crate::lease::Invalidated;
use crate::together::join;

/// The values under several keys, an answer for each.
type Values = Vec<Result<Option<Vec<u8>>>>;

impl<S: ByteStore> GuardedStore<S> {
    /// The value under `key`.
    pub(in super::super) fn get<'a>(
        &'a self,
        key: &'a str,
    ) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send + 'a {
        self.run(key, move || self.inner().get(key))
    }

    /// The values under `keys`, of which there are no more than fit into one command.
    pub(in super::super) async fn get_many(&self, keys: &[&str]) -> Values {
        let get = |keys: Vec<_>| async move { self.inner().get_many(&keys).await };
        self.run_many(keys, get).await
    }

    /// Puts the bytes that `placeholder` gives under `key`, unless an entry or a placeholder is there.
    /// They are asked for again if the command is sent again: no two sendings may be equal.
    pub(in super::super) async fn claim<F, P: AsRef<[u8]> + Send>(
        &self,
        key: &str,
        placeholder: impl Fn() -> (F, P),
        lifetime: Duration,
    ) -> Result<(Claim<S::Token>, F)> {
        let claim = || async {
            let (fence, placeholder) = placeholder();
            let claim = self
                .inner()
                .claim(key, placeholder.as_ref(), lifetime)
                .await?;
            Ok((claim, fence))
        };
        self.run(key, claim).await
    }

    /// Puts the bytes that `placeholder` gives under `key`, whatever is there. If that fails, the
    /// invalidation is queued: `Ok(None)`.
    ///
    /// # Errors
    /// There is no room to queue it.
    pub(in super::super) async fn invalidate_and_claim<F, P: AsRef<[u8]> + Send>(
        &self,
        key: &str,
        placeholder: impl Fn() -> (F, P),
        lifetime: Duration,
    ) -> Result<Option<Option<(S::Token, F)>>> {
        let set = || async {
            let (fence, placeholder) = placeholder();
            let token = self
                .inner()
                .set(key, placeholder.as_ref(), lifetime)
                .await?;
            Ok(token.map(|token| (token, fence)))
        };
        self.invalidate(key, set).await
    }

    /// Replaces what `token` stands for by `value`; `false` if something else is there by now.
    pub(in super::super) fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        token: &'a S::Token,
        value: &'a [u8],
        lifetime: Option<Duration>,
    ) -> impl Future<Output = Result<bool>> + Send + 'a {
        self.run(key, move || {
            self.inner().compare_and_set(key, token, value, lifetime)
        })
    }

    /// Removes what `token` stands for; `false` if something else is there by now.
    pub(in super::super) fn compare_and_delete<'a>(
        &'a self,
        key: &'a str,
        token: &'a S::Token,
    ) -> impl Future<Output = Result<bool>> + Send + 'a {
        self.run(key, move || self.inner().compare_and_delete(key, token))
    }

    /// Runs a command for `key`: within the deadline, if the breaker admits it, and after a queued
    /// invalidation of the key. It is sent once more if its connection is lost.
    ///
    /// # Errors
    /// [`Error::BackendRefused`] also while the store refuses to delete what is under `key`.
    async fn run<O, F>(&self, key: &str, command: impl Fn() -> F) -> Result<O>
    where
        F: Future<Output = Result<O>>,
    {
        let first = match self.shared.is_troubled() {
            true => self.way(key)?,
            false => None,
        };
        let whole = async {
            if let Some(number) = first {
                // Boxed, to keep the future of a command small.
                Box::pin(self.shared.delete(vec![(key.into(), number)]))
                    .await
                    .pop()
                    .unwrap_or(Ok(()))?;
            }
            twice(&command).await
        };
        self.attempt(pin!(whole), account_of_one).await
    }

    /// [`run`](Self::run) for a command with many keys, each of which has its own answer.
    async fn run_many<'k, O, F>(
        &self,
        keys: &[&'k str],
        command: impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        if self.shared.is_troubled() {
            return Box::pin(self.run_in_trouble(keys, &command)).await;
        }
        let whole = async { Ok(twice_each(keys, &command).await) };
        let answers = self.attempt(pin!(whole), account_of_many).await;
        answers.unwrap_or_else(|error| all_failed(keys.len(), &error))
    }

    /// Keys with a queued invalidation are deleted first; those that the store refuses to delete
    /// are not looked up.
    async fn run_in_trouble<'k, O, F>(
        &self,
        keys: &[&'k str],
        command: &impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        let mut withheld = vec![None; keys.len()];
        let mut first = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match self.way(key) {
                Ok(None) => {}
                Ok(Some(number)) => first.push((place, number)),
                Err(error) => withheld[place] = Some(error),
            }
        }
        if withheld.iter().all(Option::is_some) {
            return withheld.into_iter().flatten().map(Err).collect();
        }
        let first_keys = first.iter().map(|(at, number)| (keys[*at].into(), *number));
        let first_keys: Vec<(Box<str>, u64)> = first_keys.collect();
        let whole = async {
            let deleted = match first_keys.is_empty() {
                true => Vec::new(),
                false => self.shared.delete(first_keys).await,
            };
            for ((place, _), deleted) in first.iter().zip(&deleted) {
                withheld[*place] = deleted.as_ref().err().cloned();
            }
            let asked = keys.iter().zip(&withheld);
            let asked: Vec<&str> = asked
                .filter(|(_, withheld)| withheld.is_none())
                .map(|(key, _)| *key)
                .collect();
            let answers = match asked.is_empty() {
                true => Vec::new(),
                false => twice_each(&asked, command).await,
            };
            Ok((deleted, answers))
        };
        let answers = self.attempt(pin!(whole), account_of_both).await;
        let mut answers = match answers {
            Ok((_, answers)) => answers.into_iter(),
            Err(error) => return all_failed(keys.len(), &error),
        };
        withheld
            .into_iter()
            .map(|withheld| match withheld {
                Some(error) => Err(error),
                None => answers.next().unwrap_or_else(unasked),
            })
            .collect()
    }

    /// The number of the invalidation that must go before a command for `key`.
    fn way(&self, key: &str) -> Result<Option<u64>> {
        let now = self.shared.now();
        let way = {
            let mut state = self.shared.lock();
            match state.pending.way(key) {
                Way::Withheld => Err(Error::BackendRefused(
                    "an invalidation of the key has been refused and is tried again".into(),
                )),
                _ if !state.admits(now, self.shared.longest_step()) => Err(breaker_is_open()),
                Way::Clear => Ok(None),
                Way::After(number) => Ok(Some(number)),
            }
        };
        self.recover();
        way
    }

    /// Runs a command that invalidates `key`. If it fails, or is given up, the invalidation is
    /// queued: `Ok(None)`.
    ///
    /// # Errors
    /// There is no room to queue it.
    async fn invalidate<O, F>(&self, key: &str, command: impl Fn() -> F) -> Result<Option<O>>
    where
        F: Future<Output = Result<O>>,
    {
        let keys = [key];
        let unconfirmed = Unconfirmed::new(self, &keys);
        let answer = match self.admits() {
            Ok(()) => self.attempt(pin!(twice(&command)), account_of_one).await,
            Err(error) => Err(error),
        };
        let (done, error) = match answer {
            Ok(done) => (Some(done), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let told = unconfirmed.settle(vec![error]).pop();
        told.unwrap_or(Ok(Invalidated::Done)).map(|_| done)
    }

    /// Removes whatever is under `keys`. A deletion that fails, or is given up, is queued. A long
    /// batch is cut into parts, each with its own deadline.
    ///
    /// # Errors
    /// There is no room to queue it.
    pub(in super::super) async fn invalidate_many(
        &self,
        keys: &[&str],
    ) -> Vec<Result<Invalidated>> {
        // All keys count as unconfirmed from the start: if the batch is given up, the rest is
        // queued.
        let parts: Vec<_> = keys
            .chunks(S::MAX_KEYS_PER_COMMAND)
            .map(|keys| Unconfirmed::new(self, keys))
            .collect();
        let parts = parts.into_iter().map(|part| self.invalidate_part(part));
        let told = join(parts, PARTS_AT_ONCE).await;
        told.into_iter().flatten().collect()
    }

    async fn invalidate_part(&self, part: Unconfirmed<'_, S>) -> Vec<Result<Invalidated>> {
        let keys = part.keys();
        let delete = |keys: Vec<_>| async move { self.inner().delete_many(&keys).await };
        let whole = async { Ok(twice_each(keys, &delete).await) };
        let answers = match self.admits() {
            Ok(()) => self.attempt(pin!(whole), account_of_many).await,
            Err(error) => Err(error),
        };
        part.settle(answers.unwrap_or_else(|error| all_failed(keys.len(), &error)))
    }
}

fn unasked<O>() -> Result<O> {
    Err(Error::Internal("a key was not asked for".into()))
}
