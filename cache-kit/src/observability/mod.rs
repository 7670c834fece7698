//! What the cache did: [`Outcome`] for the caller of one call, [`CacheMetrics`] for a listener to
//! all calls.

mod metrics;
mod outcome;

pub use crate::policy::TtlPolicy;
pub use metrics::{CacheEvent, CacheMetrics};
pub use outcome::{Degraded, Outcome, Source, StoreResult};
