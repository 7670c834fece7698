//! Policies: pure functions of their arguments; nothing here reads a clock, draws a random
//! number or waits.

mod operation;
mod retry;
mod ttl;
mod validity;

pub use operation::OperationConfig;
pub(crate) use retry::backoff;
pub use ttl::TtlPolicy;
pub(crate) use ttl::{Ttl, lifetime};
pub(crate) use validity::Validity;
