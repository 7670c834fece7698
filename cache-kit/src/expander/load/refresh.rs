//! Refreshes of entries that are answered meanwhile: one for each key, among all processes.
//!
//! A process that refreshes an entry holds a lease beside it, under a key of its own, from before it
//! looks whether the entry still stands until it has stored the new one. The lease is no fence: what
//! is stored is decided by the lease on the entry's own key. If the process dies, the lease expires.
//!
//! In memory there are no other processes, and two services over one backend each refresh for
//! themselves. After a load that has failed, each process has a pause of its own.

use std::collections::HashMap;

use crate::backend::{CacheBackend, LeaseId, LeaseRequest, Leased, Lookup, Take};
use crate::entity::CacheEntity;
use crate::expander::call::{Answer, Call, Due, Next, Refresh};
use crate::expander::turns::Ours;
use crate::flight::View;
use crate::observability::{CacheEvent, Outcome, Source};
use crate::policy::State;
use crate::repository::DataRepository;

use super::{HeldLease, Loads, Miss, commands};

/// What is added to a key for the lease beside it. Hardly any key ends like this; an entity of such a key
/// would keep the two from excluding each other, and nothing else.
const BESIDE: &str = "\0refresh";

/// What became of the keys that a call was to refresh.
struct Claimed<B: CacheBackend, T> {
    /// The slots of keys that another process refreshes.
    elsewhere: Vec<usize>,
    /// The slots of keys that have been refreshed meanwhile.
    answered: Vec<(usize, Answer<T>)>,
    /// The keys whose entries are to be loaded anew.
    due: Vec<Miss>,
    /// The keys whose entries are gone.
    gone: Vec<Miss>,
    rights: Vec<Right<B>>,
}

/// The right to refresh one key.
pub(in crate::expander) struct Right<B: CacheBackend> {
    slot: usize,
    ours: Ours,
    /// The lease beside the entry, and its key; none if the store has no room for one.
    beside: Option<(String, HeldLease<B>)>,
}

