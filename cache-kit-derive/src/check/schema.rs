//! The rules of `#[derive(CacheSchema)]`.

use super::serde::{self, Told};
use crate::ast::Shape;
use crate::attr::schema::{no_marks, skip_ok};
use crate::diag::Errors;

/// Applies every rule.
pub(crate) fn check(shape: &Shape<'_>, errors: &mut Errors) {
    let told: Vec<Told> = shape
        .fields()
        .map(|field| Told {
            skip_ok: skip_ok(field.attrs, errors),
            is_key: false,
        })
        .collect();
    for variant in shape.variants().unwrap_or_default() {
        no_marks(variant.attrs, errors);
    }
    serde::check(shape, &told, errors);
}
