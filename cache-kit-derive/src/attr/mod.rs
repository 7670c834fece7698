//! The grammar of `#[cache(…)]` and `#[feeder(…)]`: words, separated by commas.
//!
//! A word that cannot be parsed is reported and skipped, so that errors in other words are reported
//! as well.

pub(crate) mod cache;
pub(crate) mod feeder;
pub(crate) mod schema;

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, ExprPath, Ident, LitInt, LitStr, Meta, Token, Type, token};

use crate::diag::{Errors, as_written, did_you_mean, one_of};

/// The words that an attribute knows.
struct Words {
    /// `cache` or `feeder`.
    attribute: &'static str,
    /// The words that are allowed on a struct.
    example: &'static str,
    on_struct: &'static [&'static str],
    on_field: &'static [&'static str],
}

/// The item whose attributes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The struct, or the enum.
    Struct,
    Field,
    /// A variant, or a field of one.
    InEnum,
}

/// What is uncertain after the words have been read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Doubts {
    /// Some word could be any other: it is not known what is missing.
    pub(crate) unclear: bool,
    /// There was a misspelt word, and its interpretation may conflict with others.
    pub(crate) guessed: bool,
}

/// A misspelt word: the intended word, its position, and what follows it.
struct Misspelt {
    meant: Ident,
    value: TokenStream,
}

