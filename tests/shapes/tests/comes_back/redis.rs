//! The same values through a service and a real Redis.

use std::any::type_name;
use std::time::Duration;

use cache_kit::CacheStrategy::Refresh;
use cache_kit::backend::{RedisBackend, RedisConfig};
use cache_kit::{CacheExpander, CacheService, InMemoryRepository, Outcome, SharedFeeder, Source};
use cache_kit_shapes::{Kept, Stored, Told, Value};
use cache_kit_tests::servers::RedisServer;

use super::values::{self, Trial};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a call for a value was answered.
struct Answer<T> {
    outcome: Outcome,
    stored: Stored,
    value: T,
}

struct OnRedis {
    server: RedisServer,
    config: RedisConfig,
    came_back: u64,
    refused: u64,
}

impl OnRedis {
    fn start() -> Self {
        let server = RedisServer::start();
        let config = RedisConfig::from_url(&server.url()).unwrap();
        Self {
            config: config.set(|encoded| encoded.with_operation_deadline(PATIENCE)),
            server,
            came_back: 0,
            refused: 0,
        }
    }

    /// Asks for the entity `id`, which the database has with `value`. The backend is new, as in
    /// another process, because it accepts one type per prefix.
    async fn read<T: Value>(&self, id: u64, value: T) -> Answer<T> {
        let told = Told::default();
        let backend = RedisBackend::new(self.config.clone()).unwrap();
        let service: CacheService<RedisBackend> = CacheExpander::new(backend)
            .with_metrics(Box::new(told.clone()))
            .into();
        let rows = InMemoryRepository::new();
        rows.insert(id, Kept::new(id, value));
        let mut feeder = SharedFeeder::<Kept<T>>::new(id);
        let outcome = service.execute(&mut feeder, &rows, Refresh).await.unwrap();
        Answer {
            outcome,
            stored: told.judge(outcome),
            value: feeder.entity.unwrap().value.clone(),
        }
    }

    /// An id that no earlier value had.
    fn id(&self) -> u64 {
        self.came_back + self.refused
    }

    fn has(&self, id: u64) -> bool {
        let key = format!("kept:{id}");
        self.server.command(&["EXISTS", &key]).integer() == Some(1)
    }
}

impl Trial for OnRedis {
    async fn comes_back<T: Value>(&mut self, value: T) {
        let (name, id) = (type_name::<T>(), self.id());
        let first = self.read(id, value.clone()).await;
        assert_eq!(first.outcome.source(), Source::Repository, "{name}");
        assert!(
            matches!(first.stored, Stored::Stored),
            "{name}: {:?}",
            first.stored
        );
        assert!(self.has(id), "{name}");
        for _ in 0..2 {
            let second = self.read(id, value.clone()).await;
            assert!(second.outcome.is_hit(), "{name}: {:?}", second.outcome);
            assert_eq!(
                format!("{:?}", first.value),
                format!("{:?}", second.value),
                "{name}"
            );
        }
        self.came_back += 1;
    }

    async fn is_refused<T: Value>(&mut self, value: T, why: &str) {
        let (name, id) = (type_name::<T>(), self.id());
        for _ in 0..2 {
            let answer = self.read(id, value.clone()).await;
            assert_eq!(answer.outcome.source(), Source::Repository, "{name}");
            assert_eq!(
                format!("{value:?}"),
                format!("{:?}", answer.value),
                "{name}"
            );
            let Stored::Refused(reason) = answer.stored else {
                panic!("{name} is stored");
            };
            assert!(
                reason.starts_with(type_name::<Kept<T>>()),
                "{name}: {reason}"
            );
            assert!(reason.contains(why), "{name}: {reason}");
            assert!(
                !self.has(id),
                "{name} is refused, and something stands in the store"
            );
        }
        self.refused += 1;
    }
}

#[tokio::test]
async fn each_type_hits_on_redis_or_is_refused_with_its_path() {
    let mut redis = OnRedis::start();
    values::of_the_standard_library(&mut redis).await;
    values::of_other_crates(&mut redis).await;
    values::with_attributes(&mut redis).await;
    values::that_never_come_back(&mut redis).await;
    values::that_come_back_as_another(&mut redis).await;
    let OnRedis {
        came_back, refused, ..
    } = redis;
    assert!(
        came_back >= 60 && refused >= 20,
        "{came_back} and {refused}"
    );
}
