//! Compiles and runs the pages of the guide for those who come from another cache.

#[cfg(doctest)]
#[doc = include_str!("../../../cache-kit/src/guide/from_cache_kit_0_9.md")]
mod from_cache_kit_0_9 {}

#[cfg(doctest)]
#[doc = include_str!("../../../cache-kit/src/guide/from_moka.md")]
mod from_moka {}

#[cfg(doctest)]
#[doc = include_str!("../../../cache-kit/src/guide/from_cached.md")]
mod from_cached {}
