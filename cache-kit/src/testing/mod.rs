//! Tools for the tests of a service (feature `testing`): a clock that is set by hand, a repository
//! that counts, a backend that fails on demand. For the tests of a backend: the [conformance]
//! suite. With feature `codec`: a check that an entity can be read back from a remote store.

mod clock;
pub mod conformance;
mod counting;
mod faulty;
#[cfg(feature = "codec")]
mod storable;

pub use clock::ManualClock;
pub use counting::CountingRepository;
pub use faulty::{Fault, FaultyBackend};
#[cfg(feature = "codec")]
pub use storable::assert_storable;