impl<B, T, R> Loads<'_, B, T, R>
where
    B: CacheBackend,
    T: CacheEntity,
    R: DataRepository<T> + ?Sized,
{
    /// What the call does about entries that it answers with, and that are to be refreshed: in the
    /// background if there is a repository for that, by this call otherwise. The rights are for
    /// [`settle`](Self::settle), after the loads.
    pub(in crate::expander) async fn meanwhile(
        &self,
        due: Vec<Due<T>>,
    ) -> (Vec<(usize, Next<T>)>, Vec<Right<B>>) {
        let expander = self.expander;
        let mut next = Vec::with_capacity(due.len());
        let (mut found, mut refreshes) = (Vec::new(), Vec::new());
        for due in due {
            refreshes.push((due.slot, due.refresh));
            found.push((due.slot, due.answer, due.since));
        }
        if let Some(tasks) = self.tasks {
            let ahead: Vec<bool> = refreshes.iter().map(|(_, due)| due.ahead).collect();
            let owned = |(slot, refresh): (usize, Refresh)| {
                let Call { key, id } = &self.calls[slot];
                ((*key).into(), (*id).clone(), refresh)
            };
            let begun = tasks.refresh(refreshes.into_iter().map(owned).collect(), self.config);
            for ((slot, (value, outcome), since), ahead) in found.into_iter().zip(ahead) {
                let key = self.calls[slot].key;
                let outcome = outcome.refreshing(begun).ahead(begun && ahead);
                let answer = (value, outcome);
                expander.report_meanwhile(self.of, key, &answer, since);
                if !begun {
                    expander.tell(self.of, key, &CacheEvent::RefreshSkipped);
                }
                next.push((slot, Next::Answer(answer)));
            }
            return (next, Vec::new());
        }
        let claimed = self.claim(refreshes).await;
        let found = found.into_iter();
        let mut found: HashMap<_, _> = found
            .map(|(slot, answer, since)| (slot, (answer, since)))
            .collect();
        let mut misses: Vec<Miss> = claimed.gone;
        // A load of this call that fails leaves the entry as the answer.
        misses.extend(
            claimed
                .due
                .into_iter()
                .map(|due| Miss { stale: true, ..due }),
        );
        for miss in misses {
            if let Some((_, since)) = found.get(&miss.slot) {
                expander.tell_miss(self.of, self.calls[miss.slot].key, *since);
            }
            next.push((miss.slot, Next::Load(miss)));
        }
        for (slot, answer) in claimed.answered {
            expander.report_meanwhile(self.of, self.calls[slot].key, &answer, None);
            next.push((slot, Next::Answer(answer)));
        }
        for slot in claimed.elsewhere {
            if let Some(((value, outcome), since)) = found.remove(&slot) {
                let answer = (value, outcome.refreshing(true));
                expander.report_meanwhile(self.of, self.calls[slot].key, &answer, since);
                next.push((slot, Next::Answer(answer)));
            }
        }
        (next, claimed.rights)
    }

    /// Refreshes the entries of `due` that no other process is refreshing.
    pub(in crate::expander) async fn refresh(&self, due: Vec<(usize, Refresh)>) {
        let claimed = self.claim(due).await;
        let mut answers = Vec::new();
        answers.resize_with(self.calls.len(), || None);
        // A failure has been reported, and `settle` sees which keys have no answer.
        let _ = self.answer(claimed.due, &mut answers).await;
        self.settle(claimed.rights, &answers).await;
    }

    /// Finds out which of `due` this call refreshes, and what the others are by now.
    async fn claim(&self, due: Vec<(usize, Refresh)>) -> Claimed<B, T> {
        let mut claimed = Claimed {
            elsewhere: Vec::new(),
            answered: Vec::new(),
            due: Vec::new(),
            gone: Vec::new(),
            rights: Vec::new(),
        };
        let mut entries = Vec::new();
        let rights = self.take_rights(&due).await;
        for ((slot, refresh), right) in due.into_iter().zip(rights) {
            let Refresh {
                created,
                ahead,
                ours,
            } = refresh;
            match right {
                Beside::Theirs => {
                    let key = self.calls[slot].key;
                    self.expander
                        .tell(self.of, key, &CacheEvent::RefreshedElsewhere);
                    ours.leave_elsewhere(self.expander.clock.now());
                    claimed.elsewhere.push(slot);
                }
                Beside::Ours(beside) => {
                    entries.push((created, ahead, Right { slot, ours, beside }));
                }
            }
        }
        let keys: Vec<&str> = entries
            .iter()
            .map(|(.., right)| self.calls[right.slot].key)
            .collect();
        let began = self.expander.flights.tick();
        let now = self.expander.clock.now();
        let answers = commands::get_again::<T, B>(&self.expander.backend, &keys, now).await;
        let mut over = Vec::new();
        for ((created, ahead, right), answer) in entries.into_iter().zip(answers) {
            let slot = right.slot;
            let view = |seen| View {
                began,
                looked: began,
                seen,
            };
            let key = self.calls[slot].key;
            match answer {
                Ok(Lookup::Hit { entry, fence }) => {
                    let state = self.expander.state_now(&entry, self.config, now);
                    if entry.created != created && state == State::Fresh {
                        self.expander.turns.succeeded::<T>(key);
                        let outcome = Outcome::of(Source::Cache).aged(entry.created, now);
                        claimed.answered.push((slot, (entry.value, outcome)));
                        over.push(right);
                        continue;
                    }
                    self.expander
                        .tell(self.of, key, &CacheEvent::Refreshing { ahead });
                    claimed.due.push(Miss::of_entry(slot, view(fence), ahead));
                    claimed.rights.push(right);
                }
                Ok(Lookup::Miss { fence, .. }) => {
                    claimed.gone.push(Miss {
                        take: Some(Take::IfMissing),
                        ..Miss::of_entry(slot, view(fence), false)
                    });
                    over.push(right);
                }
                // The store has failed since, so nothing can be stored.
                Err(error) => {
                    self.expander.tell_failure(self.of, key, "get", &error);
                    claimed.gone.push(Miss {
                        take: None,
                        read_failed: true,
                        ..Miss::of_entry(slot, view(None), false)
                    });
                    over.push(right);
                }
            }
        }
        self.give_up(over).await;
        claimed
    }

    /// Takes the leases beside the entries of `due`.
    async fn take_rights(&self, due: &[(usize, Refresh)]) -> Vec<Beside<B>> {
        let backend = &self.expander.backend;
        let now = self.expander.clock.now();
        let keys: Vec<String> = due
            .iter()
            .map(|(slot, _)| format!("{}{BESIDE}", self.calls[*slot].key))
            .collect();
        let request = |key: &'_ String| {
            let id = LeaseId(fastrand::u64(..));
            let held = HeldLease::unanswered::<T>(backend, key, id, now);
            let take = Take::IfMissing;
            (LeaseRequest { id, take, now }, held)
        };
        let (requests, held): (Vec<_>, Vec<_>) = keys.iter().map(request).unzip();
        let requests: Vec<_> = keys.iter().map(String::as_str).zip(requests).collect();
        let answers = commands::lease::<T, B>(backend, &requests).await;
        let mut rights = Vec::with_capacity(keys.len());
        for ((key, mut held), answer) in keys.into_iter().zip(held).zip(answers) {
            rights.push(match answer {
                Ok(Leased::Granted { lease, .. }) => {
                    held.keep(lease);
                    Beside::Ours(Some((key, held)))
                }
                Ok(Leased::Busy { .. }) => {
                    held.answered(None);
                    Beside::Theirs
                }
                answer => {
                    held.answered(answer.err().as_ref());
                    Beside::Ours(None)
                }
            });
        }
        rights
    }

    /// Gives up the rights to keys that have been loaded, or could not be.
    pub(in crate::expander) async fn settle(
        &self,
        rights: Vec<Right<B>>,
        answers: &[Option<Answer<T>>],
    ) {
        let now = self.expander.clock.now();
        for right in &rights {
            let loaded = match &answers[right.slot] {
                Some((_, outcome)) => !outcome.degraded().repository,
                None => false,
            };
            if !loaded {
                right.ours.failed(now);
            }
        }
        self.give_up(rights).await;
    }

    /// Gives up the leases beside entries, and passes on what has neither been loaded nor failed.
    async fn give_up(&self, rights: Vec<Right<B>>) {
        let beside = rights.into_iter().filter_map(|right| right.beside);
        let (keys, held): (Vec<String>, Vec<_>) = beside.unzip();
        self.release(keys.iter().map(String::as_str).zip(held).collect())
            .await;
    }
}

/// The answer to a request for the lease beside an entry.
enum Beside<B: CacheBackend> {
    Ours(Option<(String, HeldLease<B>)>),
    Theirs,
}
