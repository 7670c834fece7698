//! What the cache did: [`Outcome`] for the caller of one call, [`CacheMetrics`] for a listener to
//! all calls.

mod cache_status;
mod event;
#[cfg(feature = "metrics")]
mod facade;
mod listeners;
mod metrics;
mod outcome;

pub use crate::policy::TtlPolicy;
pub use cache_status::CacheStatus;
pub use event::{CacheEvent, HitAnswer, StoreEvent, Subject};
#[cfg(feature = "metrics")]
pub use facade::FacadeMetrics;
pub(crate) use listeners::Listeners;
pub use metrics::CacheMetrics;
pub(crate) use outcome::{Age, Forwarded};
pub use outcome::{Degraded, Outcome, Source, StoreResult};
