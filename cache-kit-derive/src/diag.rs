//! Collects errors, so that one compile shows them all.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// Reports an error on `tokens`, which should be the smallest piece of source to edit.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.extend(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes an error out, as a type that replaces one that could not be determined.
    ///
    /// The compiler reports the error where the type is written, and nothing about its uses: it
    /// accepts such a type as any other.
    pub(crate) fn take_as_type(&mut self, private: &TokenStream) -> TokenStream {
        let Some(error) = self.found.pop() else {
            return quote!(());
        };
        let error = error.into_compile_error();
        quote!(<[(); #error] as #private::Unknown>::Type)
    }

    /// One `compile_error!` for each error.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        let errors = self.found.into_iter();
        errors.map(syn::Error::into_compile_error).collect()
    }
}

/// The known word that `word` is probably a misspelling of.
pub(crate) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // One slip in a short word, or one per three letters of a longer one. With more, it is another
    // word.
    let allowed = (word.chars().count() / 3).max(1);
    // `stale` for `stale_if_error` is no slip, and is meant all the same.
    let begins = |candidate: &str| {
        let rest = candidate.strip_prefix(word);
        word.len() > 2 && rest.is_some_and(|rest| rest.starts_with('_'))
    };
    known
        .into_iter()
        .map(|candidate| match begins(candidate) {
            true => (1, candidate),
            false => (distance(word, candidate), candidate),
        })
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b`, `c` ``
pub(crate) fn quoted_list<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// `` `a` `` or `` one of `a`, `b` ``
pub(crate) fn one_of<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let list = quoted_list(words.iter().copied());
    if words.len() == 1 {
        list
    } else {
        format!("one of {list}")
    }
}

/// Tokens, formatted as a person writes them.
pub(crate) fn as_written(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn
/// `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (above[j] + usize::from(a != b))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["prefix", "key", "ttl", "version", "crate"];
        for (word, expected) in [
            ("prefx", Some("prefix")),
            ("perfix", Some("prefix")),
            ("prefixes", Some("prefix")),
            ("kye", Some("key")),
            ("tll", Some("ttl")),
            ("versoin", Some("version")),
            ("schema", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known), expected, "{word}");
        }
    }

    #[test]
    fn the_nearest_word_wins() {
        assert_eq!(
            did_you_mean("user_i", ["user_name", "user_id"]),
            Some("user_id")
        );
    }

    #[test]
    fn every_mistake_becomes_an_error_of_its_own() {
        let mut errors = Errors::default();
        errors.at(quote::quote!(a), "first");
        errors.at(quote::quote!(b), "second");
        let text = errors.into_compile_errors().to_string();
        assert_eq!(text.matches("compile_error").count(), 2, "{text}");
        assert!(Errors::default().into_compile_errors().is_empty());
    }

    #[test]
    fn a_mistake_that_stands_for_a_type_is_reported_there_and_nowhere_else() {
        let mut errors = Errors::default();
        errors.at(quote!(a), "first");
        errors.at(quote!(b), "second");
        let ty = errors.take_as_type(&quote!(kit)).to_string();
        assert!(ty.contains("second") && !ty.contains("first"), "{ty}");
        let rest = errors.into_compile_errors().to_string();
        assert!(rest.contains("first") && !rest.contains("second"), "{rest}");
    }
}
