//! The same commands, sent bare: by the client that ours is built on, and by its own cluster client.

use std::hint::black_box;

use cache_kit_tests::bench::{User, user};
use redis::aio::ConnectionLike;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A look-up, decoded.
pub(super) async fn get(mut connection: impl ConnectionLike, id: u64) {
    let key = format!("bare:{id}");
    let bytes: Vec<u8> = redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap();
    black_box(postcard::from_bytes::<User>(&bytes).unwrap());
}

/// A miss without leases: a look-up, and after its answer a store.
pub(super) async fn miss(mut connection: impl ConnectionLike, id: u64) {
    let key = format!("bare:miss:{id}");
    let none: Option<Vec<u8>> = redis::cmd("GET")
        .arg(&key)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(none.is_none());
    let value = postcard::to_stdvec(&user(id)).unwrap();
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(value).arg("PX").arg(3_600_000);
    set.query_async::<()>(&mut connection).await.unwrap();
}

/// Look-ups of one command, decoded.
pub(super) async fn mget<T: DeserializeOwned>(connection: &mut impl ConnectionLike, ids: &[u64]) {
    let keys: Vec<String> = ids.iter().map(|id| format!("bare:{id}")).collect();
    let values: Vec<Vec<u8>> = redis::cmd("MGET")
        .arg(keys)
        .query_async(connection)
        .await
        .unwrap();
    let decode = |bytes: &Vec<u8>| postcard::from_bytes::<T>(bytes).unwrap();
    black_box(values.iter().map(decode).collect::<Vec<_>>());
}

/// Puts rows under their keys.
pub(super) async fn set<T: Serialize>(
    connection: &mut impl ConnectionLike,
    row: impl Fn(u64) -> T,
    ids: &[u64],
) {
    for id in ids {
        let bytes = postcard::to_stdvec(&row(*id)).unwrap();
        let mut set = redis::cmd("SET");
        set.arg(format!("bare:{id}")).arg(bytes);
        set.query_async::<()>(connection).await.unwrap();
    }
}
