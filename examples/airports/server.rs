//! [`Server`]: the running service, from bind to shutdown.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::database::{Database, Location};
use crate::failure::Failure;
use crate::http::App;
use crate::repository::AirportRepository;

/// A running service. Stop it; otherwise a temporary database is only removed when the process ends
/// normally.
pub(crate) struct Server {
    address: SocketAddr,
    app: App,
    database: Database,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// How long requests in flight may go on after the service is told to stop.
    const DRAIN: Duration = Duration::from_secs(10);

    /// Binds first, so that a taken port is reported at once; then prepares the database and
    /// serves.
    pub(crate) async fn start(
        listen: SocketAddr,
        database: &Location,
        cache: Cache,
        log: bool,
    ) -> Result<Self, Failure> {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(Failure::when("listen"))?;
        let address = listener.local_addr().map_err(Failure::when("listen"))?;
        let database = Database::open(database).await?;
        let app = App::new(cache, AirportRepository::new(database.pool().clone()), log);
        let (stop, stopped) = oneshot::channel::<()>();
        let router = app.clone().router();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move {
                    let _ = stopped.await;
                })
                .await
        });
        Ok(Self {
            address,
            app,
            database,
            stop,
            serving,
        })
    }

    /// The bound address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the handlers share: the switches and counters behind the HTTP surface.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Takes no new connection, lets requests in flight end, closes the pool and removes the
    /// temporary files.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        let mut serving = self.serving;
        if tokio::time::timeout(Self::DRAIN, &mut serving)
            .await
            .is_err()
        {
            serving.abort();
        }
        self.database.close().await
    }
}
