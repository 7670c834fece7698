//! Functions on tokens and their spans.

use std::iter::Peekable;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree, token_stream};
use quote::{ToTokens, quote_spanned};

/// The span of the first token.
pub(crate) fn first_span(tokens: &TokenStream) -> Span {
    let first = tokens.clone().into_iter().next();
    first.map_or_else(Span::call_site, |first| first.span())
}

/// The same tokens with another span.
pub(crate) fn located_at(tokens: TokenStream, at: Span) -> TokenStream {
    let respanned = |mut token: TokenTree| {
        token.set_span(at);
        token
    };
    tokens.into_iter().map(respanned).collect()
}

/// Whether one of the names is among the tokens.
pub(crate) fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The tokens with `ty` instead of `Self`, which would be another type at their new position.
pub(crate) fn with_self(tokens: TokenStream, ty: &TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut replaced = TokenStream::new();
    let mut in_lifetime = false;
    while let Some(token) = tokens.next() {
        // The compiler reports a lifetime that is called `'Self`.
        let is_type = !std::mem::take(&mut in_lifetime);
        match token {
            TokenTree::Ident(ident) if ident == "Self" && is_type => {
                let ty = located_at(ty.clone(), ident.span());
                if is_punct(tokens.peek(), ':') {
                    skip_arguments(&mut tokens);
                    quote_spanned!(ident.span()=> <#ty>).to_tokens(&mut replaced);
                } else {
                    ty.to_tokens(&mut replaced);
                }
            }
            TokenTree::Group(group) => {
                let mut other = Group::new(group.delimiter(), with_self(group.stream(), ty));
                other.set_span(group.span());
                replaced.extend([TokenTree::Group(other)]);
            }
            token => {
                in_lifetime = is_punct(Some(&token), '\'');
                replaced.extend([token]);
            }
        }
    }
    replaced
}

/// Skips the `::<'a, T>` of a `Self::<'a, T>::new`, if there is one: the type has its own.
fn skip_arguments(tokens: &mut Peekable<token_stream::IntoIter>) {
    let mut ahead = tokens.clone();
    let starts = [':', ':', '<'];
    if !starts
        .iter()
        .all(|sign| is_punct(ahead.next().as_ref(), *sign))
    {
        return;
    }
    let mut open = 1_usize;
    while open > 0 {
        let next = ahead.next();
        if is_punct(next.as_ref(), '<') {
            open += 1;
        } else if is_punct(next.as_ref(), '>') {
            open -= 1;
        } else if next.is_none() {
            return;
        }
    }
    *tokens = ahead;
}

fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn self_is_the_type_wherever_it_stands() {
        let ty = quote!(Get<'a, T>);
        for (tokens, expected) in [
            (quote!(Self::check), quote!(<Get<'a, T>>::check)),
            (
                quote!(<Self as Log>::miss),
                quote!(<Get<'a, T> as Log>::miss),
            ),
            (
                quote!(log::<Self, (u8, Self)>),
                quote!(log::<Get<'a, T>, (u8, Get<'a, T>)>),
            ),
            (
                quote!(<Vec<Self::Item> as Log>::miss),
                quote!(<Vec<<Get<'a, T>>::Item> as Log>::miss),
            ),
            (
                quote!(Self::<'a, Vec<T>>::check::<u8>),
                quote!(<Get<'a, T>>::check::<u8>),
            ),
            (quote!(self::miss), quote!(self::miss)),
            (quote!(&'Self Self), quote!(&'Self Get<'a, T>)),
        ] {
            let squeezed = |tokens: TokenStream| tokens.to_string().replace(' ', "");
            assert_eq!(squeezed(with_self(tokens, &ty)), squeezed(expected));
        }
    }
}
