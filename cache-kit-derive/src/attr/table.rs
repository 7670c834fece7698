//! The tables of words: [`attributes!`] declares one, and [`reader`](super::reader) uses it.

use syn::parse::ParseStream;

use super::value::{Head, Value};
use super::{Doubts, Parsed};
use crate::diag::Errors;

/// Declares the words of an attribute at one place, one per line: the word, its field, the kind of
/// its value, and an example.
///
/// It expands to a struct with a [`Parsed`] for each word. The attribute in the first line is the
/// example for all words, and `elsewhere` names the table of the place that is probably meant if
/// a word does not belong here.
macro_rules! attributes {
    (
        $(#[$about:meta])*
        $table:ident: #[$attribute:ident($($example:tt)*)] on $place:ident, elsewhere $other:ident {
            $($word:literal => $field:ident: $kind:ty, $usage:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Default)]
        pub(crate) struct $table {
            $(pub(crate) $field: $crate::attr::Parsed<$kind>,)*
            pub(crate) doubts: $crate::attr::Doubts,
        }

        impl $table {
            pub(crate) const WORDS: &'static [$crate::attr::table::Row] =
                &[$($crate::attr::table::Row { word: $word, example: $usage }),*];

            /// Parses the attributes of an item.
            pub(crate) fn read(attrs: &[syn::Attribute], errors: &mut $crate::diag::Errors) -> Self {
                Self::read_at($crate::attr::table::Place::$place, attrs, errors)
            }

            fn read_at(
                place: $crate::attr::table::Place,
                attrs: &[syn::Attribute],
                errors: &mut $crate::diag::Errors,
            ) -> Self {
                let table = $crate::attr::table::Table {
                    attribute: stringify!($attribute),
                    example: stringify!($($example)*),
                    words: Self::WORDS,
                    elsewhere: $other::WORDS,
                };
                let mut found = Self::default();
                table.read(place, attrs, &mut found, errors);
                found
            }
        }

        impl $crate::attr::table::Slots for $table {
            fn slot(&mut self, word: &str) -> Option<&mut dyn $crate::attr::table::Slot> {
                match word {
                    $($word => Some(&mut self.$field),)*
                    _ => None,
                }
            }

            fn doubts(&mut self) -> &mut $crate::attr::Doubts {
                &mut self.doubts
            }
        }
    };
}

/// The words of an attribute at one place.
pub(super) struct Table {
    /// `cache` or `feeder`.
    pub(super) attribute: &'static str,
    /// What may stand in the parentheses.
    pub(super) example: &'static str,
    pub(super) words: &'static [Row],
    /// The words of the other place.
    pub(super) elsewhere: &'static [Row],
}

/// A word of a table.
pub(crate) struct Row {
    pub(crate) word: &'static str,
    /// The word as it is used, with a value.
    pub(super) example: &'static str,
}

/// The item whose attributes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The struct, or the enum.
    Type,
    Field,
    /// A variant, or a field of one.
    InEnum,
}

/// A struct that a table declares.
pub(super) trait Slots {
    /// The slot of a word of the table.
    fn slot(&mut self, word: &str) -> Option<&mut dyn Slot>;

    fn doubts(&mut self) -> &mut Doubts;
}

/// A [`Parsed`], whatever the kind of its value.
pub(super) trait Slot {
    /// Parses what follows a word.
    fn parse(
        &mut self,
        head: &Head<'_>,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()>;
}

impl<T: Value> Slot for Parsed<T> {
    fn parse(
        &mut self,
        head: &Head<'_>,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        match T::parse(head, input, errors) {
            Ok(value) => {
                self.set(head, value, errors);
                Ok(())
            }
            Err(error) => {
                if self.is_absent() {
                    *self = Self::Broken;
                }
                Err(error)
            }
        }
    }
}

/// Whether one of the words is `word`.
pub(super) fn knows(words: &[Row], word: &str) -> bool {
    words.iter().any(|row| row.word == word)
}
