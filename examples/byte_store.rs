//! A custom store: a map in a mutex. A real one would talk to a server. `Encoded::over` adds
//! leases, fences, deadlines, the breaker and the queue of invalidations.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cache_kit::Result;
use cache_kit::backend::{ByteStore, Claim, Encoded, ScanCursor, Scanned, head, is_head};

type Values = HashMap<String, (Vec<u8>, Option<Instant>)>;
type Life = Option<Duration>;

#[derive(Clone, Default)]
pub(crate) struct MapStore(Arc<Mutex<Values>>);

impl MapStore {
    fn unexpired(&self) -> MutexGuard<'_, Values> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|_, (_, until)| until.is_none_or(|until| Instant::now() < until));
        values
    }
}

/// The head under `key`, which is the token here.
fn token(values: &Values, key: &str) -> Option<Vec<u8>> {
    values.get(key).map(|(value, _)| head(value).to_vec())
}

fn put(values: &mut Values, key: &str, value: &[u8], life: Life) {
    let until = life.map(|life| Instant::now() + life);
    values.insert(key.into(), (value.to_vec(), until));
}

impl ByteStore for MapStore {
    type Token = Vec<u8>;

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>>> {
        let values = self.unexpired();
        let get = |key: &&str| Ok(values.get(*key).map(|(value, _)| value.clone()));
        keys.iter().map(get).collect()
    }

    async fn claim(&self, key: &str, mark: &[u8], life: Duration) -> Result<Claim<Vec<u8>>> {
        let mut values = self.unexpired();
        if let Some(head) = token(&values, key).filter(|head| is_head(head)) {
            let token = head.clone();
            return Ok(Claim::Standing { head, token });
        }
        put(&mut values, key, mark, Some(life));
        Ok(Claim::Taken(mark.to_vec()))
    }

    async fn compare_and_set(
        &self,
        key: &str,
        old: &Vec<u8>,
        new: &[u8],
        life: Life,
    ) -> Result<bool> {
        let mut values = self.unexpired();
        let stands = token(&values, key).as_ref() == Some(old);
        stands.then(|| put(&mut values, key, new, life));
        Ok(stands)
    }

    async fn compare_and_delete(&self, key: &str, old: &Vec<u8>) -> Result<bool> {
        let mut values = self.unexpired();
        Ok(token(&values, key).as_ref() == Some(old) && values.remove(key).is_some())
    }

    async fn set(&self, key: &str, value: &[u8], life: Duration) -> Result<Option<Vec<u8>>> {
        put(&mut self.unexpired(), key, value, Some(life));
        Ok(Some(head(value).to_vec()))
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<()>> {
        let mut values = self.unexpired();
        for key in keys {
            values.remove(*key);
        }
        vec![Ok(()); keys.len()]
    }

    /// Only needed to clear a type or a namespace. A real store lists its keys in several steps.
    async fn scan(&self, beginning: &str, _: Option<&ScanCursor>) -> Result<Scanned> {
        let values = self.unexpired();
        let listed = values.keys().filter(|key| key.starts_with(beginning));
        let (keys, next) = (listed.cloned().collect(), None);
        Ok(Scanned { keys, next })
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {
    println!("{:?}", Encoded::over(MapStore::default()).health());
}
