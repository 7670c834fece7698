//! The derive macros of [cache-kit](https://docs.rs/cache-kit): `CacheEntity` for cached types,
//! `CacheSchema` for the types inside them, `CacheFeeder` for requests. Use them through
//! `cache_kit`, which exports all three.
//!
//! The first compile reports every mistake in an attribute, at its place and with what to write
//! instead.

mod ast;
mod attr;
mod check;
mod diag;
mod expand;
mod fallback;
#[cfg(test)]
mod fuzz;
mod lints;
mod text;
mod tokens;

use proc_macro::TokenStream;

#[doc = include_str!("../docs/cache_entity.md")]
#[proc_macro_derive(CacheEntity, attributes(cache))]
pub fn derive_cache_entity(input: TokenStream) -> TokenStream {
    expand::cache_entity(input.into()).into()
}

#[doc = include_str!("../docs/cache_schema.md")]
#[proc_macro_derive(CacheSchema, attributes(cache))]
pub fn derive_cache_schema(input: TokenStream) -> TokenStream {
    expand::cache_schema(input.into()).into()
}

#[doc = include_str!("../docs/cache_feeder.md")]
#[proc_macro_derive(CacheFeeder, attributes(feeder))]
pub fn derive_cache_feeder(input: TokenStream) -> TokenStream {
    expand::cache_feeder(input.into()).into()
}
