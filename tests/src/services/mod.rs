//! Services that are started as a user starts them: the built program of an example, over a database
//! file and a cache of its own or a shared one. [`stories`] is what each of them must do.

#![allow(
    clippy::panic,
    reason = "test support: a harness that cannot work says why and ends the test"
)]

mod database;
pub mod http;
mod program;
pub mod stories;

use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub use database::{Database, Locked};
pub use program::Program;

/// What a story needs of a service that keeps rows with a name under ids. It comes with a row 1 and
/// without a row 77.
pub trait Service {
    /// The built program: `env!("CARGO_BIN_EXE_…")`.
    const BINARY: &'static str;

    /// Reads a row.
    fn read(address: SocketAddr, id: u32) -> Answer;

    /// Gives a row a name, and creates it if there is none.
    fn write(address: SocketAddr, id: u32, name: &str) -> Answer;

    /// As [`write`](Self::write), from a client that waits for `patience` and then hangs up. It panics
    /// if there is an answer.
    fn write_and_hang_up(address: SocketAddr, id: u32, name: &str, patience: Duration);

    /// Clients that stall: one says nothing, and another one not all that it has announced.
    fn stall(address: SocketAddr) -> [TcpStream; 2];

    /// Whether the process says that it serves.
    fn is_live(address: SocketAddr) -> bool;

    /// Whether it says that it takes requests, and whether it has its cache.
    fn readiness(address: SocketAddr) -> Readiness;
}

/// What a client is told about a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name of the row; `None` if the service says that there is none.
    pub name: Option<String>,
    /// What the cache did: an `Outcome` as `Cache-Status`.
    pub cache: String,
}

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// It takes requests.
    pub ready: bool,
    /// Its cache answers.
    pub cache: bool,
}

/// A running service.
#[derive(Debug)]
struct Running<S> {
    program: Program,
    address: SocketAddr,
    service: PhantomData<S>,
}

impl<S: Service> Running<S> {
    /// Over `database`, with the cache in its own memory.
    fn start(database: &Database) -> Self {
        Self::of(Program::start(S::BINARY, database, None))
    }

    /// Over `database` and the cache at `url`.
    fn start_on(database: &Database, url: &str) -> Self {
        Self::of(Program::start(S::BINARY, database, Some(url)))
    }

    fn of(program: Program) -> Self {
        Self {
            address: program.address(),
            program,
            service: PhantomData,
        }
    }

    fn read(&self, id: u32) -> Answer {
        S::read(self.address, id)
    }

    fn write(&self, id: u32, name: &str) -> Answer {
        S::write(self.address, id, name)
    }

    /// The name of row 1.
    fn name(&self) -> Option<String> {
        self.read(1).name
    }

    /// Loads row 1 and asserts that the next read is a hit.
    fn warm(&self) {
        self.read(1);
        let again = self.read(1);
        assert!(again.cache.contains("; hit"), "{again:?}");
    }
}
