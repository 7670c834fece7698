//! The fields from which derived keys are made.

use std::any::TypeId;
use std::fmt::{Debug, Display, Formatter, Result as FmtResult, Write as _};
use std::hash::{Hash, Hasher};

use crate::entity::CacheEntity;
use crate::error::Result;
use crate::key::typed::write_part;
use crate::key::{UNWRITTEN, is_unwritten, unwritten};

/// A part of a typed key. One trait for all requirements, so that the compiler reports a missing
/// one only once.
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

// Never applies. It makes the compiler report only once that `Part` is missing: see `Storable`.
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
    /// The key of a field whose `Display` fails is refused when it is written.
    fn push_to(&self, key: &mut String) {
        let whole = key.len();
        if write!(key, "{self}").is_err() {
            key.truncate(whole);
            key.push_str(UNWRITTEN);
        }
    }
}

/// Writes a field into a template key.
pub fn push_part<T: TemplateField + ?Sized>(key: &mut String, part: &T) {
    part.push_to(key);
}

/// Checks that a template of a request, which `write` writes, has a text. Once a key of type `T` is
/// made of the text, a failure may no longer be visible.
///
/// # Errors
/// The `Display` of a part fails.
pub fn check_template<T: CacheEntity>(write: impl FnOnce(&mut String)) -> Result<()> {
    // A `String` is the text itself, which is checked when the key is written.
    if TypeId::of::<T::Key>() == TypeId::of::<String>() {
        return Ok(());
    }
    let mut key = String::new();
    write(&mut key);
    if is_unwritten(&key) {
        return Err(unwritten::<T>());
    }
    Ok(())
}
