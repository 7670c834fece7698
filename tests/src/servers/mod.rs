//! Real servers for the tests, and a proxy in front of them.
//!
//! A test starts its own server on a port and in a directory of its own, and breaks it. Nothing of
//! it is left afterwards, however the test ends. Other servers are not touched.
//!
//! ```no_run
//! use cache_kit_tests::servers::{Command, Proxy, RedisServer, Trick};
//!
//! let redis = RedisServer::start();
//! let proxy = Proxy::in_front_of(redis.addr());
//! let held = proxy.on_next(Command::named("GET"), Trick::HoldAnswer);
//! // a client at `redis.url_through(&proxy)` sends its GET …
//! held.wait();
//! // … the server has answered, the client does not know yet …
//! held.release();
//! redis.kill();
//! ```
//!
//! Everything here panics with a message when it fails: a broken harness must not look like a
//! broken cache.

#![allow(
    clippy::panic,
    reason = "test support: a harness that cannot work says why and ends the test"
)]

mod certificates;
mod client;
mod cluster;
mod memcached;
mod port;
mod process;
mod protocol;
mod proxy;
mod redis;
mod release;
mod resp;
mod sentinel;
mod server;
mod wait;

pub use certificates::{Authority, Identity};
pub use client::Connection;
pub use cluster::{Move, RedisCluster};
pub use memcached::{MemcachedOptions, MemcachedServer};
pub use port::free_port;
pub use process::{Process, Signal, find_on_path, is_alive, room};
pub use proxy::{Proxy, Trap, Trick};
pub use redis::{RedisOptions, RedisServer};
pub use release::{NewerRedis, RELEASES, Release};
pub use resp::{Command, Malformed, Reply};
pub use sentinel::{Sentinel, Watched, WatchedOptions};
pub use server::{Commands, Kind, Server};
pub(crate) use wait::within;
pub use wait::{PATIENCE, eventually, eventually_async};
