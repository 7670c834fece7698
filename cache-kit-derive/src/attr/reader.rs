//! Reads attributes: words with values, separated by commas.
//!
//! A word that cannot be parsed is reported and skipped, so that errors in other words are reported
//! as well.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Ident, Meta, Token, token};

use super::value::Head;
use super::words::{Attributes, On, Words, knows};
use super::{Doubts, schema};
use crate::diag::{Errors, did_you_mean, one_of};

impl Words {
    /// Parses the words in the attributes with this name.
    ///
    /// A misspelt word is reported, and then read as the intended one, so that it causes no further
    /// errors.
    pub(super) fn read(
        &self,
        on: On,
        attrs: &[Attribute],
        attributes: &mut dyn Attributes,
        errors: &mut Errors,
    ) {
        let mut reader = Reader {
            words: self,
            on,
            attributes,
            misspelt: Vec::new(),
            unclear: false,
        };
        for attr in attrs {
            if attr.path().is_ident(self.attribute) {
                reader.attribute(attr, errors);
            }
        }
        reader.finish();
    }
}

/// The attributes of one item, as they are read.
struct Reader<'a> {
    words: &'a Words,
    on: On,
    attributes: &'a mut dyn Attributes,
    misspelt: Vec<Misspelt>,
    /// Some word could be any other.
    unclear: bool,
}

/// A misspelt word: the intended word, its position, and what follows it.
struct Misspelt {
    meant: Ident,
    value: TokenStream,
}

impl Reader<'_> {
    /// Reads all words of one attribute.
    fn attribute(&mut self, attr: &Attribute, errors: &mut Errors) {
        let Meta::List(list) = &attr.meta else {
            let (name, example) = (self.words.attribute, self.words.example);
            errors.at(
                &attr.meta,
                format!("`{name}` takes its settings in parentheses, as in `#[{name}({example})]`"),
            );
            self.unclear = true;
            return;
        };
        let all = |input: ParseStream<'_>| {
            while !input.is_empty() {
                let one = self.word(input, errors);
                let one = one.and_then(|()| at_end_of_word(input));
                if let Err(error) = one {
                    errors.push(error);
                    skip_word(input);
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

    /// Reads a word with its value.
    fn word(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let Words {
            attribute,
            known,
            elsewhere,
            ..
        } = *self.words;
        if !input.peek(Ident::peek_any) {
            let found: TokenTree = input.fork().parse()?;
            errors.at(found, format!("expected {}", self.expected()));
            self.unclear = true;
            skip_word(input);
            return Ok(());
        }
        let name = Ident::parse_any(input)?;
        let text = name.to_string();
        if knows(known, &text) {
            return self.value(&name, input, errors);
        }
        let message = if knows(elsewhere, &text) {
            let (right, wrong) = match self.on {
                On::Type => ("a field", "the struct"),
                On::Field => ("the struct", "a field"),
                On::InEnum => ("the enum", "what is in it"),
            };
            format!("`{text}` belongs on {right}, not on {wrong}: move it there")
        } else if attribute == "cache" && schema::is_for_entity(&text) {
            format!(
                "`{text}` is for an entity: remove it, or derive `CacheEntity`, which brings \
                 `CacheSchema`"
            )
        } else if known.is_empty() {
            format!("`{text}` has no meaning here: remove it")
        } else if let Some(near) = did_you_mean(&text, known.iter().map(|word| word.name)) {
            errors.at(
                &name,
                format!(
                    "unknown attribute `{text}` in `#[{attribute}(…)]`: did you mean `{near}`?"
                ),
            );
            let value = input.fork();
            skip_word(input);
            self.misspelt.push(Misspelt {
                meant: Ident::new(near, name.span()),
                value: until(&value, input),
            });
            return Ok(());
        } else {
            format!(
                "unknown attribute `{text}` in `#[{attribute}(…)]`: expected {}",
                self.expected()
            )
        };
        errors.at(&name, message);
        self.unclear = true;
        skip_word(input);
        Ok(())
    }

    /// Parses what follows a known word.
    fn value(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let text = name.to_string();
        let mut all = self.words.known.iter().zip(self.attributes.all());
        let Some((known, parsed)) = all.find(|(known, _)| known.name == text) else {
            return Ok(());
        };
        let head = Head {
            name,
            example: known.example,
            attribute: self.words.attribute,
            on: self.on,
        };
        parsed.parse(&head, input, errors)
    }

    /// Reads the misspelt words as the intended ones.
    fn finish(mut self) {
        let misspelt = std::mem::take(&mut self.misspelt);
        let guessed = !misspelt.is_empty();
        for Misspelt { meant, value } in misspelt {
            let mut unseen = Errors::default();
            let read = |input: ParseStream<'_>| self.value(&meant, input, &mut unseen);
            // Errors in the value are reported once the word is correct.
            let _ = read.parse2(value);
        }
        *self.attributes.doubts() = Doubts {
            unclear: self.unclear,
            guessed,
        };
    }

    /// The known words, for messages.
    fn expected(&self) -> String {
        one_of(self.words.known.iter().map(|word| word.name))
    }
}

fn at_end_of_word(input: ParseStream<'_>) -> syn::Result<()> {
    if is_end_of_word(input) {
        return Ok(());
    }
    let found: TokenTree = input.fork().parse()?;
    Err(syn::Error::new_spanned(
        found,
        "expected a comma before this",
    ))
}

/// Whether the next token does not belong to the word.
pub(super) fn is_end_of_word(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
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
pub(super) fn skip_word(input: ParseStream<'_>) {
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
