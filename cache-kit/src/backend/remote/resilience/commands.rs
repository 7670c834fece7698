//! The commands of a [`GuardedStore`]: those of the store, each within its deadline, if the breaker
//! admits it, and after the queued invalidation of its key.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::again::{account_of_both, account_of_many, account_of_one, twice, twice_each};
use super::pending::Way;
use super::tell::{GET, INVALIDATE, LEASE, RELEASE, SCAN, STORE};
use super::unconfirmed::Unconfirmed;
use super::{GuardedStore, breaker_is_open};
use crate::answers::all_failed;
use crate::backend::remote::PARTS_AT_ONCE;
use crate::backend::remote::byte_store::{ByteStore, Claim};
use crate::backend::remote::scan::{ScanCursor, Scanned};
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
        self.run(key, GET, move || self.inner().get(key))
    }

    /// The values under `keys`, of which there are no more than fit into one command. Each is expected to
    /// have `bytes`.
    pub(in super::super) async fn get_many(&self, keys: &[&str], bytes: usize) -> Values {
        let get = |keys: Vec<_>| async move { self.inner().get_many(&keys).await };
        self.run_many(keys, bytes, GET, get).await
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
        self.run(key, LEASE, claim).await
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
        self.run(key, STORE, move || {
            self.inner().compare_and_set(key, token, value, lifetime)
        })
    }

    /// Removes what `token` stands for; `false` if something else is there by now.
    pub(in super::super) fn compare_and_delete<'a>(
        &'a self,
        key: &'a str,
        token: &'a S::Token,
    ) -> impl Future<Output = Result<bool>> + Send + 'a {
        self.run(key, RELEASE, move || {
            self.inner().compare_and_delete(key, token)
        })
    }

    /// One step of a walk over the keys. It deletes nothing and reads no entry, so that no queued
    /// invalidation goes before it.
    pub(in super::super) async fn scan(
        &self,
        beginning: &str,
        cursor: Option<&ScanCursor>,
    ) -> Result<Scanned> {
        let node = cursor.map_or(0, ScanCursor::node);
        self.admits(node)?;
        let scan = || self.inner().scan(beginning, cursor);
        self.attempt(node, SCAN, pin!(twice(&scan)), account_of_one)
            .await
    }

    /// Runs a command for `key`: within the deadline, if the breaker admits it, and after a queued
    /// invalidation of the key. It is sent once more if its connection is lost.
    ///
    /// # Errors
    /// [`Error::BackendRefused`] also while the store refuses to delete what is under `key`.
    async fn run<O, F>(
        &self,
        key: &str,
        operation: &'static str,
        command: impl Fn() -> F,
    ) -> Result<O>
    where
        F: Future<Output = Result<O>>,
    {
        let node = self.inner().node_of(key);
        let first = match self.shared.is_troubled() {
            true => self.way(node, key)?,
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
        self.attempt(node, operation, pin!(whole), account_of_one)
            .await
    }

    /// [`run`](Self::run) for a command with many keys, each of which has its own answer, of about
    /// `bytes`.
    async fn run_many<'k, O, F>(
        &self,
        keys: &[&'k str],
        bytes: usize,
        operation: &'static str,
        command: impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        let run = |node, keys: Vec<&'k str>| {
            let command = &command;
            async move {
                match self
                    .room_on(node, bytes, keys.len(), self.room_wait_of_a_batch())
                    .await
                {
                    Ok(_room) => self.run_part(node, &keys, operation, command).await,
                    // Nothing was sent, which is no timeout of the store.
                    Err(error) => all_failed(keys.len(), &Error::BackendError(error.to_string())),
                }
            }
        };
        let parts = match self.parts(keys) {
            Parts::One(node) => return run(node, keys.to_vec()).await,
            Parts::Several(parts) => parts,
        };
        Box::pin(at_once(keys.len(), parts, run)).await
    }

    /// Sorts keys by their nodes.
    fn parts<'k>(&self, keys: &[&'k str]) -> Parts<'k> {
        let node_of = |key: &&str| self.inner().node_of(key);
        let first = keys.first().map_or(0, node_of);
        if keys.iter().all(|key| node_of(key) == first) {
            return Parts::One(first);
        }
        let mut parts: Vec<Part<'k>> = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let node = node_of(key);
            let known = parts.iter().position(|part| part.node == node);
            let part = known.unwrap_or_else(|| {
                parts.push(Part::of(node));
                parts.len() - 1
            });
            parts[part].places.push(place);
            parts[part].keys.push(key);
        }
        Parts::Several(parts)
    }

    /// [`run_many`](Self::run_many) for keys of one node.
    async fn run_part<'k, O, F>(
        &self,
        node: usize,
        keys: &[&'k str],
        operation: &'static str,
        command: &impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        if self.shared.is_troubled() {
            return Box::pin(self.run_in_trouble(node, keys, operation, command)).await;
        }
        let whole = async { Ok(twice_each(keys, command).await) };
        let answers = self
            .attempt(node, operation, pin!(whole), account_of_many)
            .await;
        answers.unwrap_or_else(|error| all_failed(keys.len(), &error))
    }

    /// Keys with a queued invalidation are deleted first; those that the store refuses to delete
    /// are not looked up.
    async fn run_in_trouble<'k, O, F>(
        &self,
        node: usize,
        keys: &[&'k str],
        operation: &'static str,
        command: &impl Fn(Vec<&'k str>) -> F,
    ) -> Vec<Result<O>>
    where
        F: Future<Output = Vec<Result<O>>>,
    {
        let mut withheld = vec![None; keys.len()];
        let mut first = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match self.way(node, key) {
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
        let answers = self
            .attempt(node, operation, pin!(whole), account_of_both)
            .await;
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
    fn way(&self, node: usize, key: &str) -> Result<Option<u64>> {
        let now = self.shared.now();
        let way = {
            let mut state = self.shared.lock();
            match state.pending.way(key) {
                Way::Withheld => Err(Error::BackendRefused(
                    "an invalidation of the key has been refused and is tried again".into(),
                )),
                _ if !state.admits(node, now, self.shared.longest_step()) => Err(breaker_is_open()),
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
        let node = self.inner().node_of(key);
        let answer = match self.admits(node) {
            Ok(()) => {
                let command = pin!(twice(&command));
                self.attempt(node, INVALIDATE, command, account_of_one)
                    .await
            }
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
    /// batch is cut into parts, and each node's part of each has its own deadline.
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
            .chunks(self.limits().keys_per_command)
            .map(|keys| Unconfirmed::new(self, keys))
            .collect();
        let parts = parts.into_iter().map(|part| self.invalidate_part(part));
        let told = join(parts, PARTS_AT_ONCE).await;
        told.into_iter().flatten().collect()
    }

    async fn invalidate_part(&self, part: Unconfirmed<'_, S>) -> Vec<Result<Invalidated>> {
        let keys = part.keys();
        let answers = match self.parts(keys) {
            Parts::One(node) => self.delete_of(node, keys).await,
            Parts::Several(parts) => {
                let delete = |node, keys: Vec<_>| async move { self.delete_of(node, &keys).await };
                Box::pin(at_once(keys.len(), parts, delete)).await
            }
        };
        part.settle(answers)
    }

    /// Removes whatever is under keys of one node.
    async fn delete_of(&self, node: usize, keys: &[&str]) -> Vec<Result<()>> {
        let delete = |keys: Vec<_>| async move { self.inner().delete_many(&keys).await };
        let whole = async { Ok(twice_each(keys, &delete).await) };
        let answers = match self.admits(node) {
            Ok(()) => {
                self.attempt(node, INVALIDATE, pin!(whole), account_of_many)
                    .await
            }
            Err(error) => Err(error),
        };
        answers.unwrap_or_else(|error| all_failed(keys.len(), &error))
    }
}

/// The keys of a batch, by the nodes that keep them.
enum Parts<'k> {
    /// One node keeps all.
    One(usize),
    Several(Vec<Part<'k>>),
}

/// One node's part of a batch.
struct Part<'k> {
    node: usize,
    /// The places of its keys in the batch.
    places: Vec<usize>,
    keys: Vec<&'k str>,
}

impl Part<'_> {
    fn of(node: usize) -> Self {
        Self {
            node,
            places: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// Runs all parts of a batch of `count` keys concurrently, and puts the answers into order.
async fn at_once<'k, O, F>(
    count: usize,
    parts: Vec<Part<'k>>,
    run: impl Fn(usize, Vec<&'k str>) -> F,
) -> Vec<Result<O>>
where
    F: Future<Output = Vec<Result<O>>>,
{
    let (places, running): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .map(|part| (part.places, run(part.node, part.keys)))
        .unzip();
    let answers = join(running.into_iter(), usize::MAX).await;
    let mut all: Vec<Result<O>> = (0..count).map(|_| unasked()).collect();
    for (places, answers) in places.into_iter().zip(answers) {
        for (place, answer) in places.into_iter().zip(answers) {
            all[place] = answer;
        }
    }
    all
}

fn unasked<O>() -> Result<O> {
    Err(Error::Internal("a key was not asked for".into()))
}
