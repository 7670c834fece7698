//! What a field holds, as far as the tokens of its type show.

use syn::{GenericArgument, PathArguments, Type};

/// The type of a key field.
pub(crate) enum Holder<'a> {
    /// One key, of this type.
    One { ty: &'a Type, by: By },
    /// Many keys of this type.
    Many { ty: &'a Type, by: By },
    /// Many keys without an order for the answers.
    Unordered,
}

/// How a field holds its content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Value,
    Reference,
    Arc,
}

/// A field for one answer, or for many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Places {
    One,
    Many,
    Unknown,
}

impl<'a> Holder<'a> {
    pub(crate) fn of(ty: &'a Type) -> Self {
        let ty = ungrouped(ty);
        if let Type::Reference(reference) = ty {
            let inner = ungrouped(&reference.elem);
            return match many(inner) {
                Some(ty) => Self::Many {
                    ty,
                    by: By::Reference,
                },
                None => Self::One {
                    ty: inner,
                    by: By::Reference,
                },
            };
        }
        if let Some(ty) = many(ty) {
            return Self::Many { ty, by: By::Value };
        }
        match last(ty) {
            Some(("Arc", Some(inner))) => match many(inner) {
                Some(ty) => Self::Many { ty, by: By::Arc },
                None => Self::One {
                    ty: inner,
                    by: By::Arc,
                },
            },
            Some(("HashSet" | "BTreeSet" | "VecDeque" | "LinkedList" | "BinaryHeap", Some(_))) => {
                Self::Unordered
            }
            _ => Self::One { ty, by: By::Value },
        }
    }
}

impl Places {
    pub(crate) fn of(ty: &Type) -> Self {
        match last(ty) {
            Some(("Option", _)) => Self::One,
            Some(("Vec", _)) => Self::Many,
            _ => Self::Unknown,
        }
    }
}

/// The wrapper of a type, which is not an entity itself: `Arc<User>` is `("Arc", User)`.
pub(crate) fn wrapped(ty: &Type) -> Option<(&'static str, &Type)> {
    let (name, inner) = last(ty)?;
    let name = ["Arc", "Rc", "Box", "Option", "Vec"]
        .into_iter()
        .find(|wrapper| *wrapper == name)?;
    Some((name, inner?))
}

/// Whether a value of this type carries no information: `()` or a `PhantomData`.
pub(crate) fn is_nothing(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident == "PhantomData")
        }
        _ => false,
    }
}

/// Removes parentheses, and the invisible groups around a macro's `$t:ty`.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty,
    }
}

/// The type of the elements of a slice, or of a type that holds one.
fn many(ty: &Type) -> Option<&Type> {
    match ungrouped(ty) {
        Type::Slice(slice) => Some(ungrouped(&slice.elem)),
        ty => match last(ty)? {
            ("Vec", Some(element)) => Some(element),
            ("Box" | "Cow", Some(inner)) => match inner {
                Type::Slice(slice) => Some(ungrouped(&slice.elem)),
                _ => None,
            },
            _ => None,
        },
    }
}

/// The last name of a path, and its first type in angle brackets.
fn last(ty: &Type) -> Option<(&'static str, Option<&Type>)> {
    const KNOWN: [&str; 11] = [
        "Arc",
        "Rc",
        "Box",
        "Cow",
        "Option",
        "Vec",
        "HashSet",
        "BTreeSet",
        "VecDeque",
        "LinkedList",
        "BinaryHeap",
    ];
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let name = KNOWN.into_iter().find(|known| last.ident == known)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Some((name, None));
    };
    let inner = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ungrouped(ty)),
        _ => None,
    });
    Some((name, inner))
}
