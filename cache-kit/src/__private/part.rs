//! The fields that derived keys are made of.

use std::fmt::{Debug, Display, Formatter, Result as FmtResult};
use std::hash::{Hash, Hasher};

use crate::key::typed::write_part;

/// A part of a typed key: one trait for all that is asked of it, so that the compiler reports once
/// what is missing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of a key: it is missing `Display`, `Debug`, `Clone`, `Eq` \
               or `Hash`",
    label = "not `Display + Debug + Clone + Eq + Hash + Send + Sync`",
    note = "have `#[derive(Clone, Debug, PartialEq, Eq, Hash)]` above it and implement `Display`, or \
            make the key with `key_with = path` and `key_type = Type`"
)]
pub trait Part: Display + Debug + Clone + Eq + Hash + Send + Sync + 'static {
    /// `Clone`.
    fn copy(&self) -> Self {
        self.clone()
    }

    /// `PartialEq`.
    fn equals(&self, other: &Self) -> bool {
        self == other
    }

    /// `Hash`.
    fn feed<H: Hasher>(&self, state: &mut H) {
        self.hash(state);
    }

    /// `Debug`.
    fn debug(&self) -> &dyn Debug {
        self
    }

    /// The part in the text of the key.
    ///
    /// # Errors
    /// When `Display` fails.
    fn write(&self, f: &mut Formatter<'_>) -> FmtResult {
        write_part(f, self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Display + Debug + Clone + Eq + Hash + Send + Sync + 'static> Part for T {}

// Never applies, and has the compiler report that `Part` is missing, once: see `Storable`.
#[diagnostic::do_not_recommend]
impl<T> Part for T
where
    [T]: Sized,
    T: Part,
{
}

/// A field in a template key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a template key: it has no `Display`",
    label = "has no text",
    note = "implement `Display` for it, or make the key with `key_with = path` and `key_type = Type`"
)]
pub trait TemplateField {
    /// Writes the field into a key.
    fn push_to(&self, key: &mut String);
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> TemplateField for T {
    /// Through `to_string`, which doesn't let a `Display` that fails cut the key short.
    fn push_to(&self, key: &mut String) {
        key.push_str(&self.to_string());
    }
}

/// Writes a field into a template key.
pub fn push_part<T: TemplateField + ?Sized>(key: &mut String, part: &T) {
    part.push_to(key);
}
