//! What the names of types show.

use syn::{GenericArgument, Path, PathArguments, PathSegment, Type};

use super::peel;

/// The crates that have types for any value, and the names of those types.
const SELF_DESCRIBING: [(&str, &[&str]); 12] = [
    ("serde_json", &["Value", "Map", "Number", "RawValue"]),
    ("serde_yaml", &["Value", "Mapping", "Number"]),
    ("serde_yml", &["Value", "Mapping", "Number"]),
    ("serde_norway", &["Value", "Mapping", "Number"]),
    ("toml", &["Value", "Table"]),
    ("ciborium", &["Value"]),
    ("serde_cbor", &["Value"]),
    ("serde_value", &["Value"]),
    ("rmpv", &["Value"]),
    ("bson", &["Bson", "Document"]),
    ("bigdecimal", &["BigDecimal"]),
    ("sea_orm", &IN_SEA_ORM),
];

/// Those that SeaORM's prelude has.
const IN_SEA_ORM: [&str; 4] = ["Json", "JsonValue", "Decimal", "BigDecimal"];

/// A type that can only be read from a self-describing format.
pub(super) struct SelfDescribing<'t> {
    pub(super) path: &'t Path,
    /// Whether it is a number with a text, so that it need not be kept as JSON.
    pub(super) is_number: bool,
    /// Whether only its place, a model of SeaORM, says which type has this name.
    pub(super) is_guessed: bool,
}

/// A type in `ty` that can only be read from a self-describing format.
///
/// Only a path that names its crate counts: any module may have a `Value` of its own. In a model of
/// SeaORM, whose prelude is everywhere, the names of the prelude count, too.
pub(super) fn self_describing(ty: &Type, in_sea_orm: bool) -> Option<SelfDescribing<'_>> {
    inner_types(ty).into_iter().find_map(|inner| {
        let Type::Path(ty) = inner.ty else {
            return None;
        };
        let path = &ty.path;
        let last = path.segments.last()?;
        let plain = in_sea_orm && path.get_ident().is_some() && is_one_of(last, &IN_SEA_ORM);
        (plain || is_self_describing(path)).then(|| SelfDescribing {
            path,
            is_number: is_one_of(last, &["Decimal", "BigDecimal"]),
            is_guessed: plain,
        })
    })
}

fn is_self_describing(path: &Path) -> bool {
    let (Some(first), Some(last)) = (path.segments.first(), path.segments.last()) else {
        return false;
    };
    let named = |(krate, types): &(&str, &[&str])| first.ident == krate && is_one_of(last, types);
    path.segments.len() > 1 && SELF_DESCRIBING.iter().any(named)
}

fn is_one_of(segment: &PathSegment, names: &[&str]) -> bool {
    names.iter().any(|name| segment.ident == name)
}

/// The path in `ty` of a `sync::Weak` or an `rc::Weak`, which has no content to store.
///
/// Only a path that names its module counts, as above.
pub(super) fn weak(ty: &Type) -> Option<&Path> {
    inner_types(ty)
        .into_iter()
        .find_map(|inner| match inner.ty {
            Type::Path(path) => {
                let mut names = path
                    .path
                    .segments
                    .iter()
                    .rev()
                    .map(|segment| &segment.ident);
                let is_weak = names.next()? == "Weak"
                    && ["sync", "rc"]
                        .iter()
                        .any(|module| names.clone().next().is_some_and(|name| name == module));
                is_weak.then_some(&path.path)
            }
            _ => None,
        })
}

/// A type inside another.
pub(crate) struct InnerType<'t> {
    pub(crate) ty: &'t Type,
    /// Whether it may be a constant instead of a type: in `Grid<SIZE>` both look the same.
    pub(crate) may_be_constant: bool,
}

/// `ty`, and the types that are written inside it: `Option<Vec<A>>`, `Vec<A>` and `A`.
pub(crate) fn inner_types(ty: &Type) -> Vec<InnerType<'_>> {
    let mut found = Vec::new();
    collect(ty, false, &mut found);
    found
}

fn collect<'t>(ty: &'t Type, may_be_constant: bool, found: &mut Vec<InnerType<'t>>) {
    match peel(ty) {
        Type::Slice(slice) => collect(&slice.elem, false, found),
        Type::Array(array) => collect(&array.elem, false, found),
        Type::Tuple(tuple) => {
            let elems = tuple.elems.iter();
            elems.for_each(|elem| collect(elem, false, found));
        }
        ty @ Type::Path(path) => {
            found.push(InnerType {
                ty,
                may_be_constant: may_be_constant && path.path.get_ident().is_some(),
            });
            let takes_constants = !is_of_std(&path.path);
            let arguments = path.path.segments.iter().map(|segment| &segment.arguments);
            for argument in arguments {
                if let PathArguments::AngleBracketed(arguments) = argument {
                    for argument in &arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            collect(ty, takes_constants, found);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

/// Whether this names a type of the standard library that is common in entities.
pub(crate) fn is_of_std(path: &Path) -> bool {
    let (Some(first), Some(last)) = (path.segments.first(), path.segments.last()) else {
        return false;
    };
    let qualified = ["std", "core", "alloc"]
        .iter()
        .any(|krate| first.ident == krate);
    (qualified || path.segments.len() == 1) && OF_STD.iter().any(|name| last.ident == name)
}

/// Whether this is a number, `bool`, `char` or `String`: all of them have an order and can be
/// parsed.
pub(crate) fn is_plain(ty: &Type) -> bool {
    match peel(ty) {
        Type::Path(path) if path.qself.is_none() && is_of_std(&path.path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| OF_STD[..PLAIN].iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}

/// How many of [`OF_STD`] are plain.
const PLAIN: usize = 15;

const OF_STD: [&str; 41] = [
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "String",
    "str",
    "f32",
    "f64",
    "Vec",
    "Option",
    "Box",
    "Arc",
    "Rc",
    "Cow",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "VecDeque",
    "LinkedList",
    "BinaryHeap",
    "Result",
    "Mutex",
    "RwLock",
    "Duration",
    "SystemTime",
    "PathBuf",
    "PhantomData",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
];
