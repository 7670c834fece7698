//! Tools for the tests of a service (feature `testing`): a clock that is set by hand, a
//! repository that counts, a backend that fails when told to. And what the tests of a backend want:
//! the [conformance] suite. With feature `codec`, whether an entity comes back from a remote store.

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
