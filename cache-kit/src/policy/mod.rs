//! Policies: pure functions of their arguments; nothing here reads a clock, draws a random
//! number or waits.

mod operation;
mod retry;
mod span;
mod ttl;

pub use operation::OperationConfig;
pub(crate) use retry::backoff;
pub(crate) use span::Span;
pub use ttl::TtlPolicy;
pub(crate) use ttl::{Lifetime, lifetime};
