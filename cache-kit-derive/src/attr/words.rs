//! The words that an attribute knows at each place: the macro `attributes` declares them, as a table.

use syn::parse::ParseStream;

use super::value::{Head, Value};
use super::{Doubts, Parsed};
use crate::diag::Errors;

/// Declares the words of an attribute at one place, as a table. Each line is a word, the kind of its
/// value, and an example. A word that is a keyword has a field of another name, `krate as "crate"`.
///
/// It becomes a struct with a [`Parsed`] for each word. The attribute before the table is the
/// example for all words. `elsewhere` is the table of the other place: one of its words is probably
/// misplaced.
macro_rules! attributes {
    (
        $(#[$about:meta])*
        $table:ident: #[$attribute:ident($($example:tt)*)] on $on:ident, elsewhere $other:ident {
            $($field:ident $(as $word:literal)?: $kind:ty, $usage:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Default)]
        pub(crate) struct $table {
            $(pub(crate) $field: $crate::attr::Parsed<$kind>,)*
            pub(crate) doubts: $crate::attr::Doubts,
        }

        impl $table {
            pub(crate) const WORDS: &'static [$crate::attr::words::KnownWord] =
                &[$($crate::attr::words::KnownWord {
                    name: attributes!(@word $field $($word)?),
                    example: $usage,
                }),*];

            /// Parses the attributes of an item.
            pub(crate) fn read(attrs: &[syn::Attribute], errors: &mut $crate::diag::Errors) -> Self {
                Self::read_at($crate::attr::words::On::$on, attrs, errors)
            }

            fn read_at(
                on: $crate::attr::words::On,
                attrs: &[syn::Attribute],
                errors: &mut $crate::diag::Errors,
            ) -> Self {
                let words = $crate::attr::words::Words {
                    attribute: stringify!($attribute),
                    example: stringify!($($example)*),
                    known: Self::WORDS,
                    elsewhere: $other::WORDS,
                };
                let mut found = Self::default();
                words.read(on, attrs, &mut found, errors);
                found
            }
        }

        impl $crate::attr::words::Attributes for $table {
            fn all(&mut self) -> Vec<&mut dyn $crate::attr::words::AnyParsed> {
                vec![$(&mut self.$field),*]
            }

            fn doubts(&mut self) -> &mut $crate::attr::Doubts {
                &mut self.doubts
            }
        }
    };
    (@word $field:ident) => { stringify!($field) };
    (@word $field:ident $word:literal) => { $word };
}

/// The words of an attribute at one place.
pub(super) struct Words {
    /// `cache` or `feeder`.
    pub(super) attribute: &'static str,
    /// What may stand in the parentheses.
    pub(super) example: &'static str,
    pub(super) known: &'static [KnownWord],
    /// The words of the other place.
    pub(super) elsewhere: &'static [KnownWord],
}

/// A word, as a table declares it.
pub(crate) struct KnownWord {
    pub(crate) name: &'static str,
    /// The word as it is used, with a value.
    pub(super) example: &'static str,
}

/// The item whose attributes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// The struct, or the enum.
    Type,
    Field,
    /// A variant, or a field of one.
    InEnum,
}

/// The struct of a table, while it is filled.
pub(super) trait Attributes {
    /// What is written for each word, in the order of the table.
    fn all(&mut self) -> Vec<&mut dyn AnyParsed>;

    /// What is uncertain about them.
    fn doubts(&mut self) -> &mut Doubts;
}

/// A [`Parsed`], whatever the kind of its value.
pub(super) trait AnyParsed {
    /// Parses what follows a word.
    fn parse(
        &mut self,
        head: &Head<'_>,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()>;
}

impl<T: Value> AnyParsed for Parsed<T> {
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
pub(super) fn knows(words: &[KnownWord], word: &str) -> bool {
    words.iter().any(|known| known.name == word)
}
