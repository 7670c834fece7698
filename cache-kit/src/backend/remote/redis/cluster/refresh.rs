//! Asks the cluster who keeps which slot: one task at a time, for all callers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Range, ranges};
use super::map::Map;
use super::{Link, Shared, name_of};
use crate::backend::remote::redis::address::Host;
use crate::backend::remote::redis::said::{has_code, said_of};
use crate::error::{Error, Result};

/// The pause between two tasks: while a node is away, each of its commands asks for a new map.
const PAUSE: Duration = Duration::from_millis(100);

/// A task that has not ended by then is believed to stand still with its runtime.
const LONGEST: Duration = Duration::from_secs(2);

/// How long a server has to answer, connecting included.
const LIMIT: Duration = Duration::from_millis(500);

/// How many servers are asked at a time. The first answer counts.
const AT_ONCE: usize = 3;

pub(super) struct Refresh {
    state: Mutex<State>,
    /// What the last task that has ended failed with. Every end is told.
    ended: watch::Sender<Option<Error>>,
}

#[derive(Default)]
struct State {
    /// The number of the last task, and when it began.
    last: u64,
    begun: Option<Instant>,
    running: bool,
}

impl Refresh {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            ended: watch::Sender::new(None),
        }
    }

    /// Begins a task, unless one runs or the last one began less than `pause` ago.
    fn begin(&self, pause: Duration) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let least = if state.running { LONGEST } else { pause };
        if state.begun.is_some_and(|begun| begun.elapsed() < least) {
            return None;
        }
        state.last += 1;
        state.begun = Some(Instant::now());
        state.running = true;
        Some(state.last)
    }

    /// Whether no later task has begun, because this one stood still.
    fn is_last(&self, task: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last == task
    }

    fn end(&self, task: u64, error: Option<Error>) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.last != task {
                return;
            }
            state.running = false;
        }
        self.ended.send_replace(error);
    }
}

impl Shared {
    /// Makes a task ask for the map, soon and not too often.
    pub(super) fn refresh_soon(self: &Arc<Self>) {
        self.spawn(PAUSE);
    }

    /// The map after a task has asked for it.
    ///
    /// # Errors
    /// No server has answered.
    pub(super) async fn refreshed(self: &Arc<Self>) -> Result<Arc<Map<Link>>> {
        let mut ended = self.refresh.ended.subscribe();
        self.spawn(Duration::ZERO);
        let closed = ended.changed().await.is_err();
        let failure = ended.borrow_and_update().clone();
        match failure {
            Some(error) => Err(error),
            None if closed => Err(given_up()),
            None => Ok(self.map()),
        }
    }

    fn spawn(self: &Arc<Self>, pause: Duration) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if let Some(number) = self.refresh.begin(pause) {
            let task = Task {
                shared: Arc::clone(self),
                number,
                outcome: Err(given_up()),
            };
            runtime.spawn(task.run());
        }
    }

    /// Asks the nodes in any order, and then the seeds.
    async fn ask(&self) -> Result<Vec<Range>> {
        let map = self.map();
        let known = |(_, place, link): (_, &Host, &Arc<Link>)| (place.clone(), Arc::clone(link));
        let mut nodes: Vec<_> = map.nodes().map(known).collect();
        fastrand::shuffle(&mut nodes);
        let seeds = self.seeds.iter().map(|seed| {
            let link = Arc::new(self.connects(seed)?);
            Ok::<_, Error>((seed.clone(), link))
        });
        let mut candidates = nodes.into_iter().map(Ok).chain(seeds);

        let mut asked = JoinSet::new();
        let mut last = given_up();
        loop {
            while asked.len() < AT_ONCE
                && let Some(candidate) = candidates.next()
            {
                let (place, link) = candidate?;
                asked.spawn(async move {
                    let answer = tokio::time::timeout(LIMIT, ask_one(&place, &link));
                    answer.await.unwrap_or_else(|_| {
                        let name = name_of(&place);
                        Err(Error::BackendError(format!(
                            "redis cluster: {name} does not answer"
                        )))
                    })
                });
            }
            match asked.join_next().await {
                Some(Ok(Ok(ranges))) => return Ok(ranges),
                Some(Ok(Err(error))) => last = error,
                // Where a runtime has no sockets or timers, tokio panics and gives no other sign.
                Some(Err(_)) => {
                    return Err(Error::ConfigError(
                        "redis needs a tokio runtime with sockets and a timer: enable_all()".into(),
                    ));
                }
                None => return Err(last),
            }
        }
    }
}

/// Asks one server.
async fn ask_one(place: &Host, link: &Link) -> Result<Vec<Range>> {
    let mut connection = link.connection().await?.connection;
    let mut question = ::redis::cmd("CLUSTER");
    question.arg("SLOTS");
    let answer: Value = match question.query_async(&mut connection).await {
        Ok(answer) => answer,
        Err(error) if has_code(&error, "NOPERM") => {
            return Err(Error::BackendError(
                "redis cluster: the user needs the right to CLUSTER SLOTS".into(),
            ));
        }
        Err(error) => {
            let text = match said_of(&error, "CLUSTER SLOTS") {
                Error::BackendRefused(_) => {
                    "redis cluster: the server is not part of a cluster: write redis://".to_owned()
                }
                error => error.to_string(),
            };
            return Err(Error::BackendError(text));
        }
    };
    ranges(answer, &place.0).ok_or_else(|| {
        Error::BackendError("redis cluster: the server knows of no node with slots".into())
    })
}

/// One task. If its runtime drops it, those who wait for it are told.
struct Task {
    shared: Arc<Shared>,
    number: u64,
    outcome: Result<()>,
}

impl Task {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        self.outcome = shared.ask().await.and_then(|ranges| {
            // What this task has heard may be older than what a later one has.
            match shared.refresh.is_last(self.number) {
                true => shared.change(|map| map.after(ranges, |place| shared.connects(place))),
                false => Ok(()),
            }
        });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let error = self.outcome.as_ref().err().cloned();
        self.shared.refresh.end(self.number, error);
    }
}

fn given_up() -> Error {
    Error::BackendError("redis cluster: asking for the nodes was given up".into())
}
