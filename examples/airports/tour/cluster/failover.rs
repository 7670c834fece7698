//! A node is killed under load, and its replica takes over.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::nodes::Nodes;
use super::{AIRPORTS, Tour, keeper_of};
use crate::answer::Origin;
use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::instances::health;
use crate::tour::{Client, Reply, Tally};

/// The node that is killed.
const VICTIM: usize = 0;

/// How soon after the promotion updates must reach the cache again.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// How long the clients go on at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two requests of a client: the nodes share the processors with the clients, and must not
/// take each other for dead.
const PAUSE: Duration = Duration::from_millis(1);

/// What happened so far, for all clients.
#[derive(Debug, Default)]
struct Events {
    killed: OnceLock<Instant>,
    promoted: OnceLock<Instant>,
    done: AtomicBool,
}

/// What the clients of some airports saw.
#[derive(Default)]
struct Seen {
    tally: Tally,
    reads: u64,
    hits: u64,
    degraded: u64,
    updates: u64,
    /// Reads at the other instance that did not see an acknowledged update.
    older: u64,
    /// Those of them whose update the killed node may have acknowledged, before its replica had it.
    lost: u64,
    last_degraded: Option<Instant>,
    last_degraded_update: Option<Instant>,
}

/// The clients of the airports of one kind of node: at either instance one that reads, and one that
/// updates other airports and reads them at the other instance.
struct Load {
    clients: JoinSet<Result<Seen, Failure>>,
    /// For each client, the answers since the last degraded one, counted from the promotion.
    clean: Arc<[AtomicUsize; 4]>,
    /// How many airports a client has at most.
    airports: usize,
}

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.instances.queries().await?;
    let airports = tour.airports[..AIRPORTS].iter().cloned();
    let (own, others): (Vec<_>, Vec<_>) = airports.partition(|icao| keeper_of(icao) == VICTIM);
    let events = Arc::new(Events::default());
    let of_node = Load::start(tour, own, &events).await?;
    let of_others = Load::start(tour, others, &events).await?;
    let driven = drive(tour.nodes, &events, [&of_node, &of_others]).await;
    // Also after a failure; otherwise the clients would go on for ever.
    events.done.store(true, Ordering::Relaxed);
    let of_node = of_node.end().await?;
    let of_others = of_others.end().await?;
    driven?;
    report(tour, &events, of_node, of_others, before).await
}

/// Kills the node when all clients are at work, and returns when they have recovered.
async fn drive(nodes: &mut Nodes, events: &Events, loads: [&Load; 2]) -> Result<(), Failure> {
    let all = |rounds| loads.iter().all(|load| load.all_clean_for(rounds));
    wait_until("read and update airports", || all(1)).await?;
    nodes.kill(VICTIM)?;
    // Afterwards, so that an earlier acknowledgement may be the killed node's.
    let _ = events.killed.set(Instant::now());
    nodes.promoted(Nodes::replica_of(VICTIM)).await?;
    for clean in loads.iter().flat_map(|load| load.clean.iter()) {
        clean.store(0, Ordering::Relaxed);
    }
    let _ = events.promoted.set(Instant::now());
    wait_until("see the cache recover", || all(3)).await
}

