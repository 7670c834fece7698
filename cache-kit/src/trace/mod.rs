//! What operators see: warnings about a cache that cannot do its work, and spans of its calls, both
//! through the crate `tracing`. Without the feature `tracing`, nothing.

#[cfg(feature = "tracing")]
mod limits;
#[cfg(feature = "tracing")]
mod log;
#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod span;

#[cfg(feature = "tracing")]
pub(crate) use log::{Log, chosen};
#[cfg(not(feature = "tracing"))]
pub(crate) use off::{Log, Span, chosen, hit, in_current};
#[cfg(feature = "tracing")]
pub(crate) use span::{Span, hit, in_current};
