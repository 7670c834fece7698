//! [`Broken`]: the memory backend with one flaw.

use std::any::type_name;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cache_kit::backend::{
    CacheBackend, Cleared, Engine, Fence, InMemoryBackend, InMemoryLease, Invalidated, LeaseId,
    LeaseRequest, Leased, Lookup, MissReason, Stored, Take,
};
use cache_kit::clock::Timestamp;
use cache_kit::entry::Entry;
use cache_kit::testing::conformance::Specimen;
use cache_kit::{CacheEntity, CacheKey, Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::Flaw;
use super::disguise::{disguised, specimen_in};

const MONTH: Duration = Duration::from_secs(30 * 86_400);
const BEGINNING: Timestamp = Timestamp::from_millis(0);

pub(super) struct Broken {
    inner: InMemoryBackend,
    flaw: Flaw,
    shared: Arc<Shared>,
    /// State of this client only.
    copies: InMemoryBackend,
}

#[derive(Default)]
struct Shared {
    /// The key that was looked up last, by any client.
    asked: Mutex<String>,
    locked: Mutex<HashSet<String>>,
    /// The entries of dropped stores.
    late: Mutex<HashMap<String, Specimen>>,
    /// A handle to the runtime in which the store was first used.
    runtime: OnceLock<mpsc::UnboundedSender<oneshot::Sender<()>>>,
}

pub(super) struct BrokenLease {
    inner: Option<InMemoryLease>,
    leaks: bool,
}

impl Drop for BrokenLease {
    fn drop(&mut self) {
        if self.leaks {
            mem::forget(self.inner.take());
        }
    }
}

impl BrokenLease {
    fn into_inner(mut self) -> InMemoryLease {
        self.inner.take().unwrap()
    }
}

impl Broken {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self {
            inner: crate::weighing(Engine::QuickCache),
            flaw,
            shared: Arc::default(),
            copies: InMemoryBackend::new(),
        }
    }

    pub(super) fn client(&self) -> Self {
        let inner = match self.flaw {
            Flaw::SharesNothing => InMemoryBackend::new(),
            _ => self.inner.clone(),
        };
        Self {
            inner,
            flaw: self.flaw,
            shared: Arc::clone(&self.shared),
            copies: InMemoryBackend::new(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn key<'k>(&self, key: &'k str) -> &'k str {
        match self.flaw {
            Flaw::CutsKeys => {
                let end = (0..=key.len().min(250))
                    .rev()
                    .find(|end| key.is_char_boundary(*end));
                &key[..end.unwrap()]
            }
            Flaw::TrimsKeys => key.trim(),
            _ => key,
        }
    }

    /// Fails once the runtime in which the store was first used is gone.
    async fn reach(&self) -> Result<()> {
        if !self.has(Flaw::OneRuntime) {
            return Ok(());
        }
        let connection = self.shared.runtime.get_or_init(|| {
            let (commands, mut inbox) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
            tokio::spawn(async move {
                while let Some(command) = inbox.recv().await {
                    let _ = command.send(());
                }
            });
            commands
        });
        let (command, answer) = oneshot::channel();
        let gone = || Error::BackendError("the runtime is gone".into());
        connection.send(command).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    async fn has_entry<T: CacheEntity>(&self, key: &str, now: Timestamp) -> bool {
        matches!(self.inner.get::<T>(key, now).await, Ok(Lookup::Hit { .. }))
    }

    /// Stores without checking any fence.
    async fn put<T: CacheEntity>(backend: &InMemoryBackend, key: &str, entry: Entry<T>) {
        let request = LeaseRequest {
            id: LeaseId(1),
            take: Take::Over,
            now: entry.created,
        };
        let now = entry.created;
        match backend.lease::<T>(key, request).await.unwrap() {
            Leased::Granted { lease, .. } => {
                backend.store(key, lease, entry, now).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

impl CacheBackend for Broken {
    type Lease = BrokenLease;

    fn try_get<T: CacheEntity>(&self, key: CacheKey<'_, T>, _now: Timestamp) -> Option<Entry<T>> {
        self.has(Flaw::ServesExpiredAtHand)
            .then(|| self.inner.try_get(key, BEGINNING))?
    }

    async fn get<T: CacheEntity>(&self, key: &str, now: Timestamp) -> Result<Lookup<T>> {
        self.reach().await?;
        let key = self.key(key);
        match self.flaw {
            Flaw::ServesExpired => self.inner.get(key, BEGINNING).await,
            Flaw::FailsToDecode if type_name::<T>().ends_with("Unreadable") => {
                Err(Error::BackendError("not decodable".into()))
            }
            Flaw::MixesAnswers => {
                *self.shared.asked.lock().unwrap() = key.to_owned();
                yield_now().await;
                let key = self.shared.asked.lock().unwrap().clone();
                self.inner.get(&key, now).await
            }
            Flaw::MixesTypes => match self.inner.get::<Specimen>(key, now).await? {
                Lookup::Hit { entry, fence } => Ok(match disguised(entry) {
                    Some(entry) => Lookup::Hit { entry, fence },
                    None => self.inner.get(key, now).await?,
                }),
                Lookup::Miss { .. } => self.inner.get(key, now).await,
            },
            Flaw::KeepsCopies => {
                if let Ok(hit @ Lookup::Hit { .. }) = self.copies.get(key, now).await {
                    return Ok(hit);
                }
                let found = self.inner.get(key, now).await;
                if let Ok(Lookup::Hit { entry, .. }) = &found {
                    Self::put::<T>(&self.copies, key, entry.clone()).await;
                }
                found
            }
            _ => self.inner.get(key, now).await,
        }
    }

    async fn lease<T: CacheEntity>(
        &self,
        key: &str,
        mut request: LeaseRequest,
    ) -> Result<Leased<BrokenLease>> {
        self.reach().await?;
        let key = self.key(key);
        match (self.flaw, request.take) {
            (Flaw::OverDrops, Take::Over) => request.take = Take::Invalidating,
            (Flaw::InvalidatingKeeps, Take::Invalidating)
            | (Flaw::TakesWhatIsThere, Take::IfMissing) => request.take = Take::Over,
            (Flaw::FindsExpired, Take::IfMissing) if self.has_entry::<T>(key, BEGINNING).await => {
                return Ok(Leased::Found);
            }
            (Flaw::BusyWithItself, Take::IfMissing) => {
                let found = self.inner.get::<T>(key, request.now).await?;
                if let Lookup::Miss {
                    fence: Some(fence),
                    reason: MissReason::Absent,
                } = found
                {
                    return Ok(Leased::Busy { fence });
                }
            }
            (Flaw::LocksWhenDropped, _) => {
                if !self.shared.locked.lock().unwrap().insert(key.to_owned()) {
                    return Err(Error::BackendError("locked".into()));
                }
                yield_now().await;
                self.shared.locked.lock().unwrap().remove(key);
            }
            _ => {}
        }
        let leased = self.inner.lease::<T>(key, request).await?;
        Ok(match leased {
            Leased::Granted { lease, fence } => Leased::Granted {
                lease: BrokenLease {
                    inner: Some(lease),
                    leaks: self.has(Flaw::KeepsDroppedLeases),
                },
                fence: if self.has(Flaw::ReusesFences) {
                    Fence(7)
                } else {
                    fence
                },
            },
            Leased::Found => Leased::Found,
            other => panic!("memory never answers {other:?}"),
        })
    }

    async fn store<T: CacheEntity>(
        &self,
        key: &str,
        lease: BrokenLease,
        mut entry: Entry<T>,
        mut now: Timestamp,
    ) -> Result<Stored> {
        self.reach().await?;
        let key = self.key(key);
        match self.flaw {
            Flaw::KeepsExpired => now = BEGINNING,
            Flaw::LosesMillis => {
                let seconds = entry.created.as_millis() / 1_000;
                entry.created = Timestamp::from_millis(seconds * 1_000);
            }
            Flaw::EndsForEver if entry.expires == Timestamp::NEVER => {
                entry.expires = now.after(MONTH);
            }
            Flaw::EndsLongLives if entry.expires.since(now) > MONTH => {
                // Memory keeps it only if it has not expired at the store.
                (entry.expires, now) = (now, BEGINNING);
            }
            Flaw::ForgetsAbsences if entry.value.is_none() => return Ok(Stored::Stored),
            Flaw::KeepsOldWhenExpired if entry.expires <= now => return Ok(Stored::Fenced),
            Flaw::KeepsOldWhenTooLarge
                if specimen_in(&entry)
                    .is_some_and(|specimen| specimen.payload.len() > crate::LARGEST) =>
            {
                return Ok(Stored::TooLarge);
            }
            Flaw::StoresWhenDropped => {
                let value = specimen_in(&entry).cloned();
                if let Some(value) = value {
                    let late = &self.shared.late;
                    late.lock().unwrap().insert(key.to_owned(), value);
                    yield_now().await;
                    late.lock().unwrap().remove(key);
                }
            }
            _ => {}
        }
        let again = entry.clone();
        let stored = self
            .inner
            .store(key, lease.into_inner(), entry, now)
            .await?;
        let fenced = stored == Stored::Fenced;
        match self.flaw {
            Flaw::IgnoresFences if fenced => {
                Self::put(&self.inner, key, again).await;
                Ok(Stored::Stored)
            }
            Flaw::FencedRemoves if fenced => {
                self.inner.invalidate::<T>(key).await?;
                Ok(stored)
            }
            _ => Ok(stored),
        }
    }

    async fn release<T: CacheEntity>(&self, key: &str, lease: BrokenLease) -> Result<()> {
        self.reach().await?;
        let key = self.key(key);
        match self.flaw {
            Flaw::ReleasesNothing => mem::forget(lease.into_inner()),
            Flaw::ReleaseDeletes => {
                drop(lease);
                self.inner.invalidate::<T>(key).await?;
            }
            _ => self.inner.release::<T>(key, lease.into_inner()).await?,
        }
        Ok(())
    }

    async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
        self.reach().await?;
        let key = self.key(key);
        match self.flaw {
            Flaw::SkipsWhatIsMissing if !self.has_entry::<T>(key, BEGINNING).await => {
                return Ok(Invalidated::Done);
            }
            Flaw::InvalidateKeepsLeases => {
                // An expired entry counts as nothing, and no fence changes.
                let found = self.inner.get::<T>(key, BEGINNING).await?;
                if let Lookup::Hit { entry, .. } = found {
                    let gone = Entry {
                        expires: BEGINNING,
                        ..entry
                    };
                    Self::put(&self.inner, key, gone).await;
                }
                return Ok(Invalidated::Done);
            }
            Flaw::KeepsCopies => {
                self.copies.invalidate::<T>(key).await?;
            }
            _ => {}
        }
        let answer = self.inner.invalidate::<T>(key).await;
        let late = self.shared.late.lock().unwrap().remove(key);
        if let Some(value) = late {
            let entry = Entry {
                value: Some(Arc::new(value)),
                created: BEGINNING,
                stale_from: Timestamp::NEVER,
                expires: Timestamp::NEVER,
                load_millis: 0,
                pinned: false,
            };
            Self::put(&self.inner, key, entry).await;
        }
        answer
    }

    async fn invalidate_text(&self, key: &str) -> Result<Invalidated> {
        match self.flaw {
            Flaw::InvalidatesOneType => self.inner.invalidate::<Specimen>(key).await,
            _ => self.inner.invalidate_text(self.key(key)).await,
        }
    }

    async fn clear_prefix(&self, beginning: &str) -> Result<Cleared> {
        match self.flaw {
            Flaw::ClearsAFew => self.inner.clear_prefix(&format!("{beginning}1")).await,
            Flaw::ClearsTooMuch => {
                let longest = beginning.trim_end_matches(|c: char| !c.is_alphanumeric());
                self.inner.clear_prefix(longest).await
            }
            _ => self.inner.clear_prefix(beginning).await,
        }
    }

    fn default_ttl(&self) -> Option<Duration> {
        self.inner.default_ttl()
    }

    async fn get_many<T: CacheEntity>(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Vec<Result<Lookup<T>>> {
        let mut answers = Vec::new();
        let mut seen = HashSet::new();
        for key in keys {
            if self.has(Flaw::DropsDuplicates) && !seen.insert(*key) {
                continue;
            }
            answers.push(self.get(key, now).await);
        }
        if self.has(Flaw::MixesLookUps) {
            answers.reverse();
        }
        answers
    }

    async fn lease_many<T: CacheEntity>(
        &self,
        requests: &[(&str, LeaseRequest)],
    ) -> Vec<Result<Leased<BrokenLease>>> {
        let mut answers = Vec::new();
        for (at, (key, request)) in requests.iter().enumerate() {
            let mut request = *request;
            if self.has(Flaw::MixesLeases) {
                request.take = requests[requests.len() - 1 - at].1.take;
            }
            answers.push(self.lease::<T>(key, request).await);
        }
        answers
    }

    async fn store_many<T: CacheEntity>(
        &self,
        entries: Vec<(&str, BrokenLease, Entry<T>)>,
        now: Timestamp,
    ) -> Vec<Result<Stored>> {
        let mut answers = Vec::new();
        for (key, lease, entry) in entries {
            answers.push(self.store(key, lease, entry, now).await);
        }
        let one_too_large = answers
            .iter()
            .any(|answer| matches!(answer, Ok(Stored::TooLarge)));
        if self.has(Flaw::OneSpoilsAll) && one_too_large {
            answers.fill(Ok(Stored::TooLarge));
        }
        answers
    }

    async fn release_many<T: CacheEntity>(
        &self,
        leases: Vec<(&str, BrokenLease)>,
    ) -> Vec<Result<()>> {
        let half = leases.len() / 2;
        let mut answers = Vec::new();
        for (at, (key, lease)) in leases.into_iter().enumerate() {
            if self.has(Flaw::ReleasesHalf) && at >= half {
                mem::forget(lease.into_inner());
                answers.push(Ok(()));
            } else {
                answers.push(self.release::<T>(key, lease).await);
            }
        }
        answers
    }

    async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
        let mut answers = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            if self.has(Flaw::InvalidatesHalf) && at % 2 == 1 {
                answers.push(Ok(Invalidated::Done));
            } else {
                answers.push(self.invalidate::<T>(key).await);
            }
        }
        answers
    }
}