async fn wait_until(doing: &'static str, holds: impl Fn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return Err(Failure::when(doing)("it takes too long"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn report(
    tour: &mut Tour<'_>,
    events: &Events,
    own: Seen,
    others: Seen,
    queries_before: u64,
) -> Result<(), Failure> {
    let (Some(killed), Some(promoted)) = (events.killed.get(), events.promoted.get()) else {
        return Err(Failure::when("kill a node")("it did not happen"));
    };
    let since = |last: Option<Instant>| {
        let last = last.unwrap_or(*promoted);
        last.saturating_duration_since(*promoted)
    };
    let resumed = since(own.last_degraded_update);
    tour.report.promise(
        others.hits == others.reads && others.degraded == 0 && others.older == 0,
        format!(
            "a node killed: other keys: {} hits in {} reads, {} of {} answers degraded",
            grouped(others.hits),
            grouped(others.reads),
            others.degraded,
            grouped(others.tally.requests()),
        ),
    );
    let bad = own.tally.odd + own.tally.unavailable + others.tally.odd + others.tally.unavailable;
    tour.report.promise(
        bad == 0 && own.degraded > 0,
        format!(
            "a node killed: its keys: {} reads, {} updates, all answered, {} without the cache",
            grouped(own.reads),
            grouped(own.updates),
            grouped(own.degraded),
        ),
    );
    tour.report.promise(
        resumed < BACK_WITHIN && since(own.last_degraded) < BACK_WITHIN,
        format!(
            "its replica took over in {} ms; updates reached the cache again within {} ms of that",
            promoted.saturating_duration_since(*killed).as_millis(),
            resumed.as_millis(),
        ),
    );
    tour.report.promise(
        own.older == own.lost,
        format!(
            "{} updates, read at the other instance: {} unseen, and {} lost by Redis",
            grouped(own.updates + others.updates),
            own.older - own.lost + others.older,
            own.lost,
        ),
    );
    let listed = healthy_again(tour).await?;
    tour.report.promise(
        listed,
        "both instances list the replica as a primary, and have no invalidation pending",
    );
    let queries = tour.instances.queries().await? - queries_before;
    let mut tally = own.tally;
    tally.merge(others.tally);
    tour.report
        .phase("a node of the cluster dies", tally, queries);
    Ok(())
}

