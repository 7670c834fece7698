//! The storm of dropped requests over async-memcached 0.7, in a pool that takes back every client,
//! even after a dropped request. Ends with an error if no answer went to the wrong caller: then the
//! storm could not detect it.

#[allow(dead_code, reason = "shared with a test that uses all of it")]
#[path = "../../memcached/storm.rs"]
mod storm;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_memcached::{AsciiProtocol, Client, Error, Value};
use cache_kit_tests::servers::MemcachedServer;
use storm::{Gets, Wire, sets, storm};
use tokio::time::timeout;

/// How many requests are dropped in each storm.
const CANCELLED: usize = 100_000;

/// A client that is out of step may wait for ever.
const LONGEST: Duration = Duration::from_secs(240);

/// Takes a client back, even after a dropped request.
#[derive(Clone)]
struct Plain {
    dsn: String,
    idle: Arc<Mutex<Vec<Client>>>,
}

struct Lent<'p>(&'p Plain, Option<Client>);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.1.take());
    }
}

impl Gets for Plain {
    async fn get(&self, keys: Vec<String>) -> Option<Vec<Option<Vec<u8>>>> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let client = match idle {
            Some(client) => client,
            None => Client::new(&self.dsn).await.ok()?,
        };
        let mut lent = Lent(self, Some(client));
        let answer = values(lent.1.as_mut()?, keys).await;
        if answer.is_none() {
            // A client that failed is not lent again: only dropped requests are tested.
            lent.1 = None;
        }
        answer
    }
}

async fn values(client: &mut Client, keys: Vec<String>) -> Option<Vec<Option<Vec<u8>>>> {
    if let [key] = &keys[..] {
        let value = client.get(key).await.ok()?;
        return Some(vec![value.and_then(|value| value.data)]);
    }
    // The natural way to write it: the values by the keys in the answer.
    let found: Result<Vec<Value>, Error> = client.get_multi(&keys).await;
    let found = found.ok()?;
    let of = |key: &String| {
        let value = found.iter().find(|value| value.key == key.as_bytes());
        value.and_then(|value| value.data.clone())
    };
    Some(keys.iter().map(of).collect())
}

#[tokio::main]
async fn main() -> ExitCode {
    let server = MemcachedServer::options().unix_socket().start();
    server.ask(&sets(), "MN");
    let wire = Wire::between(&server.process().room().join("wire.sock"), &server.name());
    let store = Plain {
        dsn: format!("unix://{}", wire.path()),
        idle: Arc::default(),
    };
    let tally = timeout(LONGEST, storm(store, CANCELLED)).await;
    println!("{tally:?}");
    if tally.is_ok_and(|tally| tally.wrong > 0) {
        ExitCode::SUCCESS
    } else {
        eprintln!("no answer went to the wrong caller: the storm sees nothing");
        ExitCode::FAILURE
    }
}
