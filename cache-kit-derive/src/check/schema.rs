//! The rules of `#[derive(CacheSchema)]`.

use super::serde::{self, Told};
use crate::ast::Shape;
use crate::attr::schema::{SchemaMarks, VariantMarks};
use crate::diag::Errors;

/// Applies every rule.
pub(crate) fn check(shape: &Shape<'_>, errors: &mut Errors) {
    let told: Vec<Told> = shape
        .fields()
        .map(|field| {
            let marks = SchemaMarks::read(field.attrs, errors);
            Told {
                skip_ok: marks.skip_ok.into_given().map(|mark| mark.name),
                is_key: false,
            }
        })
        .collect();
    for variant in shape.variants().unwrap_or_default() {
        VariantMarks::read(variant.attrs, errors);
    }
    serde::check(shape, &told, errors);
}
