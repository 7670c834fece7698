//! The rules of `#[derive(CacheSchema)]`.

use super::serde;
use crate::ast::Shape;
use crate::attr::schema::no_marks;
use crate::diag::Errors;

/// Applies every rule.
pub(crate) fn check(shape: &Shape<'_>, errors: &mut Errors) {
    for field in shape.fields() {
        no_marks(field.attrs, errors);
    }
    for variant in shape.variants().unwrap_or_default() {
        no_marks(variant.attrs, errors);
    }
    serde::check(shape, errors);
}
