//! The tour: real HTTP against a service of its own, and checks of the cache.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use fastrand::Rng;
use serde_json::Value;

use crate::cache::Cache;
use crate::database::{Location, shipped_airports};
use crate::failure::Failure;
use crate::report::Report;
use crate::repository::Statements;
use crate::server::Server;
use crate::tour::zipf::Zipf;

pub(crate) use self::client::{Client, Reply};
pub(crate) use self::tally::Tally;

mod client;
mod cluster;
mod instances;
mod open_files;
mod outage;
mod race;
mod reads;
mod redis_server;
mod shared;
mod stampede;
mod tally;
mod updates;
mod zipf;

/// A loopback port that the system chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The size of each phase.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Reads of the skewed mix, made twice: through the cache, and with the cache bypassed.
    pub(crate) reads: usize,
    /// Connections of the skewed mix.
    pub(crate) clients: usize,
    /// Writers of the update phase, and as many readers.
    pub(crate) writers: usize,
    /// Updates by each writer.
    pub(crate) updates: usize,
    /// Connections that ask for one cold airport at once; fewer if the system does not allow
    /// that many open files.
    pub(crate) stampede: usize,
    /// The program to run for the parts that need Redis servers.
    pub(crate) redis_server: &'static str,
}

impl Plan {
    pub(crate) fn full(seed: u64) -> Self {
        Self {
            seed,
            reads: 30_000,
            clients: 8,
            writers: 8,
            updates: 100,
            stampede: 500,
            redis_server: "redis-server",
        }
    }
}

/// The context of every phase of the first part.
struct Tour<'a> {
    plan: &'a Plan,
    server: &'a Server,
    /// ICAO codes, the most popular first.
    airports: Vec<String>,
    /// The skewed mix: ranks of `airports`.
    mix: Vec<usize>,
    report: &'a mut Report,
}

/// Takes the tour: one service with a cache in its memory, then two that share one in Redis, then two
/// over a cluster. They listen on free loopback ports, and are stopped at the end or when `stop` ends.
pub(crate) async fn run(
    plan: &Plan,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Report, Failure> {
    let started = Instant::now();
    let mut report = Report::default();
    alone(plan, &mut report, stop).await?;
    shared::run(plan, &mut report, stop).await?;
    cluster::run(plan, &mut report, stop).await?;
    report.ended_after(started.elapsed());
    Ok(report)
}

async fn alone(
    plan: &Plan,
    report: &mut Report,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), Failure> {
    let cache = Cache::open("memory://")?;
    let server = Server::start(ANY_PORT, &Location::Temporary, cache, false).await?;
    let visited = unless_stopped(visit(plan, &server, report), stop).await;
    let stopped = server.stop().await;
    visited?;
    report.promise(
        stopped.is_ok(),
        "the service stopped, its temporary database is gone",
    );
    stopped
}

/// Gives up `part` when `stop` ends, so that its resources can be stopped in order.
async fn unless_stopped<T>(
    part: impl Future<Output = Result<T, Failure>>,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<T, Failure> {
    tokio::select! {
        done = part => done,
        () = stop => Err(Failure::when("end the tour")("it was told to stop")),
    }
}

/// All shipped airports, the most popular first.
fn airports_by_popularity(rng: &mut Rng) -> Result<Vec<String>, Failure> {
    let airports = shipped_airports().map_err(Failure::when("read the shipped airports"))?;
    let mut airports: Vec<String> = airports.into_iter().map(|airport| airport.icao).collect();
    rng.shuffle(&mut airports);
    Ok(airports)
}

async fn visit(plan: &Plan, server: &Server, report: &mut Report) -> Result<(), Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let airports = airports_by_popularity(&mut rng)?;
    let zipf = Zipf::over(airports.len());
    let mix = (0..plan.reads).map(|_| zipf.draw(&mut rng)).collect();
    let mut tour = Tour {
        plan,
        server,
        airports,
        mix,
        report,
    };
    reads::visit(&mut tour).await?;
    updates::visit(&mut tour).await?;
    race::visit(&mut tour).await?;
    stampede::visit(&mut tour).await?;
    outage::visit(&mut tour).await
}

/// The contents of `/stats` of the service at `address`.
async fn stats(address: SocketAddr) -> Result<Value, Failure> {
    let stats = Client::connect(address).await?.get("/stats").await?;
    stats
        .json()
        .ok_or("not JSON")
        .map_err(Failure::when("read /stats"))
}

/// Statements sent so far.
async fn statements(address: SocketAddr) -> Result<Statements, Failure> {
    let database = stats(address).await?["database"].take();
    serde_json::from_value(database).map_err(Failure::when("read /stats"))
}

/// One of the cache's own counters.
async fn cache_counter(address: SocketAddr, name: &str) -> Result<u64, Failure> {
    stats(address).await?["cache"][name]
        .as_u64()
        .ok_or("a counter is missing")
        .map_err(Failure::when("read /stats"))
}

impl Tour<'_> {
    async fn client(&self) -> Result<Client, Failure> {
        Client::connect(self.server.address()).await
    }

    async fn clients(&self, count: usize) -> Result<Vec<Client>, Failure> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.client().await?);
        }
        Ok(clients)
    }

    async fn statements(&self) -> Result<Statements, Failure> {
        statements(self.server.address()).await
    }

    async fn cache_counter(&self, name: &str) -> Result<u64, Failure> {
        cache_counter(self.server.address(), name).await
    }

    /// Airports that the mix never asks for, the rarest first: at least `count`.
    fn cold_airports(&self, count: usize) -> Result<Vec<String>, Failure> {
        let mut asked = vec![false; self.airports.len()];
        self.mix.iter().for_each(|&rank| asked[rank] = true);
        let airports = self.airports.iter().zip(asked).rev();
        let cold: Vec<String> = airports
            .filter(|(_, asked)| !asked)
            .map(|(icao, _)| icao.clone())
            .collect();
        if cold.len() < count {
            return Err(Failure::when("find cold airports")("too many reads"));
        }
        Ok(cold)
    }
}
