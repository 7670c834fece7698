//! [`Instances`]: two instances of the service over one cache and one database.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use super::{ANY_PORT, Client, statements};
use crate::cache::Cache;
use crate::database::Location;
use crate::failure::Failure;
use crate::server::Server;

/// Both are in this process, and share only the URL of the cache and the file of the database: each
/// has its own backend, connections, pool and counters, as two processes would.
pub(super) struct Instances {
    servers: [Server; 2],
    directory: TempDir,
}

impl Instances {
    pub(super) async fn start(cache: &str) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("cache-kit-airports-")
            .tempdir()
            .map_err(Failure::when("make a temporary directory"))?;
        let file = Location::File(directory.path().join("airports.sqlite"));
        // One after the other: the first one creates the database.
        let first = Server::start(ANY_PORT, &file, Cache::open(cache)?, false).await?;
        let second = Server::start(ANY_PORT, &file, Cache::open(cache)?, false).await?;
        Ok(Self {
            servers: [first, second],
            directory,
        })
    }

    pub(super) fn servers(&self) -> &[Server; 2] {
        &self.servers
    }

    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        self.servers.each_ref().map(Server::address)
    }

    /// A connection to each instance.
    pub(super) async fn clients(&self) -> Result<[Client; 2], Failure> {
        let [first, second] = self.addresses();
        Ok([
            Client::connect(first).await?,
            Client::connect(second).await?,
        ])
    }

    /// Statements that both have sent so far.
    pub(super) async fn queries(&self) -> Result<u64, Failure> {
        let mut queries = 0;
        for address in self.addresses() {
            let of = statements(address).await?;
            queries += of.reads + of.writes;
        }
        Ok(queries)
    }

    /// Stops both and removes their files.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let [first, second] = self.servers;
        let stopped = [first.stop().await, second.stop().await];
        let removed = self.directory.close();
        stopped.into_iter().collect::<Result<(), _>>()?;
        removed.map_err(Failure::when("remove the temporary directory"))
    }
}

/// The health of an instance's cache, from `/healthz`.
pub(super) async fn health(client: &mut Client) -> Result<Value, Failure> {
    let reply = client.get("/healthz").await?;
    reply
        .json()
        .map(|mut json| json["cache"].take())
        .ok_or("not JSON")
        .map_err(Failure::when("read /healthz"))
}
