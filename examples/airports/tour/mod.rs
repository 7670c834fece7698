//! The tour: real HTTP against a service of its own, and what that shows of the cache.

use std::net::SocketAddr;
use std::time::Instant;

use fastrand::Rng;

use crate::database::{Location, shipped_airports};
use crate::failure::Failure;
use crate::report::Report;
use crate::repository::Statements;
use crate::server::Server;
use crate::tour::zipf::Zipf;

pub(crate) use self::client::{Client, Reply};
pub(crate) use self::tally::Tally;

mod client;
mod open_files;
mod outage;
mod race;
mod reads;
mod stampede;
mod tally;
mod updates;
mod zipf;

/// How much of everything.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Reads of the skewed mix, made twice: through the cache and past it.
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
        }
    }
}

/// What every phase works with.
struct Tour<'a> {
    plan: &'a Plan,
    server: &'a Server,
    /// ICAO codes, the most popular first.
    airports: Vec<String>,
    /// The skewed mix: ranks of `airports`.
    mix: Vec<usize>,
    report: Report,
}

/// Starts a service on a free loopback port, takes the tour, and stops the service.
pub(crate) async fn run(plan: &Plan) -> Result<Report, Failure> {
    let started = Instant::now();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(loopback, &Location::Temporary, false).await?;
    let visited = visit(plan, &server).await;
    let stopped = server.stop().await;
    let mut report = visited?;
    report.promise(
        stopped.is_ok(),
        "the service stopped, its temporary database is gone",
    );
    stopped?;
    report.ended_after(started.elapsed());
    Ok(report)
}

async fn visit(plan: &Plan, server: &Server) -> Result<Report, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut airports: Vec<String> = shipped_airports()
        .map_err(Failure::when("read the shipped airports"))?
        .into_iter()
        .map(|airport| airport.icao)
        .collect();
    rng.shuffle(&mut airports);
    let zipf = Zipf::over(airports.len());
    let mix = (0..plan.reads).map(|_| zipf.draw(&mut rng)).collect();
    let mut tour = Tour {
        plan,
        server,
        airports,
        mix,
        report: Report::default(),
    };
    reads::visit(&mut tour).await?;
    updates::visit(&mut tour).await?;
    race::visit(&mut tour).await?;
    stampede::visit(&mut tour).await?;
    outage::visit(&mut tour).await?;
    Ok(tour.report)
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

    /// Statements sent so far, as `/stats` tells everybody.
    async fn statements(&self) -> Result<Statements, Failure> {
        let stats = self.client().await?.get("/stats").await?;
        let database = stats
            .json()
            .map(|mut json| json["database"].take())
            .unwrap_or_default();
        serde_json::from_value(database).map_err(Failure::when("read /stats"))
    }

    /// One of the cache's own counters, as `/stats` tells it.
    async fn cache_counter(&self, name: &str) -> Result<u64, Failure> {
        let stats = self.client().await?.get("/stats").await?;
        let counter = stats.json().and_then(|json| json["cache"][name].as_u64());
        counter
            .ok_or("a counter is missing")
            .map_err(Failure::when("read /stats"))
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
