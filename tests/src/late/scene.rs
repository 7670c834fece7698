//! Two processes, and what happens between them.

#![allow(
    clippy::unwrap_used,
    reason = "test support: what must not fail ends the test"
)]

use std::time::Duration;

use cache_kit::CacheStrategy::{Fresh, Invalidate, Refresh};
use cache_kit::backend::{CacheBackend, Invalidated};
use cache_kit::testing::ManualClock;
use cache_kit::{CacheExpander, CacheService, Error};
use tokio::task::JoinHandle;

use super::{
    BY_ITSELF, Before, Case, Ending, Invalidation, Moment, Seen, fresh_ids, judge, key_of, read,
    spawn,
};
use crate::servers::{Command, Proxy, Server, Trap, Trick};
use crate::{Gated, Ghost};

/// Two processes on one server: one of them connects through a proxy.
#[derive(Debug)]
pub struct Scene<'s, S: Server> {
    /// The process with the proxy.
    pub shaky: CacheService<S::Backend>,
    /// The other one.
    pub sound: CacheService<S::Backend>,
    /// The wire of the first one.
    pub proxy: Proxy,
    /// The server.
    pub server: &'s S,
}

fn process<S: Server>(url: &str, time: &ManualClock) -> CacheService<S::Backend> {
    let backend = S::patient_backend(url, |encoded| encoded);
    CacheExpander::new(backend.unwrap())
        // Short, so that it does not wait long for the placeholders of late commands.
        .with_lease_wait(Duration::from_millis(5))
        // With equal times, bytes are as likely to be equal as they can be.
        .with_clock(time.clock())
        .into()
}

impl<'s, S: Server> Scene<'s, S> {
    /// Both processes, with a proxy of their own.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn new(server: &'s S) -> Self {
        let proxy = server.proxy();
        let time = ManualClock::new();
        Self {
            shaky: process::<S>(&server.url_through(&proxy), &time),
            sound: process::<S>(&server.url(), &time),
            proxy,
            server,
        }
    }

    /// Runs a case, and returns whether all late commands were sent.
    ///
    /// # Errors
    ///
    /// A reader got something older than an acknowledged version.
    ///
    /// # Panics
    ///
    /// When a call fails unexpectedly.
    pub async fn play(&self, case: Case<'_>) -> Result<bool, String> {
        let ids = fresh_ids(case.batch);
        let database = Gated::closed();
        let open = database.with_open_gate();
        if case.present {
            ids.iter().for_each(|id| database.set(id, 1));
        }
        for id in &ids {
            match case.before {
                Before::Nothing => {}
                Before::Entry => {
                    drop(read(&self.sound, &open, std::slice::from_ref(id), Refresh).await)
                }
                Before::Foreign => self.server.put(&key_of(id), b"foreign"),
            }
        }

        // So that the wire stands.
        let warm = read(&self.shaky, &open, &fresh_ids(false), Refresh).await;
        warm.unwrap();
        let traps: Vec<Trap> = case
            .late
            .iter()
            .map(|(_, is_it)| self.trap(&key_of(&ids[ids.len() / 2]), is_it, Trick::LateCommand))
            .collect();
        let slow = spawn(&self.shaky, &database, &ids, case.strategy);
        database.entered(1).await;
        let mut slow = Some(slow);
        if !traps.iter().all(Trap::has_sprung) {
            // The slow call ends with this command.
            self.end(&database, case.ending, slow.take().unwrap()).await;
            if case.ending == Ending::Dropped {
                // A task does it.
                traps[0].sprung().await;
            }
        }
        let traps: Vec<Trap> = traps.into_iter().filter(Trap::has_sprung).collect();
        let all = traps.len() == case.late.len();
        if case.moment == Moment::Early {
            deliver(&traps).await;
        }
        ids.iter().for_each(|id| database.set(id, 2));
        self.invalidate(&open, &ids, case.invalidation).await;
        if matches!(case.moment, Moment::Acknowledged | Moment::Unread) {
            deliver(&traps).await;
        }

        // Calls that begin now must not join the slow one.
        let mut readers = Vec::new();
        if !matches!(case.moment, Moment::Unread | Moment::SlowEnded) {
            for service in [&self.shaky, &self.sound] {
                let mut reader = spawn(service, &open, &ids, Refresh);
                match tokio::time::timeout(BY_ITSELF, &mut reader).await {
                    Ok(seen) => judge("a reader", seen.unwrap())?,
                    Err(_) => readers.push(reader),
                }
            }
        }
        if let Some(slow) = slow {
            self.end(&database, case.ending, slow).await;
        }
        for reader in readers {
            judge("a reader that waited", reader.await.unwrap())?;
        }
        if case.moment == Moment::SlowEnded {
            deliver(&traps).await;
        }
        self.nothing_old(&open, &ids).await?;
        if case.moment == Moment::Stored {
            deliver(&traps).await;
            self.nothing_old(&open, &ids).await?;
        }
        Ok(all)
    }

    /// Plays a trick on the next command of this kind for `key`.
    pub fn trap(&self, key: &str, is_it: &fn(&Command) -> bool, trick: Trick) -> Trap {
        let (key, is_it) = (key.to_owned(), *is_it);
        self.proxy.on_next(
            move |command| is_it(command) && command.has_arg(&key),
            trick,
        )
    }

    /// Every read must return version 2.
    ///
    /// # Errors
    ///
    /// A read returned something older.
    pub async fn nothing_old(&self, open: &Gated, ids: &[String]) -> Result<(), String> {
        for strategy in [Fresh, Refresh, Fresh] {
            for service in [&self.shaky, &self.sound] {
                let seen = read(service, open, ids, strategy).await;
                judge(&format!("{strategy}"), seen)?;
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        database: &Gated,
        ending: Ending,
        slow: JoinHandle<cache_kit::Result<Vec<Seen>>>,
    ) {
        match ending {
            Ending::Stores => {
                database.let_through(1);
                slow.await.unwrap().unwrap();
            }
            Ending::Fails => {
                database.fail(Some(Error::RepositoryError("on purpose".into())));
                database.let_through(1);
                assert!(slow.await.unwrap().is_err());
            }
            Ending::Dropped => {
                slow.abort();
                assert!(slow.await.is_err());
            }
        }
    }

    async fn invalidate(&self, open: &Gated, ids: &[String], invalidation: Invalidation) {
        let done = match invalidation {
            Invalidation::ByHand => {
                ids.iter().for_each(|id| self.server.delete(&key_of(id)));
                return;
            }
            Invalidation::Strategy => {
                let seen = read(&self.sound, open, ids, Invalidate).await.unwrap();
                assert!(seen.iter().all(|(_, version)| *version == Some(2)));
                return;
            }
            Invalidation::Many => self.sound.invalidate_many::<Ghost>(ids).await,
            Invalidation::Elsewhere => each(&self.sound, ids).await,
            Invalidation::Here => each(&self.shaky, ids).await,
        };
        assert_eq!(done.unwrap(), Invalidated::Done);
    }
}

async fn each<B: CacheBackend>(
    service: &CacheService<B>,
    ids: &[String],
) -> cache_kit::Result<Invalidated> {
    for id in ids {
        let done = service.invalidate::<Ghost>(id).await?;
        assert_eq!(done, Invalidated::Done);
    }
    Ok(Invalidated::Done)
}

async fn deliver(traps: &[Trap]) {
    for trap in traps {
        trap.deliver().await;
    }
}
