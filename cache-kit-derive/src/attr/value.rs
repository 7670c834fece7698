//! The kinds of values that a word may have.

use std::time::Duration;

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{ExprPath, Ident, Lit, LitInt, LitStr, Path, Token, Type, WherePredicate, token};

use super::Parsed;
use super::reader::{is_end_of_word, skip_word};
use super::words::On;
use crate::diag::{Errors, as_written};
use crate::text::{duration, percentage, size};

/// A word whose value is parsed.
pub(crate) struct Head<'a> {
    pub(super) name: &'a Ident,
    /// The word with a value, for messages.
    pub(super) example: &'static str,
    /// `cache` or `feeder`.
    pub(super) attribute: &'static str,
    pub(super) on: On,
}

/// A kind of value.
pub(crate) trait Value: Sized {
    /// Parses what follows a word.
    ///
    /// An error is the only one. Those in parts of a value go into `errors`.
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self>;

    /// The message for a word that has a value already.
    fn given_twice(head: &Head<'_>) -> String {
        format!("`{}` is given twice: remove one", head.name)
    }
}

/// `= "text"`
impl Value for LitStr {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        head.text(input)
    }
}

/// `= "1h30m"`
pub(crate) struct DurationText(LitStr);

impl Value for DurationText {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        head.text(input).map(Self)
    }
}

impl Parsed<DurationText> {
    /// The duration. A text that is none is reported.
    pub(crate) fn duration(&self, errors: &mut Errors) -> Option<Duration> {
        let DurationText(literal) = self.value()?;
        duration::parse(&literal.value())
            .map_err(|message| errors.at(literal, message))
            .ok()
    }
}

/// `= "10%"`, as a fraction above zero and up to one.
pub(crate) struct Percentage(pub(crate) f64);

impl Value for Percentage {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let literal = head.text(input)?;
        percentage::parse(&literal.value())
            .map(Self)
            .map_err(|message| syn::Error::new_spanned(&literal, message))
    }
}

/// `= 1.0`, or `= 1`: above zero and up to [`Factor::MAX`].
pub(crate) struct Factor(pub(crate) f64);

impl Factor {
    /// Far more than any load needs: a larger number was meant as something else, as milliseconds.
    const MAX: f64 = 1000.0;

    fn of(literal: &Lit) -> Option<f64> {
        let factor: f64 = match literal {
            Lit::Float(float) if float.suffix().is_empty() => float.base10_parse().ok()?,
            Lit::Int(int) => whole(int)?.into(),
            _ => return None,
        };
        (0.0..=Self::MAX).contains(&factor).then_some(factor)
    }
}

impl Value for Factor {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let what = format!("a factor above 0 and up to {}", Self::MAX);
        head.equals(input)?;
        let literal = input.fork();
        let factor = head.number(input, &what, Self::of)?;
        if factor > 0.0 {
            return Ok(Self(factor));
        }
        Err(syn::Error::new_spanned(
            literal.parse::<TokenTree>()?,
            "the factor must be above zero: write a larger one, or leave it out",
        ))
    }
}

/// `= 2`
impl Value for u32 {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let what = format!("a whole number from 0 to {}", Self::MAX);
        head.equals(input)?;
        head.number(input, &what, whole)
    }
}

/// `= 65536` or `= "64 KiB"`
pub(crate) struct Bytes(pub(crate) u32);

impl Value for Bytes {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        head.equals(input)?;
        if let Ok(literal) = input.fork().parse::<LitStr>() {
            let bytes = size::parse(&literal.value())
                .map_err(|message| syn::Error::new_spanned(&literal, message))?;
            input.parse::<LitStr>()?;
            return Ok(Self(bytes));
        }
        let what = format!("a number of bytes from 1 to {}", u32::MAX);
        head.number(input, &what, |literal: &LitInt| {
            whole(literal).filter(|bytes| *bytes > 0).map(Self)
        })
    }
}

/// The number that `literal` is, if it has no suffix: `64KiB` is not 64.
fn whole(literal: &LitInt) -> Option<u32> {
    let literal = Some(literal).filter(|literal| literal.suffix().is_empty())?;
    literal.base10_parse().ok()
}

/// `= Type`
impl Value for Type {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        head.code(input, "a type")
    }
}

/// `= path::to_a::function`, which may have generic arguments and start at a type. The function is
/// named and not called.
impl Value for ExprPath {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let Head { name, example, .. } = head;
        let path: Self = head.code(input, "the path of a function")?;
        if is_end_of_word(input) {
            return Ok(path);
        }
        let found: TokenTree = input.fork().parse()?;
        let message = match &found {
            TokenTree::Group(call) if call.stream().is_empty() && is_last(input) => format!(
                "`{name}` names a function, and cache-kit calls it: remove the parentheses, \
                 `{name} = {}`",
                as_written(&path)
            ),
            _ => format!(
                "`{name}` takes the path of a function, as in `{example}`: put the code into one"
            ),
        };
        Err(syn::Error::new_spanned(found, message))
    }
}

/// Whether the next token is the last of its word.
fn is_last(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<TokenTree>().is_ok() && is_end_of_word(&ahead)
}

/// `= "Name"`
pub(crate) struct TypeName(pub(crate) Ident);

impl Value for TypeName {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let Head { name, example, .. } = head;
        let literal = head.text(input)?;
        literal.parse().map(Self).map_err(|_| {
            syn::Error::new_spanned(
                &literal,
                format!("`{name}` takes the name of a type, as in `{example}`"),
            )
        })
    }
}

/// `= "T: Clone, U: Copy"`, the predicates of a where-clause.
pub(crate) struct Predicates(pub(crate) Punctuated<WherePredicate, Token![,]>);

