//! Small things about tokens and their spans.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};

pub(super) fn first_span(tokens: &TokenStream) -> Span {
    let first = tokens.clone().into_iter().next();
    first.map_or_else(Span::call_site, |first| first.span())
}

/// The same tokens with another span.
pub(super) fn located_at(tokens: TokenStream, at: Span) -> TokenStream {
    let respanned = |mut token: TokenTree| {
        token.set_span(at);
        token
    };
    tokens.into_iter().map(respanned).collect()
}

pub(super) fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
