//! An expression over the fields of a struct, in quotes: `"user.id"`, `"shop.to_owned() + id"`.
//!
//! `syn` parses more or less of the language, depending on the features that other crates of the
//! build enable. So this module lists the accepted expressions, which are the same in every build.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Expr, LitStr};

use crate::ast::{Struct, usable};

/// An expression that evaluates to a key.
pub(crate) struct Expression {
    /// As it was written, except that the fields and `self` have names of our own: see [`binding`]
    /// and [`owner`].
    pub(crate) tokens: TokenStream,
    /// Whether it is a place, from which a key must be copied, and not a value of its own.
    pub(crate) is_place: bool,
    /// The fields that it names. Numbers are positions in [`Struct::fields`].
    pub(crate) fields: Vec<usize>,
    /// Those of them that are renamed in it.
    pub(crate) bound: Vec<usize>,
}

impl Expression {
    /// Parses an expression, if the text is an accepted one.
    pub(crate) fn parse(literal: &LitStr, target: &Struct<'_>) -> Option<Self> {
        let expr: Expr = literal.parse().ok()?;
        if !is_taken(&expr) {
            return None;
        }
        // `&user.id` stands for the place itself: not every key can be made of a reference.
        let mut expr = match expr {
            Expr::Reference(reference) if reference.mutability.is_none() => *reference.expr,
            expr => expr,
        };
        let is_place = is_place(&expr);
        let mut names = Names {
            target,
            at: Span::call_site().located_at(literal.span()),
            bound: Vec::new(),
            in_macros: Vec::new(),
        };
        names.rename(&mut expr);
        let Names {
            bound, in_macros, ..
        } = names;
        Some(Self {
            tokens: expr.to_token_stream(),
            is_place,
            fields: each_once([bound.clone(), in_macros].concat()),
            bound: each_once(bound),
        })
    }
}

/// The name of `self` in the generated code: a reference to the struct.
pub(crate) fn owner() -> Ident {
    Ident::new("__owner", Span::call_site())
}

/// The name of a field in the generated code: a reference to it.
///
/// With its own name it would shadow a function of that name.
pub(crate) fn binding(field: &str) -> Ident {
    format_ident!("__field_{field}", span = Span::call_site())
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

/// Renames the fields and `self`.
struct Names<'a> {
    target: &'a Struct<'a>,
    at: Span,
    /// The fields that were renamed.
    bound: Vec<usize>,
    /// The fields that keep their own name in a macro.
    in_macros: Vec<usize>,
}