impl Value for Predicates {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let Head { name, example, .. } = head;
        let literal = head.text(input)?;
        let message = match literal.parse_with(Punctuated::parse_terminated) {
            Ok(predicates) if !predicates.is_empty() => return Ok(Self(predicates)),
            Ok(_) => {
                format!("the bound is empty: remove it, or write one as in `{example}`")
            }
            Err(_) => {
                format!("`{name}` takes what stands behind a `where`, as in `{example}`")
            }
        };
        Err(syn::Error::new_spanned(&literal, message))
    }
}

/// `(Copy, serde::Serialize)`
pub(crate) struct Traits(pub(crate) Vec<Path>);

impl Value for Traits {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let Head { name, example, .. } = head;
        let wrong = |found: &dyn ToTokens| {
            syn::Error::new_spanned(
                found,
                format!("`{name}` takes traits in parentheses, as in `{example}`"),
            )
        };
        if !input.peek(token::Paren) {
            return Err(wrong(name));
        }
        let group: Group = input.parse()?;
        let paths = Punctuated::<Path, Token![,]>::parse_terminated_with;
        let paths = |input: ParseStream<'_>| paths(input, Path::parse_mod_style);
        match paths.parse2(group.stream()) {
            Ok(paths) if !paths.is_empty() => Ok(Self(paths.into_iter().collect())),
            _ => Err(wrong(&group)),
        }
    }
}

/// `= "path"`, at which the generated code finds cache-kit.
pub(crate) struct CratePath(pub(crate) Path);

impl Value for CratePath {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, _: &mut Errors) -> syn::Result<Self> {
        let Head { name, example, .. } = head;
        let literal = head.text(input)?;
        let path = literal.parse_with(Path::parse_mod_style);
        path.map(Self).map_err(|_| {
            syn::Error::new_spanned(
                &literal,
                format!(
                    "`{name}` takes the path of cache-kit as this module sees it, as in \
                     `{example}`"
                ),
            )
        })
    }
}

impl Parsed<CratePath> {
    /// The module with everything that generated code may name.
    pub(crate) fn private(&self) -> TokenStream {
        match self.value() {
            Some(CratePath(path)) => quote!(#path::__private),
            None => quote!(::cache_kit::__private),
        }
    }
}

/// A word on a field that stands alone.
pub(crate) struct Mark;

impl Value for Mark {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let Head { name, .. } = head;
        head.alone(
            input,
            &format!("on a field `{name}` takes no value: write `{name}` alone"),
            errors,
        )?;
        Ok(Self)
    }
}

impl Head<'_> {
    /// Reads the `=` and checks that something follows.
    fn equals(&self, input: ParseStream<'_>) -> syn::Result<()> {
        let Self { name, example, .. } = self;
        let missing =
            || syn::Error::new_spanned(name, format!("`{name}` needs a value, as in `{example}`"));
        if !input.peek(Token![=]) {
            return Err(missing());
        }
        input.parse::<Token![=]>()?;
        if is_end_of_word(input) {
            return Err(missing());
        }
        Ok(())
    }

    /// Reads `= "text"`.
    pub(super) fn text(&self, input: ParseStream<'_>) -> syn::Result<LitStr> {
        let Self { name, example, .. } = self;
        self.equals(input)?;
        let wrong = |found: &dyn ToTokens| {
            syn::Error::new_spanned(
                found,
                format!("`{name}` takes text in quotes, as in `{example}`"),
            )
        };
        match input.fork().parse::<LitStr>() {
            Ok(literal) if literal.suffix().is_empty() => input.parse(),
            Ok(literal) => Err(wrong(&literal)),
            Err(_) => Err(wrong(&input.fork().parse::<TokenTree>()?)),
        }
    }

    /// Reads a literal, if `value` accepts it.
    fn number<L: Parse + ToTokens, T>(
        &self,
        input: ParseStream<'_>,
        what: &str,
        value: impl Fn(&L) -> Option<T>,
    ) -> syn::Result<T> {
        let Self { name, example, .. } = self;
        let wrong = |found: &dyn ToTokens| {
            syn::Error::new_spanned(found, format!("`{name}` takes {what}, as in `{example}`"))
        };
        match input.fork().parse::<L>() {
            Ok(literal) => {
                let value = value(&literal).ok_or_else(|| wrong(&literal))?;
                input.parse::<L>()?;
                Ok(value)
            }
            Err(_) => Err(wrong(&input.fork().parse::<TokenTree>()?)),
        }
    }

    /// Reads a value that is written as code and not as text.
    fn code<T: Parse>(&self, input: ParseStream<'_>, what: &str) -> syn::Result<T> {
        let Self { name, example, .. } = self;
        self.equals(input)?;
        if let Ok(literal) = input.fork().parse::<LitStr>() {
            return Err(syn::Error::new_spanned(
                &literal,
                format!(
                    "`{name}` takes {what}: remove the quotes, `{name} = {}`",
                    literal.value().escape_debug()
                ),
            ));
        }
        // On a fork, since an unclosed bracket may swallow the words after it.
        if input.fork().parse::<T>().is_err() {
            return Err(syn::Error::new_spanned(
                input.fork().parse::<TokenTree>()?,
                format!("`{name}` takes {what}, as in `{example}`"),
            ));
        }
        input.parse()
    }

    /// Reports a value after a word that takes none. The word counts all the same.
    pub(super) fn alone(
        &self,
        input: ParseStream<'_>,
        message: &str,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        if !is_end_of_word(input) {
            let found: TokenTree = input.fork().parse()?;
            errors.at(found, message);
            skip_word(input);
        }
        Ok(())
    }
}
