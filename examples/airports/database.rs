//! [`Database`]: a SQLite file with the airports in it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

use crate::entity::Airport;
use crate::failure::Failure;

static MIGRATIONS: Migrator = sqlx::migrate!("airports/migrations");

/// The shipped data set, see `data/README.md`.
const AIRPORTS_CSV: &str = include_str!("data/airports.csv");

/// Where the database file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// In a temporary directory that [`Database::close`] removes.
    Temporary,
    File(PathBuf),
    /// `sqlite://…`
    Url(String),
}

/// A migrated database that holds the airports.
///
/// Two processes may use one file if they share a cache; otherwise one would not notice the other's
/// updates. Start them one after the other: migrations of SQLite take no lock.
#[derive(Debug)]
pub(crate) struct Database {
    pool: SqlitePool,
    directory: Option<TempDir>,
}

impl Database {
    const CONNECTIONS: u32 = 4;

    /// Opens or creates the file, migrates it, and imports the airports if it has none.
    pub(crate) async fn open(location: &Location) -> Result<Self, Failure> {
        let (options, directory) = connect_options(location)?;
        let pool = SqlitePoolOptions::new()
            .max_connections(Self::CONNECTIONS)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(
                options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .busy_timeout(Duration::from_secs(3)),
            )
            .await
            .map_err(Failure::when("open the database"))?;
        let database = Self { pool, directory };
        if let Err(failure) = database.prepare().await {
            // Otherwise the connections would outlive the directory for a moment.
            database.pool.close().await;
            return Err(failure);
        }
        Ok(database)
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for the connections to close, then removes the temporary directory if there is one.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.pool.close().await;
        match self.directory {
            Some(directory) => directory
                .close()
                .map_err(Failure::when("remove the temporary directory")),
            None => Ok(()),
        }
    }

    async fn prepare(&self) -> Result<(), Failure> {
        MIGRATIONS
            .run(&self.pool)
            .await
            .map_err(Failure::when("migrate the database"))?;
        let airports = shipped_airports().map_err(Failure::when("read the shipped airports"))?;
        import(&self.pool, &airports)
            .await
            .map_err(Failure::when("import the airports"))
    }

    /// The directory of a temporary database.
    #[cfg(test)]
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.path().to_owned())
    }
}

/// The airports as they are shipped.
pub(crate) fn shipped_airports() -> csv::Result<Vec<Airport>> {
    csv::Reader::from_reader(AIRPORTS_CSV.as_bytes())
        .into_deserialize()
        .collect()
}

fn connect_options(
    location: &Location,
) -> Result<(SqliteConnectOptions, Option<TempDir>), Failure> {
    match location {
        Location::Temporary => {
            let directory = tempfile::Builder::new()
                .prefix("cache-kit-airports-")
                .tempdir()
                .map_err(Failure::when("make a temporary directory"))?;
            let file = directory.path().join("airports.sqlite");
            Ok((SqliteConnectOptions::new().filename(file), Some(directory)))
        }
        Location::File(path) => Ok((SqliteConnectOptions::new().filename(path), None)),
        // The parser's own message is dropped: it may quote a URL that contains a password.
        Location::Url(url) => match SqliteConnectOptions::from_str(url) {
            Ok(options) if url.starts_with("sqlite:") => Ok((options, None)),
            _ => Err(Failure::when("use DATABASE_URL")(
                "it is not a sqlite:// URL",
            )),
        },
    }
}

/// All rows or none, and only into an empty table.
async fn import(pool: &SqlitePool, airports: &[Airport]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let empty: bool = sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM airports)")
        .fetch_one(&mut *transaction)
        .await?;
    if empty {
        // 9 values per row; SQLite takes up to 32,766 in a statement.
        for rows in airports.chunks(500) {
            let mut insert = sqlx::QueryBuilder::new(
                "INSERT INTO airports \
                 (icao, iata, name, city, country, elevation, lat, lon, tz) ",
            );
            insert.push_values(rows, |mut row, airport| {
                row.push_bind(&airport.icao)
                    .push_bind(&airport.iata)
                    .push_bind(&airport.name)
                    .push_bind(&airport.city)
                    .push_bind(&airport.country)
                    .push_bind(airport.elevation)
                    .push_bind(airport.lat)
                    .push_bind(airport.lon)
                    .push_bind(&airport.tz);
            });
            insert
                .build()
                .persistent(false)
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await
}
