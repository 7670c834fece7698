//! A scripted store of bytes in this process: everything of a remote backend, without a server and
//! a wire.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_kit::backend::{ByteStore, Claim, ScanCursor, Scanned, head, is_head};
use cache_kit::{Error, Result};
use tokio::sync::Semaphore;

/// What a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Get,
    Claim,
    Swap,
    Remove,
    Set,
    Delete,
    Ping,
    Scan,
}

/// The fate of a command.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It is done.
    Works,
    /// It is not done, and fails.
    Fails,
    /// It is not done, because the store refuses it.
    Refused,
    /// It is not done, and its connection is lost.
    Lost,
    /// It is not done, and not answered.
    Hangs,
    /// It is done, and answered when there is a permit for it.
    Answered(Arc<Semaphore>),
    /// It is answered for one key too few.
    Short,
}

/// How many keys one step of a scan looks at.
const STEP: usize = 3;

/// Clones share the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    values: HashMap<String, Vec<u8>>,
    /// The fates of the next commands of a kind; the last one applies to all that follow.
    fates: HashMap<Op, VecDeque<Fate>>,
    commands: Vec<(Op, Vec<String>)>,
    lifetimes: Vec<Option<Duration>>,
}

impl Shelf {
    /// Sets the fates of the next commands of this kind. The last fate applies to all others, too.
    pub(crate) fn make(&self, op: Op, fates: impl IntoIterator<Item = Fate>) {
        self.lock().fates.insert(op, fates.into_iter().collect());
    }

    /// Sets the fate of every command from now on.
    pub(crate) fn make_all(&self, fate: Fate) {
        for op in [
            Op::Get,
            Op::Claim,
            Op::Swap,
            Op::Remove,
            Op::Set,
            Op::Delete,
            Op::Ping,
            Op::Scan,
        ] {
            self.make(op, [fate.clone()]);
        }
    }

    /// How many commands of this kind have arrived.
    pub(crate) fn count(&self, op: Op) -> usize {
        let inner = self.lock();
        inner
            .commands
            .iter()
            .filter(|(kind, _)| *kind == op)
            .count()
    }

    /// The keys of the commands of this kind, in the order of arrival.
    pub(crate) fn keys(&self, op: Op) -> Vec<Vec<String>> {
        let inner = self.lock();
        let of_kind = inner.commands.iter().filter(|(kind, _)| *kind == op);
        of_kind.map(|(_, keys)| keys.clone()).collect()
    }

    /// The lifetimes of stored values.
    pub(crate) fn lifetimes(&self) -> Vec<Option<Duration>> {
        self.lock().lifetimes.clone()
    }

    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().values.get(key).cloned()
    }

    pub(crate) fn put(&self, key: &str, value: Vec<u8>) {
        self.lock().values.insert(key.into(), value);
    }

    async fn run<O>(&self, op: Op, keys: &[&str], act: impl FnOnce(&mut Inner) -> O) -> Result<O> {
        let fate = {
            let mut inner = self.lock();
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            inner.commands.push((op, keys));
            inner.next_fate(op)
        };
        match fate {
            Fate::Works | Fate::Short => Ok(act(&mut self.lock())),
            Fate::Fails => Err(Error::BackendError("on purpose".into())),
            Fate::Refused => Err(Error::BackendRefused("on purpose".into())),
            Fate::Lost => Err(Error::ConnectionLost("on purpose".into())),
            Fate::Hangs => std::future::pending().await,
            Fate::Answered(gate) => {
                let done = act(&mut self.lock());
                let permit = gate.acquire().await;
                permit.map_err(Error::repository)?.forget();
                Ok(done)
            }
        }
    }

    async fn each<O>(
        &self,
        op: Op,
        keys: &[&str],
        act: impl Fn(&mut Inner, &str) -> O,
    ) -> Vec<Result<O>> {
        let short = {
            let inner = self.lock();
            let next = inner.fates.get(&op).and_then(VecDeque::front);
            matches!(next, Some(Fate::Short))
        };
        let all = |inner: &mut Inner| keys.iter().map(|key| act(inner, key)).collect::<Vec<O>>();
        match self.run(op, keys, all).await {
            Ok(done) => done.into_iter().skip(usize::from(short)).map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn next_fate(&mut self, op: Op) -> Fate {
        match self.fates.get_mut(&op) {
            Some(fates) if fates.len() > 1 => fates.pop_front().unwrap_or(Fate::Works),
            Some(fates) => fates.front().cloned().unwrap_or(Fate::Works),
            None => Fate::Works,
        }
    }

    fn token(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).map(|value| head(value).to_vec())
    }
}

impl ByteStore for Shelf {
    type Token = Vec<u8>;

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let get = |inner: &mut Inner, key: &str| inner.values.get(key).cloned();
        self.each(Op::Get, keys, get).await
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        self.run(Op::Claim, &[key], |inner| {
            if let Some(head) = inner.token(key).filter(|head| is_head(head)) {
                let token = head.clone();
                return Claim::Standing { head, token };
            }
            inner.lifetimes.push(Some(life));
            inner.values.insert(key.into(), mark.to_vec());
            Claim::Taken(mark.to_vec())
        })
        .await
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Option<Duration>,
    ) -> Result<bool> {
        self.run(Op::Swap, &[key], |inner| {
            let stands = inner.token(key).as_ref() == Some(old);
            if stands {
                inner.lifetimes.push(life);
                inner.values.insert(key.into(), new.to_vec());
            }
            stands
        })
        .await
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        self.run(Op::Remove, &[key], |inner| {
            inner.token(key).as_ref() == Some(old) && inner.values.remove(key).is_some()
        })
        .await
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        self.run(Op::Set, &[key], |inner| {
            inner.lifetimes.push(Some(life));
            inner.values.insert(key.into(), value.to_vec());
            Some(head(value).to_vec())
        })
        .await
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let delete = |inner: &mut Inner, key: &str| drop(inner.values.remove(key));
        self.each(Op::Delete, keys, delete).await
    }

    async fn scan(&self, beginning: &str, cursor: Option<&ScanCursor>) -> Result<Scanned> {
        let behind = cursor.and_then(ScanCursor::position::<String>).cloned();
        self.run(Op::Scan, &[beginning], |inner| {
            let is_next = |key: &&String| behind.as_ref().is_none_or(|behind| *key > behind);
            let mut keys: Vec<String> = inner.values.keys().filter(is_next).cloned().collect();
            keys.sort();
            keys.truncate(STEP);
            let next = keys.last().cloned().filter(|_| keys.len() == STEP);
            keys.retain(|key| key.starts_with(beginning));
            let next = next.map(ScanCursor::at);
            Scanned { keys, next }
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        self.run(Op::Ping, &[], |_| ()).await
    }
}
