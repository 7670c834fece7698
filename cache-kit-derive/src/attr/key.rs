//! The value of `key` on a type, of an entity and of a request.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{LitStr, token};

use super::value::{Head, Value};
use crate::diag::Errors;

/// A key as it is stated.
pub(crate) enum StatedKey {
    /// `key = "id"`, a template or an expression.
    Text(LitStr),
    /// `key("order_id", "item_id")`, with the parentheses.
    Fields(Group, Vec<LitStr>),
}

const FIELDS: &str = "key(\"order_id\", \"item_id\")";

impl Value for StatedKey {
    fn parse(head: &Head<'_>, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        if input.peek(token::Paren) {
            let group: Group = input.parse()?;
            let fields = texts(&group, errors);
            return Ok(Self::Fields(group, fields));
        }
        head.text(input).map(Self::Text)
    }

    fn given_twice(head: &Head<'_>) -> String {
        if head.attribute == "feeder" {
            return "`key` is given twice: remove one".to_owned();
        }
        format!(
            "an entity has one key: remove one `key`, or write `{FIELDS}` for a key of several \
             fields"
        )
    }
}

/// Reads `("a", "b")`, each mistake in it on its own.
fn texts(group: &Group, errors: &mut Errors) -> Vec<LitStr> {
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
                format!("expected the name of a field in quotes, as in `{FIELDS}`"),
            ),
        }
    }
    texts
}
