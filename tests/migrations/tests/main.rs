//! What the pages of the guide say of other caches, and of cache-kit beside them.

mod from_cache_kit_0_9;
mod from_cached;
mod from_moka;
