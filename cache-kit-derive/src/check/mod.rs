//! Turns the written attributes into their meaning, or reports why that is not possible.

pub(crate) mod entity;
pub(crate) mod entity_key;
pub(crate) mod expression;
pub(crate) mod feeder;
pub(crate) mod holder;
pub(crate) mod key_text;
pub(crate) mod named;
pub(crate) mod request_key;
pub(crate) mod schema;
pub(crate) mod serde;
mod table;
pub(crate) mod typed_key;

use syn::Type;

/// The last segment of a path type, with its generic arguments.
fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Removes references, parentheses, and the invisible groups around a macro's `$t:ty`.
fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        Type::Reference(reference) => peel(&reference.elem),
        ty => ty,
    }
}

/// Whether this is `f32` or `f64`, by its name.
pub(crate) fn is_float(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == "f32" || last.ident == "f64")
}
