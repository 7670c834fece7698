//! How an entity is keyed.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{ExprPath, LitStr, Type};

use super::expression::Expression;
use super::is_float;
use super::key_text::{self, KeyText, Template};
use super::typed_key::{TypedKey, named_well, only_for_parts, typed};
use crate::ast::{Shape, Struct};
use crate::attr::entity::{EntityAttr, EntityMarks};
use crate::attr::key::StatedKey;
use crate::diag::{Errors, one_of, quoted_list};
use crate::text::template::Piece;

/// How an entity is keyed. Numbers are positions in [`Struct::fields`].
pub(crate) enum EntityKey<'a> {
    /// The field as it is.
    Field(usize),
    /// A `String` of fields and text.
    Template(Template),
    Typed(TypedKey<'a>),
    /// The result of this function, and its type.
    Function(&'a ExprPath, &'a Type),
    /// The value of this expression, and its type.
    Expression(Expression, &'a Type),
}

/// What is known about how an entity is keyed.
pub(crate) enum Keyed<'a> {
    Known(EntityKey<'a>),
    /// A typed key was intended, with this name or the default one.
    Typed(Option<&'a Ident>),
    Unknown,
}

impl EntityKey<'_> {
    /// The fields that the key consists of, as far as they are known.
    pub(super) fn fields(&self) -> Vec<usize> {
        match self {
            Self::Field(at) => vec![*at],
            Self::Typed(key) => key.parts.iter().map(|part| part.field).collect(),
            Self::Template(pieces) => {
                let fields = pieces.iter().filter_map(Piece::field);
                fields.map(|path| path.field).collect()
            }
            Self::Expression(expression, _) => expression.fields.clone(),
            Self::Function(..) => Vec::new(),
        }
    }

    /// The types that the key consists of, with duplicates.
    pub(super) fn types<'t>(&'t self, target: &Struct<'t>) -> Vec<&'t Type> {
        match self {
            Self::Function(_, ty) | Self::Expression(_, ty) => vec![ty],
            Self::Template(pieces) => pieces
                .iter()
                .filter_map(Piece::field)
                .filter_map(|path| Some(target.fields[path.whole_field()?].ty))
                .collect(),
            key => {
                let fields = key.fields();
                fields.iter().map(|at| target.fields[*at].ty).collect()
            }
        }
    }
}

/// Determines the key, if there is exactly one. `marks` are the marks of the struct's fields, and
/// `marked_inside` says that there is one in a variant.
pub(super) fn check<'a>(
    shape: &Shape<'_>,
    attr: &'a EntityAttr,
    marks: &[EntityMarks],
    marked_inside: bool,
    errors: &mut Errors,
) -> Keyed<'a> {
    let target = shape.target();
    let unclear = attr.doubts.unclear || marks.iter().any(|marks| marks.doubts.unclear);
    // A guessed word is not reported as a conflict.
    let is_stated = attr.key.is_given() || attr.key_with.is_given();
    let marks: Vec<(usize, &Ident)> = marks
        .iter()
        .enumerate()
        .filter(|(_, marks)| !(is_stated && marks.doubts.guessed))
        .filter_map(|(at, marks)| Some((at, marks.key.name()?)))
        .collect();
    let is_typed = match attr.key.value() {
        Some(StatedKey::Fields(..)) => true,
        Some(StatedKey::Text(_)) => false,
        None => marks.len() > 1,
    };
    let keyed = if attr.key_with.is_given() || is_misplaced_type(attr) {
        key_with(attr, &marks, errors)
    } else if is_broken(attr) || marked_inside {
        None
    } else if shape.variants().is_some() {
        errors.at(
            attr.key.name().unwrap_or(target.ident),
            format!(
                "an enum has no field that every variant shares: write `key_with = path` with the \
                 path of a `fn(&{}) -> …`, and `key_type = Type`",
                target.ident.unraw()
            ),
        );
        None
    } else if target.fields.is_empty() {
        errors.at(
            attr.key.name().unwrap_or(target.ident),
            format!(
                "`{0}` has no field that could be the key: add one, or write `key_with = path` \
                 with the path of a `fn(&{0}) -> …`, and `key_type = Type`",
                target.ident.unraw()
            ),
        );
        None
    } else {
        let key = match attr.key.value() {
            Some(stated) => {
                for (_, mark) in &marks {
                    errors.at(
                        mark,
                        "the struct has a `key` already: remove one of the two",
                    );
                }
                stated_key(target, attr, stated, errors)
            }
            None => match marks.as_slice() {
                [] if unclear => None,
                [] => {
                    no_key(target, errors);
                    None
                }
                [(at, _)] if !attr.key_name.is_given() => Some(EntityKey::Field(*at)),
                marks => Some(typed(
                    target,
                    attr,
                    marks.iter().map(|(at, _)| *at).collect(),
                )),
            },
        };
        key.filter(|key| no_floats(target, key, errors))
    };
    if !is_typed && !matches!(keyed, Some(EntityKey::Typed(_))) {
        only_for_parts(attr, unclear || keyed.is_none(), errors);
    }
    named_well(target, attr, errors);
    match keyed {
        Some(key) => Keyed::Known(key),
        None if is_typed => Keyed::Typed(attr.key_name.value().map(|name| &name.0)),
        None => Keyed::Unknown,
    }
}

/// Whether there is a part of the key that could not be parsed.
fn is_broken(attr: &EntityAttr) -> bool {
    attr.key.is_broken() || attr.key_with.is_broken() || attr.key_type.is_broken()
}