impl Names<'_> {
    fn rename(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Path(path) if path.qself.is_none() => {
                if let Some(name) = path.path.get_ident().and_then(|name| self.named(name)) {
                    path.path = name.into();
                }
            }
            Expr::Macro(call) => {
                let tokens = std::mem::take(&mut call.mac.tokens);
                let (renamed, fields) = self.in_macro(tokens);
                call.mac.tokens = renamed;
                if !fields.is_empty() {
                    *expr = Expr::Verbatim(self.with_fields(&fields, expr));
                }
            }
            Expr::Field(expr) => self.rename(&mut expr.base),
            Expr::Paren(expr) => self.rename(&mut expr.expr),
            Expr::Group(expr) => self.rename(&mut expr.expr),
            Expr::Reference(expr) => self.rename(&mut expr.expr),
            Expr::Unary(expr) => self.rename(&mut expr.expr),
            Expr::Cast(expr) => self.rename(&mut expr.expr),
            Expr::Index(expr) => {
                self.rename(&mut expr.expr);
                self.rename(&mut expr.index);
            }
            Expr::Binary(expr) => {
                self.rename(&mut expr.left);
                self.rename(&mut expr.right);
            }
            Expr::Tuple(expr) => expr.elems.iter_mut().for_each(|elem| self.rename(elem)),
            Expr::Call(expr) => {
                // The callee is a function, as elsewhere: `(id)(7)` calls a field.
                if !matches!(&*expr.func, Expr::Path(_)) {
                    self.rename(&mut expr.func);
                }
                expr.args.iter_mut().for_each(|arg| self.rename(arg));
            }
            Expr::MethodCall(expr) => {
                self.rename(&mut expr.receiver);
                expr.args.iter_mut().for_each(|arg| self.rename(arg));
            }
            _ => {}
        }
    }

    /// The new name of a field or of `self`, with the span of the original.
    fn named(&mut self, name: &Ident) -> Option<Ident> {
        let mut other = if name == "self" {
            owner()
        } else {
            let at = self.field(name)?;
            self.bound.push(at);
            binding(&self.target.fields[at].name)
        };
        other.set_span(name.span());
        Some(other)
    }

    fn field(&self, name: &Ident) -> Option<usize> {
        let field = self.target.field(&name.unraw().to_string())?;
        (!self.target.is_tuple).then_some(field)
    }

    /// The tokens of a macro with `self` renamed, and the fields that they name, which are bound
    /// before the macro. Names inside a text like `"{a}:{b}"` for `format!` count, too.
    ///
    /// A field that has the name of a function or a constant is renamed.
    fn in_macro(&mut self, tokens: TokenStream) -> (TokenStream, Vec<usize>) {
        let mut called = Vec::new();
        calls(tokens.clone(), &mut called);
        let mut fields = Vec::new();
        let tokens = self.in_tokens(tokens, &called, &mut fields);
        (tokens, each_once(fields))
    }

    fn in_tokens(
        &mut self,
        tokens: TokenStream,
        called: &[String],
        fields: &mut Vec<usize>,
    ) -> TokenStream {
        let mut after_dot = false;
        let mut renamed: Vec<TokenTree> = Vec::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            // What comes after a dot belongs to something else.
            let is_member = std::mem::take(&mut after_dot);
            renamed.push(match token {
                TokenTree::Ident(ident) if is_member => ident.into(),
                TokenTree::Ident(ident) if ident == "self" => {
                    self.named(&ident).unwrap_or(ident).into()
                }
                TokenTree::Ident(ident) => {
                    let is_called = is_call(tokens.peek());
                    match self.field(&ident) {
                        Some(_) if is_called => ident.into(),
                        Some(at) if self.is_ambiguous(at, called) => {
                            self.named(&ident).unwrap_or(ident).into()
                        }
                        Some(at) => {
                            fields.push(at);
                            ident.into()
                        }
                        None => ident.into(),
                    }
                }
                TokenTree::Group(group) => {
                    let inner = self.in_tokens(group.stream(), called, fields);
                    let mut other = Group::new(group.delimiter(), inner);
                    other.set_span(group.span());
                    other.into()
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                    if !self.target.is_tuple {
                        fields.extend(words.filter_map(|word| self.target.field(word)));
                    }
                    literal.into()
                }
                TokenTree::Punct(punct) => {
                    after_dot = punct.as_char() == '.';
                    punct.into()
                }
            });
        }
        renamed.into_iter().collect()
    }

    /// Whether the name of a field may also be that of a function or a constant, which a binding of
    /// that name would shadow.
    fn is_ambiguous(&self, at: usize, called: &[String]) -> bool {
        let name = &self.target.fields[at].name;
        called.contains(name) || name.starts_with(char::is_uppercase)
    }

    /// The macro after bindings of the fields that it names, under their own names.
    fn with_fields(&mut self, fields: &[usize], call: &Expr) -> TokenStream {
        let owner = owner();
        let names = fields.iter().map(|at| {
            let field = &self.target.fields[*at];
            let member = &field.member;
            let name = usable(&field.name, self.at);
            let place = reference(self.target, &quote!(#owner.#member));
            quote_spanned!(self.at=> let #name = #place;)
        });
        let names: TokenStream = names.collect();
        self.in_macros.extend(fields);
        quote_spanned!(self.at=> ({ #names #call }))
    }
}

fn each_once(mut fields: Vec<usize>) -> Vec<usize> {
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// A reference to a place in `target`, or to a copy of what is there.
pub(crate) fn reference(target: &Struct<'_>, place: &TokenStream) -> TokenStream {
    if target.is_packed {
        quote!(&{ #place })
    } else {
        quote!(&#place)
    }
}

/// The names of functions that the tokens call.
fn calls(tokens: TokenStream, found: &mut Vec<String>) {
    let mut after_dot = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_member = std::mem::take(&mut after_dot);
        match token {
            TokenTree::Ident(name) if !is_member && is_call(tokens.peek()) => {
                found.push(name.unraw().to_string());
            }
            TokenTree::Group(group) => calls(group.stream(), found),
            TokenTree::Punct(punct) => after_dot = punct.as_char() == '.',
            _ => {}
        }
    }
}

fn is_call(next: Option<&TokenTree>) -> bool {
    matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}
