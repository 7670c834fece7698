//! An expression over the fields of a request, in quotes: `"user.id"`, `"shop.to_owned() + id"`.
//!
//! `syn` reads more or less of the language, depending on what other crates of the build ask of
//! it. So what is taken here is listed, and is the same in every build.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, LitStr};

use crate::ast::Struct;

/// An expression that gives a key.
pub(crate) struct Expression {
    /// As it was written, with [`request`] for `self`.
    pub(crate) tokens: TokenStream,
    /// Whether it names a place, from which a key must be copied, and is no value of its own.
    pub(crate) is_place: bool,
    /// The fields that it may name. Numbers are positions in [`Struct::fields`].
    pub(crate) fields: Vec<usize>,
    /// Whether it names the request as a whole.
    pub(crate) names_self: bool,
}

impl Expression {
    /// Reads an expression, if the text is one of those that are taken.
    pub(crate) fn parse(literal: &LitStr, target: &Struct<'_>) -> Option<Self> {
        let expr: Expr = literal.parse().ok()?;
        if !is_taken(&expr) {
            return None;
        }
        // `&user.id` is the place behind it: not every key can be made of a reference to one.
        let expr = match expr {
            Expr::Reference(reference) if reference.mutability.is_none() => *reference.expr,
            expr => expr,
        };
        let mut words = Vec::new();
        let tokens = renamed(expr.to_token_stream(), &mut words);
        let fields = target
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !target.is_tuple && words.contains(&field.name))
            .map(|(at, _)| at)
            .collect();
        Some(Self {
            tokens,
            is_place: is_place(&expr),
            fields,
            names_self: words.iter().any(|word| word == "self"),
        })
    }
}

/// What `self` is called in the generated code.
pub(crate) fn request() -> Ident {
    Ident::new("__request", Span::call_site())
}

fn is_taken(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) | Expr::Lit(_) | Expr::Macro(_) => true,
        Expr::Field(expr) => is_taken(&expr.base),
        Expr::Paren(expr) => is_taken(&expr.expr),
        Expr::Group(expr) => is_taken(&expr.expr),
        Expr::Reference(expr) => is_taken(&expr.expr),
        Expr::Unary(expr) => is_taken(&expr.expr),
        Expr::Cast(expr) => is_taken(&expr.expr),
        Expr::Index(expr) => is_taken(&expr.expr) && is_taken(&expr.index),
        Expr::Binary(expr) => is_taken(&expr.left) && is_taken(&expr.right),
        Expr::Tuple(expr) => expr.elems.iter().all(is_taken),
        Expr::Call(expr) => is_taken(&expr.func) && expr.args.iter().all(is_taken),
        Expr::MethodCall(expr) => is_taken(&expr.receiver) && expr.args.iter().all(is_taken),
        _ => false,
    }
}

fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Field(_) | Expr::Index(_) | Expr::Path(_) => true,
        Expr::Paren(expr) => is_place(&expr.expr),
        Expr::Group(expr) => is_place(&expr.expr),
        Expr::Unary(expr) => matches!(expr.op, syn::UnOp::Deref(_)),
        _ => false,
    }
}

/// Gives `self` its other name, and notes the words, also those that a text like `"{a}:{b}"` has in
/// it for `format!`.
fn renamed(tokens: TokenStream, words: &mut Vec<String>) -> TokenStream {
    let mut after_dot = false;
    let one = |token| {
        // What comes after a dot belongs to something else.
        let is_member = std::mem::take(&mut after_dot);
        match token {
            TokenTree::Ident(ident) if ident == "self" => {
                words.push(ident.to_string());
                let mut request = request();
                request.set_span(ident.span());
                TokenTree::Ident(request)
            }
            TokenTree::Ident(ident) => {
                if !is_member {
                    words.push(ident.unraw().to_string());
                }
                TokenTree::Ident(ident)
            }
            TokenTree::Group(group) => {
                let inner = renamed(group.stream(), words);
                let mut renamed = Group::new(group.delimiter(), inner);
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let parts = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                words.extend(parts.map(str::to_owned));
                TokenTree::Literal(literal)
            }
            TokenTree::Punct(punct) => {
                after_dot = punct.as_char() == '.';
                TokenTree::Punct(punct)
            }
        }
    };
    tokens.into_iter().map(one).collect()
}