/// Whether there is a `key_type` although the type of the key is known without it.
fn is_misplaced_type(attr: &EntityAttr) -> bool {
    attr.key_type.is_given() && !matches!(attr.key.value(), Some(StatedKey::Text(_)))
}

fn key_with<'a>(
    attr: &'a EntityAttr,
    marks: &[(usize, &Ident)],
    errors: &mut Errors,
) -> Option<EntityKey<'a>> {
    if attr.key_with.is_given() {
        let marks = marks.iter().map(|(_, mark)| *mark);
        for other in attr.key.name().into_iter().chain(marks) {
            errors.at(
                other,
                "the entity has a `key_with` already: remove one of the two",
            );
        }
    }
    match (attr.key_with.given(), attr.key_type.given()) {
        (Some(with), Some(ty)) => {
            let float = is_float(&ty.value);
            if float {
                errors.at(&ty.value, FLOAT);
            }
            (!float).then_some(EntityKey::Function(&with.value, &ty.value))
        }
        _ if is_broken(attr) => None,
        (Some(with), None) => {
            errors.at(
                &with.name,
                "`key_with` needs the type that its function gives: add `key_type = Type`",
            );
            None
        }
        (None, Some(ty)) => {
            errors.at(
                &ty.name,
                "`key_type` belongs to `key_with = path`: add that, or remove this and let the \
                 type of the field be the key's",
            );
            None
        }
        (None, None) => None,
    }
}

fn stated_key<'a>(
    target: &Struct<'_>,
    attr: &'a EntityAttr,
    stated: &StatedKey,
    errors: &mut Errors,
) -> Option<EntityKey<'a>> {
    match stated {
        StatedKey::Text(literal) => text_key(target, attr, literal, errors),
        StatedKey::Fields(group, names) => {
            let fields = key_text::fields_named(target, group, names, errors);
            if let ([only], None) = (names.as_slice(), attr.key_name.given()) {
                errors.at(
                    only,
                    format!(
                        "a key of one field needs no parentheses: write `key = \"{}\"`, or give \
                         the key a type of its own by `key_name = \"…\"`",
                        only.value().escape_debug()
                    ),
                );
            }
            let is_whole = !fields.is_empty() && fields.len() == names.len();
            let key = typed(target, attr, fields);
            if is_whole {
                return Some(key);
            }
            no_floats(target, &key, errors);
            None
        }
    }
}

/// Interprets the text after `key =`: a field, a template, or an expression of the stated type.
fn text_key<'a>(
    target: &Struct<'_>,
    attr: &'a EntityAttr,
    literal: &LitStr,
    errors: &mut Errors,
) -> Option<EntityKey<'a>> {
    let stated = attr.key_type.given();
    match (KeyText::of(literal, target), stated) {
        (KeyText::Field(name), _) => {
            let field = key_text::field_named(target, literal, &name, errors)?;
            if let Some(ty) = stated {
                errors.at(
                    &ty.name,
                    "the key has the type of its field: remove this, or make the key with \
                     `key_with = path` or an expression",
                );
            }
            Some(EntityKey::Field(field))
        }
        (KeyText::Fields(names), _) => {
            key_text::needs_quotes(literal, &names, errors);
            None
        }
        (KeyText::Expression(expression), Some(ty)) => {
            let float = is_float(&ty.value);
            if float {
                errors.at(&ty.value, FLOAT);
            }
            (!float).then_some(EntityKey::Expression(expression, &ty.value))
        }
        (KeyText::Expression(_), None) => {
            errors.at(
                literal,
                format!(
                    "an expression does not say which type the key has: add `key_type = Type` with \
                     the type of `{}`",
                    literal.value().escape_debug()
                ),
            );
            None
        }
        (KeyText::Template, _) => {
            if let Some(ty) = stated {
                errors.at(
                    &ty.name,
                    "a key that is made by a template is a `String`: remove this",
                );
            }
            key_text::template_of(target, literal, errors).map(EntityKey::Template)
        }
        (KeyText::Unknown, _) => {
            errors.at(
                literal,
                format!(
                    "`key` takes the name of a field, a template like `{{shop}}:{{id}}`, or a short \
                     expression over the fields with its `key_type`: put what is longer into a \
                     method and name it by `key_with`. The fields are {}",
                    quoted_list(target.field_names())
                ),
            );
            None
        }
    }
}

fn no_key(target: &Struct<'_>, errors: &mut Errors) {
    let name = target.ident.unraw();
    let fix = match target.field("id") {
        Some(_) => "add `#[cache(key = \"id\")]`".to_owned(),
        None => format!(
            "add `#[cache(key = \"…\")]` with {}",
            one_of(target.field_names())
        ),
    };
    errors.at(target.ident, format!("`{name}` has no key: {fix}"));
}

const FLOAT: &str = "a float cannot be a key, because `NaN` does not equal itself: use an integer \
                     or a `String`";

/// Refuses floats: `NaN` does not equal itself, and `0.0` equals `-0.0` but has another text.
fn no_floats(target: &Struct<'_>, key: &EntityKey<'_>, errors: &mut Errors) -> bool {
    let used = key.fields();
    let mut none = true;
    for (at, field) in target.fields.iter().enumerate() {
        if used.contains(&at) && is_float(field.ty) {
            errors.at(field.ty, FLOAT);
            none = false;
        }
    }
    none
}
