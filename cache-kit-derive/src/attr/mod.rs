//! The attributes of the derives, as they are written: `#[cache(…)]` and `#[feeder(…)]`.
//!
//! [`entity`], [`feeder`] and [`schema`] have a table for each place where an attribute may stand:
//! its words, each with the kind of its value. [`words`] turns a table into a struct and [`reader`]
//! fills it. [`value`] and [`key`] have the kinds of values.
//!
//! A new word is a line of its table, code in [`expand`](crate::expand) and a section in `docs/`. It
//! needs code in [`check`](crate::check) only if it has a rule of its own, and in [`value`] only if
//! its kind of value is new.

#[macro_use]
mod words;

#[cfg(test)]
mod docs;
pub(crate) mod entity;
pub(crate) mod feeder;
pub(crate) mod key;
mod reader;
pub(crate) mod schema;
pub(crate) mod value;

use proc_macro2::Ident;

use crate::diag::Errors;
use value::Value;

/// What is written for one word.
#[derive(Default)]
pub(crate) enum Parsed<T> {
    #[default]
    Absent,
    /// Its value could not be parsed, which has been reported.
    Broken,
    /// It was parsed, perhaps next to a broken one.
    Given(Word<T>),
}

/// A word and its value, so that an error can point at either.
pub(crate) struct Word<T> {
    pub(crate) name: Ident,
    pub(crate) value: T,
}

/// What is uncertain after the words have been read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Doubts {
    /// Some word could be any other: it is not known what is missing.
    pub(crate) unclear: bool,
    /// There was a misspelt word, and its interpretation may conflict with others.
    pub(crate) guessed: bool,
}

impl<T> Parsed<T> {
    pub(crate) fn given(&self) -> Option<&Word<T>> {
        match self {
            Self::Given(word) => Some(word),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(crate) fn into_given(self) -> Option<Word<T>> {
        match self {
            Self::Given(word) => Some(word),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(crate) fn name(&self) -> Option<&Ident> {
        Some(&self.given()?.name)
    }

    pub(crate) fn value(&self) -> Option<&T> {
        Some(&self.given()?.value)
    }

    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Value> Parsed<T> {
    /// Stores the value of a word, unless it has one already.
    fn set(&mut self, head: &value::Head<'_>, value: T, errors: &mut Errors) {
        if self.is_given() {
            errors.at(head.name, T::given_twice(head));
        } else {
            let name = head.name.clone();
            *self = Self::Given(Word { name, value });
        }
    }
}
