//! Skewed reads, through the cache and with the cache bypassed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::report::grouped;
use crate::tour::{Tally, Tour};

/// A hash of the answer for every requested airport; `Err` if it changed.
type Bodies = Vec<Option<Result<u64, ()>>>;

pub(super) async fn visit(tour: &mut Tour<'_>) -> Result<(), Failure> {
    let before = tour.statements().await?;
    let hits_before = tour.cache_counter("hits").await?;
    let misses_before = tour.cache_counter("misses").await?;
    let (cached, cached_bodies) = mix(tour, false).await?;
    let queries = tour.statements().await?.reads - before.reads;
    let counted = tour.cache_counter("hits").await? - hits_before;
    let missed = tour.cache_counter("misses").await? - misses_before;
    let asked = cached_bodies.iter().flatten().count() as u64;
    tour.report.promise(
        queries == asked && cached.odd + cached.unavailable == 0,
        format!(
            "{} airports were asked for {} times: {} queries, one for each airport",
            grouped(asked),
            grouped(cached.requests()),
            grouped(queries),
        ),
    );
    tour.report.promise(
        // A look-up may miss what another request stores before this one can load.
        counted + missed == cached.requests() && counted <= cached.hits && cached.loaded == queries,
        format!(
            "clients were told of {} hits; the statistics have {} and {} misses",
            grouped(cached.hits),
            grouped(counted),
            grouped(missed),
        ),
    );
    tour.report.phase("skewed reads", cached, queries);

    let before = tour.statements().await?;
    let (bypassed, bypassed_bodies) = mix(tour, true).await?;
    let queries = tour.statements().await?.reads - before.reads;
    tour.report.promise(
        bypassed.hits == 0 && cached_bodies == bypassed_bodies,
        format!(
            "past the cache the same reads cost {} queries and give the same answers",
            grouped(queries),
        ),
    );
    tour.report
        .phase("the same, cache bypassed", bypassed, queries);
    Ok(())
}

async fn mix(tour: &Tour<'_>, bypass: bool) -> Result<(Tally, Bodies), Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let mix: Arc<[usize]> = tour.mix.as_slice().into();
    let airports: Arc<[String]> = tour.airports.as_slice().into();
    let mut readers = JoinSet::new();
    for mut client in tour.clients(tour.plan.clients).await? {
        let (next, mix, airports) = (next.clone(), mix.clone(), airports.clone());
        readers.spawn(async move {
            let (mut tally, mut bodies) = (Tally::default(), vec![None; airports.len()]);
            while let Some(&rank) = mix.get(next.fetch_add(1, Ordering::Relaxed)) {
                let reply = client.airport(&airports[rank], bypass).await?;
                tally.add(&reply);
                note(&mut bodies[rank], Ok(hash(&reply.body)));
            }
            Ok::<_, Failure>((tally, bodies))
        });
    }
    let (mut tally, mut bodies) = (Tally::default(), vec![None; airports.len()]);
    while let Some(reader) = readers.join_next().await {
        let (more, seen) = reader.map_err(Failure::when("run a reader"))??;
        tally.merge(more);
        for (body, seen) in bodies.iter_mut().zip(seen) {
            if let Some(seen) = seen {
                note(body, seen);
            }
        }
    }
    Ok((tally, bodies))
}

/// There are no writes during these phases, so a second body must equal the first.
fn note(body: &mut Option<Result<u64, ()>>, seen: Result<u64, ()>) {
    match body {
        None => *body = Some(seen),
        Some(first) if *first == seen => {}
        Some(first) => *first = Err(()),
    }
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
