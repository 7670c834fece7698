//! The pipeline from the user's tokens to ours: `syn → ast → attr → check → expand`.
//!
//! An error produces `compile_error!`s and a fallback, so that the missing impl causes no further
//! error.

pub(crate) mod companion;
pub(crate) mod entity;
mod feeder;
mod fingerprint;
mod hooks;
mod key;
mod request_key;
mod schema;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod typed_key;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::ast::{Shape, Struct};
use crate::attr::entity::EntityAttr;
use crate::attr::feeder::FeederAttr;
use crate::attr::schema::{SchemaAttr, is_of_entity};
use crate::check::entity_key::Keyed;
use crate::diag::Errors;
use crate::{check, fallback};

/// `#[derive(CacheEntity)]`
pub(crate) fn cache_entity(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let attr = EntityAttr::read(&input.attrs, &mut errors);
    let private = attr.krate.private();
    let Some(shape) = Shape::new(&input, "CacheEntity", &mut errors) else {
        let stub = fallback::entity(&input, None, &mut errors, &private);
        return failed(errors, stub);
    };
    let (entity, keyed) = check::entity::check(&shape, &attr, &mut errors);
    match keyed {
        Keyed::Known(key) if errors.is_empty() => entity::expand(&shape, &entity, &key, &private),
        keyed => {
            let found = Some((shape.target(), keyed));
            let stub = fallback::entity(&input, found, &mut errors, &private);
            failed(errors, stub)
        }
    }
}

/// `#[derive(CacheSchema)]`
pub(crate) fn cache_schema(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let attr = SchemaAttr::read(&input.attrs, &mut errors);
    let private = attr.krate.private();
    let Some(shape) = Shape::new(&input, "CacheSchema", &mut errors) else {
        return failed(errors, fallback::schema(&input, &private));
    };
    check::schema::check(&shape, &mut errors);
    if errors.is_empty() {
        schema::expand(&shape, attr.version.value().copied().unwrap_or(0), &private)
    } else if is_of_entity(&input.attrs) {
        failed(errors, TokenStream::new())
    } else {
        failed(errors, fallback::schema(&input, &private))
    }
}

/// `#[derive(CacheFeeder)]`
pub(crate) fn cache_feeder(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let attr = FeederAttr::read(&input.attrs, &mut errors);
    let private = attr.krate.private();
    let Some(target) = Struct::new(&input, "CacheFeed", &mut errors) else {
        return failed(
            errors,
            fallback::feeder(&input, attr.entity.value(), &private),
        );
    };
    let found = check::feeder::check(&target, &attr, &mut errors);
    match (found.entity, &found.key) {
        (Some(entity), Some(key)) if errors.is_empty() => {
            feeder::expand(&target, entity, key, &found, &attr, &private)
        }
        _ => {
            let stub = fallback::checked_feeder(&input, &target, &found, &mut errors, &private);
            failed(errors, stub)
        }
    }
}

fn failed(errors: Errors, stub: TokenStream) -> TokenStream {
    let mut tokens = errors.into_compile_errors();
    tokens.extend(stub);
    tokens
}
