//! While Redis is up: the other instance sees what one instance loads or changes.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{AIRPORTS, Pair};
use crate::answer::Origin;
use crate::failure::Failure;
use crate::faults::Statement;
use crate::report::grouped;
use crate::tour::{Client, Tally, cache_counter, open_files};

const UPDATES: usize = 100;

/// Every airport is asked for at one instance, then at the other.
pub(super) async fn reads(pair: &mut Pair<'_>) -> Result<(), Failure> {
    let before = pair.queries().await?;
    let mut clients = pair.clients().await?;
    let mut tally = Tally::default();
    let mut as_expected = 0;
    for (rank, icao) in pair.airports.iter().take(AIRPORTS).enumerate() {
        let first = clients[rank % 2].airport(icao, false).await?;
        let second = clients[(rank + 1) % 2].airport(icao, false).await?;
        let origins = (first.origin(), second.origin());
        as_expected += usize::from(
            origins == (Some(Origin::Loaded), Some(Origin::Hit)) && first.body == second.body,
        );
        tally.add(&first);
        tally.add(&second);
    }
    let queries = pair.queries().await? - before;
    pair.report.promise(
        as_expected == AIRPORTS && queries == AIRPORTS as u64,
        format!(
            "{as_expected} of {AIRPORTS} airports, loaded by one instance, were hits at the other: \
             {queries} queries",
        ),
    );
    pair.report
        .phase("two instances, one Redis", tally, queries);
    Ok(())
}

/// Every airport is changed through one instance and read at the other.
pub(super) async fn updates(pair: &mut Pair<'_>) -> Result<(), Failure> {
    let before = pair.queries().await?;
    let mut clients = pair.clients().await?;
    let mut tally = Tally::default();
    let mut older = 0;
    for (revision, icao) in pair.airports.iter().take(UPDATES).enumerate() {
        let name = format!("{icao} revision {revision}");
        let changed = clients[revision % 2]
            .change(icao, &json!({ "name": name }))
            .await?;
        let read = clients[(revision + 1) % 2].airport(icao, false).await?;
        tally.add(&changed);
        tally.add(&read);
        older += usize::from(changed.name() != name || read.name() != name);
    }
    let queries = pair.queries().await? - before;
    pair.report.promise(
        older == 0,
        format!(
            "{UPDATES} updates through one instance, read at once at the other: {older} saw an \
             older row",
        ),
    );
    pair.report
        .phase("updates, seen by the other", tally, queries);
    Ok(())
}

/// One instance has the old row while the other one changes it.
pub(super) async fn race(pair: &mut Pair<'_>) -> Result<(), Failure> {
    let before = pair.queries().await?;
    let [address, _] = pair.addresses();
    let fenced = cache_counter(address, "fenced").await?;
    let icao = pair.airports[AIRPORTS].clone();
    let [mut slow, mut other] = pair.clients().await?;
    let faults = pair.instances.servers()[0].app().airports().faults();
    let mut held = faults.hold_next(Statement::Read);
    let slow_read = tokio::spawn({
        let icao = icao.clone();
        async move { (slow.airport(&icao, false).await, slow) }
    });
    if !held.reached().await {
        return Err(Failure::when("hold a read up")("it never came"));
    }
    let updated = other
        .change(&icao, &json!({ "name": "The New Name" }))
        .await?;
    held.release();
    let (slow_read, mut slow) = slow_read.await.map_err(Failure::when("run a reader"))?;
    let slow_read = slow_read?;
    let afterwards = [
        slow.airport(&icao, false).await?,
        other.airport(&icao, false).await?,
    ];
    let fenced = cache_counter(address, "fenced").await? - fenced;
    pair.report.promise(
        fenced == 1
            && slow_read.origin() == Some(Origin::Loaded)
            && slow_read.name() != "The New Name"
            && updated.name() == "The New Name"
            && afterwards
                .iter()
                .all(|airport| airport.name() == "The New Name"),
        "a slow load by one instance did not undo the update that overtook it at the other",
    );
    let mut tally = Tally::default();
    [slow_read, updated]
        .iter()
        .chain(&afterwards)
        .for_each(|reply| tally.add(reply));
    let queries = pair.queries().await? - before;
    pair.report.phase("a race between the two", tally, queries);
    Ok(())
}

/// How long the query of the stampede is held at most. It must be shorter than the time that an
/// instance waits for another one's load before it loads for itself, 500 ms.
const LONGEST_HOLD: Duration = Duration::from_millis(250);

/// All connections ask for one airport that is not cached, half of them at each instance.
pub(super) async fn stampede(pair: &mut Pair<'_>) -> Result<(), Failure> {
    let icao = pair.airports[AIRPORTS + 1].clone();
    let stampede = open_files::allow_connections(pair.plan.stampede as u64);
    let before = pair.queries().await?;
    let arrived = || -> u64 {
        pair.instances
            .servers()
            .iter()
            .map(|instance| instance.app().requests())
            .sum()
    };
    let mut asking = JoinSet::new();
    let mut clients = Vec::new();
    for address in pair.addresses().into_iter().cycle().take(stampede as usize) {
        clients.push(Client::connect(address).await?);
    }
    let arrived_before = arrived();
    let [mut at_first, mut at_second] = pair.instances.servers().each_ref().map(|instance| {
        instance
            .app()
            .airports()
            .faults()
            .hold_next(Statement::Read)
    });
    for mut client in clients {
        let icao = icao.clone();
        asking.spawn(async move { client.airport(&icao, false).await });
    }
    let reached = tokio::select! {
        reached = at_first.reached() => reached,
        reached = at_second.reached() => reached,
    };
    if !reached {
        return Err(Failure::when("hold a read up")("it never came"));
    }
    let deadline = Instant::now() + LONGEST_HOLD;
    while arrived() - arrived_before < stampede && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    at_first.release();
    at_second.release();
    let mut tally = Tally::default();
    while let Some(reply) = asking.join_next().await {
        tally.add(&reply.map_err(Failure::when("run a client"))??);
    }
    let queries = pair.queries().await? - before;
    let answered = tally.loaded + tally.shared + tally.hits;
    pair.report.promise(
        queries == 1 && tally.loaded == 1 && answered == stampede,
        format!(
            "{} requests for one cold airport, half at each instance: {}",
            grouped(answered),
            if queries == 1 {
                "1 query".into()
            } else {
                format!("{queries} queries")
            },
        ),
    );
    pair.report.phase("stampede over both", tally, queries);
    Ok(())
}
