//! A process of its own for tests: `worker PORT TASKS` reads one missing key in many tasks at once,
//! from a cache on the server at that port.
//!
//! It communicates with its parent through the same server: it counts its loads under `loads`, sets
//! `asked` when all tasks have asked, and its loads last until `gate` is set.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{
    CacheExpander, CacheService, CacheStrategy, DataRepository, Error, Result, SharedFeeder,
};
use cache_kit_tests::servers::Connection;
use cache_kit_tests::{Row, row};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u32>());
    let (Some(Ok(port)), Some(Ok(tasks)), None) = (words.next(), words.next(), words.next()) else {
        eprintln!("usage: worker PORT TASKS");
        return ExitCode::FAILURE;
    };
    match read(port, tasks).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn read(port: u32, tasks: u32) -> Result<()> {
    let parent = Parent::on(port)?;
    // Patient, so that a busy machine does not look like a dead process.
    let patience = Duration::from_secs(30);
    let config = RedisConfig::from_url(&format!("redis://127.0.0.1:{port}"))?
        .set(|encoded| encoded.with_operation_deadline(patience));
    let service = CacheService::from(
        CacheExpander::new(RedisBackend::new(config)?).with_lease_wait(patience),
    );
    let database = std::sync::Arc::new(parent);
    let mut readers = JoinSet::new();
    for _ in 0..tasks {
        let (service, database) = (service.clone(), database.clone());
        readers.spawn(async move {
            let mut feeder = SharedFeeder::<Row>::new("hot".to_owned());
            service
                .execute(&mut feeder, &database, CacheStrategy::Refresh)
                .await?;
            Ok::<_, Error>(feeder.entity.map(|row| row.version))
        });
    }
    // Every task has been polled once by then, since there is one thread.
    tokio::task::yield_now().await;
    database.tell(&["INCR", "asked"])?;
    while let Some(answer) = readers.join_next().await {
        let answer = answer.map_err(|error| Error::RepositoryError(error.to_string()))??;
        if answer != Some(7) {
            return Err(Error::RepositoryError(format!("a reader got {answer:?}")));
        }
    }
    Ok(())
}

/// The database, controlled by the parent process, which decides when a load ends.
struct Parent(Mutex<Connection>);

impl Parent {
    fn on(port: u32) -> Result<Self> {
        let port = u16::try_from(port).map_err(Error::repository)?;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let connection = Connection::open(addr, Duration::from_secs(10));
        Ok(Self(Mutex::new(connection.map_err(Error::repository)?)))
    }

    fn tell(&self, words: &[&str]) -> Result<i64> {
        let Ok(mut connection) = self.0.lock() else {
            return Err(Error::RepositoryError("a lock is poisoned".into()));
        };
        let reply = connection.command(words).map_err(Error::repository)?;
        reply
            .integer()
            .ok_or_else(|| Error::RepositoryError(format!("{reply:?}")))
    }
}

impl DataRepository<Row> for Parent {
    async fn fetch_by_id(&self, id: &String) -> Result<Option<Row>> {
        self.tell(&["INCR", "loads"])?;
        while self.tell(&["EXISTS", "gate"])? == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Some(row(id, 7)))
    }
}
