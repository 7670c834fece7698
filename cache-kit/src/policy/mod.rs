//! Policies: pure functions of their arguments; nothing here reads a clock, draws a random
//! number or waits.

mod freshness;
mod operation;
mod retry;
mod ttl;
mod validity;

pub use freshness::FreshnessPolicy;
pub(crate) use freshness::{Rules, State};
pub use operation::OperationConfig;
pub(crate) use operation::{NoSettings, Settings};
pub(crate) use retry::backoff;
pub use ttl::TtlPolicy;
pub(crate) use ttl::{Ttl, lifetime, millis_for_reader};
pub(crate) use validity::Validity;