impl Words {
    /// Calls `word` for each word in the attributes with this name. `word` parses what follows it.
    ///
    /// A misspelt word is reported, and then read as the intended one, so that it causes no further
    /// errors.
    fn read(
        &self,
        attrs: &[Attribute],
        place: Place,
        errors: &mut Errors,
        mut word: impl FnMut(&Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
    ) -> Doubts {
        let mut unclear = false;
        let mut misspelt = Vec::new();
        for attr in attrs
            .iter()
            .filter(|attr| attr.path().is_ident(self.attribute))
        {
            let Meta::List(list) = &attr.meta else {
                let (name, example) = match place {
                    Place::Struct => (self.attribute, self.example),
                    Place::Field | Place::InEnum => (self.attribute, "key"),
                };
                errors.at(
                    &attr.meta,
                    format!(
                        "`{name}` takes its settings in parentheses, as in `#[{name}({example})]`"
                    ),
                );
                unclear = true;
                continue;
            };
            let all = |input: ParseStream<'_>| {
                while !input.is_empty() {
                    let one = self.read_one(input, place, errors, &mut misspelt, &mut word);
                    let one = one.and_then(|known| at_end_of_word(input).map(|()| known));
                    match one {
                        Ok(known) => unclear |= !known,
                        Err(error) => {
                            errors.push(error);
                            skip_word(input);
                        }
                    }
                    if input.peek(Token![,]) {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            };
            if let Err(error) = all.parse2(list.tokens.clone()) {
                errors.push(error);
            }
        }
        let doubts = Doubts {
            unclear,
            guessed: !misspelt.is_empty(),
        };
        for Misspelt { meant, value } in misspelt {
            let mut unseen = Errors::default();
            let read = |input: ParseStream<'_>| word(&meant, input, &mut unseen);
            // Errors in the value are reported once the word is correct.
            let _ = read.parse2(value);
        }
        doubts
    }

    /// Reads a word with its value, and says whether the intended word is known.
    fn read_one(
        &self,
        input: ParseStream<'_>,
        place: Place,
        errors: &mut Errors,
        misspelt: &mut Vec<Misspelt>,
        word: &mut impl FnMut(&Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
    ) -> syn::Result<bool> {
        if !input.peek(Ident::peek_any) {
            let found: TokenTree = input.fork().parse()?;
            errors.at(found, format!("expected {}", self.known(place)));
            skip_word(input);
            return Ok(false);
        }
        let name = Ident::parse_any(input)?;
        let text = name.to_string();
        let (here, there) = match place {
            Place::Struct => (self.on_struct, self.on_field),
            Place::Field | Place::InEnum => (self.on_field, self.on_struct),
        };
        if here.contains(&text.as_str()) {
            return word(&name, input, errors).map(|()| true);
        }
        let near = did_you_mean(&text, here.iter().copied());
        let message = if there.contains(&text.as_str()) {
            let (right, wrong) = match place {
                Place::Struct => ("a field", "the struct"),
                Place::Field => ("the struct", "a field"),
                Place::InEnum => ("the enum", "what is in it"),
            };
            format!("`{text}` belongs on {right}, not on {wrong}: move it there")
        } else if self.attribute == cache::WORDS.attribute
            && cache::WORDS.knows(&text)
            && !schema::WORDS.knows(&text)
        {
            format!(
                "`{text}` is for an entity: remove it, or derive `CacheEntity`, which brings \
                 `CacheSchema`"
            )
        } else if here.is_empty() {
            format!("`{text}` has no meaning here: remove it")
        } else if let Some(near) = near {
            errors.at(
                &name,
                format!(
                    "unknown attribute `{text}` in `#[{}(…)]`: did you mean `{near}`?",
                    self.attribute
                ),
            );
            let value = input.fork();
            skip_word(input);
            misspelt.push(Misspelt {
                meant: Ident::new(near, name.span()),
                value: until(&value, input),
            });
            return Ok(true);
        } else {
            format!(
                "unknown attribute `{text}` in `#[{}(…)]`: expected {}",
                self.attribute,
                self.known(place)
            )
        };
        errors.at(&name, message);
        skip_word(input);
        Ok(false)
    }

    fn knows(&self, word: &str) -> bool {
        self.on_struct.contains(&word) || self.on_field.contains(&word)
    }

    fn known(&self, place: Place) -> String {
        let known = match place {
            Place::Struct => self.on_struct,
            Place::Field | Place::InEnum => self.on_field,
        };
        one_of(known.iter().copied())
    }
}

/// Stores the value of a word, unless it has one already.
fn set<T>(slot: &mut Option<T>, name: &Ident, value: T, errors: &mut Errors) {
    if slot.is_some() {
        errors.at(name, format!("`{name}` is given twice: remove one"));
    } else {
        *slot = Some(value);
    }
}

/// Checks that a word has no value, as in `#[cache(key)]`.
fn alone(name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    let found: TokenTree = input.fork().parse()?;
    Err(syn::Error::new_spanned(
        found,
        format!("on a field `{name}` takes no value: write `{name}` alone"),
    ))
}

/// Reads `= "text"`.
fn text(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    equals(name, input, example)?;
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

/// Reads `= 2`.
fn number(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<u32> {
    equals(name, input, example)?;
    let wrong = |found: &dyn ToTokens| {
        syn::Error::new_spanned(
            found,
            format!(
                "`{name}` takes a whole number from 0 to {}, as in `{example}`",
                u32::MAX
            ),
        )
    };
    match input.fork().parse::<LitInt>() {
        Ok(literal) => {
            let number = literal.base10_parse().map_err(|_| wrong(&literal))?;
            input.parse::<LitInt>()?;
            Ok(number)
        }
        Err(_) => Err(wrong(&input.fork().parse::<TokenTree>()?)),
    }
}

/// Reads `= "Name"`.
fn type_name(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Ident> {
    let literal = text(name, input, example)?;
    literal.parse::<Ident>().map_err(|_| {
        syn::Error::new_spanned(
            &literal,
            format!("`{name}` takes the name of a type, as in `{example}`"),
        )
    })
}

/// Reads `= Type`.
fn ty(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<Type> {
    code(name, input, "a type", example)
}

/// Reads `= path::to_a::function`, which may have generic arguments and start at a type, and checks
/// that the function is named and not called.
fn function(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<ExprPath> {
    let path: ExprPath = code(name, input, "the path of a function", example)?;
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(path);
    }
    let found: TokenTree = input.fork().parse()?;
    let message = match &found {
        TokenTree::Group(call) if call.stream().is_empty() && is_last(input) => format!(
            "`{name}` names a function, and cache-kit calls it: remove the parentheses, `{name} = \
             {}`",
            as_written(&path)
        ),
        _ => format!(
            "`{name}` takes the path of a function, as in `{example}`: put the code into one"
        ),
    };
    Err(syn::Error::new_spanned(found, message))
}

/// Whether the next token is the last of its word.
fn is_last(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<TokenTree>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,]))
}

/// Reads a value that is written as code and not as text.
fn code<T: Parse>(
    name: &Ident,
    input: ParseStream<'_>,
    what: &str,
    example: &str,
) -> syn::Result<T> {
    equals(name, input, example)?;
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

/// Reads `= "path"`.
fn path(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<syn::Path> {
    let literal = text(name, input, example)?;
    literal.parse_with(syn::Path::parse_mod_style).map_err(|_| {
        syn::Error::new_spanned(
            &literal,
            format!(
                "`{name}` takes the path of cache-kit as this module sees it, as in `{example}`"
            ),
        )
    })
}

/// Reads `("a", "b")`, each mistake in it on its own.
fn texts(group: &Group, errors: &mut Errors, example: &str) -> Vec<LitStr> {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut texts = Vec::new();
    for item in tokens.split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ',')) {
        let item: TokenStream = item.iter().cloned().collect();
        if item.is_empty() {
            continue;
        }
        match syn::parse2::<LitStr>(item.clone()) {
            Ok(literal) if literal.suffix().is_empty() => texts.push(literal),
            _ => errors.at(
                item,
                format!("expected the name of a field in quotes, as in `{example}`"),
            ),
        }
    }
    texts
}

/// Reads the `=` and checks that something follows.
fn equals(name: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<()> {
    let missing =
        || syn::Error::new_spanned(name, format!("`{name}` needs a value, as in `{example}`"));
    if !input.peek(Token![=]) {
        return Err(missing());
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing());
    }
    Ok(())
}

fn at_end_of_word(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    let found: TokenTree = input.fork().parse()?;
    Err(syn::Error::new_spanned(
        found,
        "expected a comma before this",
    ))
}

/// The tokens between two positions of the same input.
fn until(start: ParseStream<'_>, end: ParseStream<'_>) -> TokenStream {
    let mut between = TokenStream::new();
    while start.cursor() != end.cursor() {
        match start.parse::<TokenTree>() {
            Ok(token) => between.extend([token]),
            Err(_) => break,
        }
    }
    between
}

/// Skips to the comma before the next word, or to the end.
///
/// Commas also stand inside `Page<A, B>` and `|a, b| c`. If the `>` is missing, the next word that
/// has a value ends the search.
fn skip_word(input: ParseStream<'_>) {
    let mut open = 0_usize;
    let mut in_bars = false;
    while !input.is_empty() {
        if input.peek(Token![,])
            && (followed_by_word(input) || input.peek2(Token![,]) || (open == 0 && !in_bars))
        {
            return;
        }
        match input.parse::<TokenTree>() {
            Ok(TokenTree::Punct(punct)) => match punct.as_char() {
                '<' => open += 1,
                '>' => open = open.saturating_sub(1),
                '|' => in_bars = !in_bars,
                _ => {}
            },
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn followed_by_word(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Token![,]>().is_ok()
        && (ahead.is_empty()
            || (Ident::parse_any(&ahead).is_ok()
                && (ahead.is_empty() || ahead.peek(Token![=]) || ahead.peek(token::Paren))))
}