/// Whether the health of both instances names the new primary and nothing is pending any more.
async fn healthy_again(tour: &Tour<'_>) -> Result<bool, Failure> {
    let name = tour.nodes.address(Nodes::replica_of(VICTIM));
    let deadline = Instant::now() + BACK_WITHIN;
    let mut clients = tour.instances.clients().await?;
    loop {
        let mut well = 0;
        for client in &mut clients {
            let health = health(client).await?;
            let nodes = health["nodes"].as_array().into_iter().flatten();
            let promoted = nodes
                .filter(|node| node["name"] == name.as_str())
                .any(|node| node["role"] == "primary" && node["available"] == true);
            well += usize::from(promoted && health["pending_invalidations"] == 0);
        }
        if well == clients.len() || Instant::now() > deadline {
            return Ok(well == clients.len());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Load {
    async fn start(
        tour: &Tour<'_>,
        airports: Vec<String>,
        events: &Arc<Events>,
    ) -> Result<Self, Failure> {
        let share = airports.len().div_ceil(4);
        let mut load = Self {
            clients: JoinSet::new(),
            clean: Arc::default(),
            airports: share,
        };
        for (place, airports) in airports.chunks(share).enumerate() {
            let task = Task {
                airports: airports.to_vec(),
                events: events.clone(),
                clean: load.clean.clone(),
                place,
                seen: Seen::default(),
            };
            let [mut here, mut there] = tour.instances.clients().await?;
            if place % 2 == 1 {
                (here, there) = (there, here);
            }
            if place < 2 {
                load.clients.spawn(task.read(here));
            } else {
                load.clients.spawn(task.write(here, there));
            }
        }
        Ok(load)
    }

    /// Whether every client has had so many rounds of its airports without a degraded answer.
    fn all_clean_for(&self, rounds: usize) -> bool {
        let enough = |clean: &AtomicUsize| clean.load(Ordering::Relaxed) >= rounds * self.airports;
        self.clean.iter().all(enough)
    }

    async fn end(mut self) -> Result<Seen, Failure> {
        let mut all = Seen::default();
        while let Some(client) = self.clients.join_next().await {
            let seen = client.map_err(Failure::when("run a client"))??;
            all.tally.merge(seen.tally);
            all.reads += seen.reads;
            all.hits += seen.hits;
            all.degraded += seen.degraded;
            all.updates += seen.updates;
            all.older += seen.older;
            all.lost += seen.lost;
            all.last_degraded = all.last_degraded.max(seen.last_degraded);
            let last = &mut all.last_degraded_update;
            *last = (*last).max(seen.last_degraded_update);
        }
        Ok(all)
    }
}

/// An acknowledged update.
struct Update {
    name: String,
    /// When it was asked for.
    began: Instant,
}

/// One client.
struct Task {
    airports: Vec<String>,
    events: Arc<Events>,
    clean: Arc<[AtomicUsize; 4]>,
    place: usize,
    seen: Seen,
}

impl Task {
    /// Reads its airports, which nothing updates.
    async fn read(mut self, mut client: Client) -> Result<Seen, Failure> {
        for icao in self.airports.clone().iter().cycle() {
            if self.events.done.load(Ordering::Relaxed) {
                break;
            }
            self.ask(&mut client, icao).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self.seen)
    }

    /// Updates its airports, and reads each at the other instance at once. Half of them rest from the
    /// kill until they have been read after the promotion: what a failover loses is only seen then.
    async fn write(mut self, mut here: Client, mut there: Client) -> Result<Seen, Failure> {
        let airports = self.airports.clone();
        let mut acknowledged: Vec<Option<Update>> = airports.iter().map(|_| None).collect();
        let mut checked = false;
        for revision in 1_u64.. {
            for (rank, icao) in airports.iter().enumerate() {
                if self.events.done.load(Ordering::Relaxed) {
                    return Ok(self.seen);
                }
                if !checked && self.events.promoted.get().is_some() {
                    for (icao, update) in airports.iter().zip(&acknowledged).skip(1).step_by(2) {
                        self.check(&mut there, icao, update.as_ref()).await?;
                    }
                    checked = true;
                }
                let rests = rank % 2 == 1 && !checked && self.events.killed.get().is_some();
                if !rests {
                    let name = format!("{icao} revision {revision}");
                    let update = self.update(&mut here, icao, name).await?;
                    let read = self.ask(&mut there, icao).await?;
                    self.compare(&read, update.as_ref());
                    acknowledged[rank] = update;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(self.seen)
    }

    /// Changes an airport's name; `None` if the change is pending, and so not acknowledged.
    async fn update(
        &mut self,
        client: &mut Client,
        icao: &str,
        name: String,
    ) -> Result<Option<Update>, Failure> {
        let began = Instant::now();
        let changed = client.change(icao, &json!({ "name": name })).await?;
        self.seen.updates += 1;
        if self.note(&changed) {
            self.seen.last_degraded_update = Some(Instant::now());
        }
        Ok((!changed.is_pending()).then_some(Update { name, began }))
    }

    /// Reads an airport until the answer is not degraded: then the cache had a say in it.
    async fn check(
        &mut self,
        client: &mut Client,
        icao: &str,
        update: Option<&Update>,
    ) -> Result<(), Failure> {
        while !self.events.done.load(Ordering::Relaxed) {
            let read = self.ask(client, icao).await?;
            if !read.is_degraded() {
                self.compare(&read, update);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Counts an acknowledged update that a later read does not show.
    fn compare(&mut self, read: &Reply, update: Option<&Update>) {
        if let Some(update) = update
            && read.name() != update.name
        {
            self.seen.older += 1;
            let killed = self.events.killed.get();
            self.seen.lost += u64::from(killed.is_some_and(|killed| update.began < *killed));
        }
    }

    async fn ask(&mut self, client: &mut Client, icao: &str) -> Result<Reply, Failure> {
        let reply = client.airport(icao, false).await?;
        self.seen.reads += 1;
        self.seen.hits += u64::from(reply.origin() == Some(Origin::Hit));
        self.note(&reply);
        Ok(reply)
    }

    /// Whether the answer is degraded.
    fn note(&mut self, reply: &Reply) -> bool {
        self.seen.tally.add(reply);
        let clean = &self.clean[self.place];
        if reply.is_degraded() {
            self.seen.degraded += 1;
            self.seen.last_degraded = Some(Instant::now());
            clean.store(0, Ordering::Relaxed);
        } else {
            clean.fetch_add(1, Ordering::Relaxed);
        }
        reply.is_degraded()
    }
}
