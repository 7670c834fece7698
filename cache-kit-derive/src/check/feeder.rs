//! The rules of `#[derive(CacheFeeder)]`.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Ident, LitStr, Type};

use super::holder::{Holder, Places, ungrouped, wrapped};
use super::request_key::RequestKey;
use super::typed_key::Part;
use crate::ast::Struct;
use crate::attr::Word;
use crate::attr::feeder::{FeederAttr, FeederMarks, PartMark};
use crate::diag::{Errors, as_written, one_of};

/// Where the answer goes. Numbers are positions in [`Struct::fields`].
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    /// Into this field.
    Field(usize),
    /// Into the feeder that is generated for the request.
    Companion,
}

/// What is known. A feeder can be expanded if `entity` and `key` are there and all rules hold.
pub(crate) struct Feeder<'a> {
    pub(crate) entity: Option<&'a Type>,
    pub(crate) key: Option<RequestKey>,
    pub(crate) slot: Slot,
    /// How many entities it asks for.
    pub(crate) many: Places,
    /// The name of the feeder for a request, if the user states one.
    pub(crate) name: Option<Ident>,
}

impl Feeder<'_> {
    /// Whether it asks for many entities.
    pub(crate) fn is_batch(&self) -> bool {
        self.many == Places::Many
    }
}

/// Applies every rule.
pub(crate) fn check<'a>(
    target: &Struct<'_>,
    attr: &'a FeederAttr,
    errors: &mut Errors,
) -> Feeder<'a> {
    let entity = entity(target, attr, errors);
    let Marks {
        keys,
        slots,
        unclear,
    } = marks(target, attr.key.is_given(), errors);
    let slot = slots
        .first()
        .map_or(Slot::Companion, |(at, _)| Slot::Field(*at));
    if let (true, Some((_, mark))) = (target.is_packed, slots.first()) {
        errors.at(
            mark,
            "no reference to a field of a packed struct may be taken: remove this, and write \
             `key = \"…\"` on the struct to get a feeder around it",
        );
    }
    let unclear = attr.doubts.unclear || unclear;
    let key = match (attr.key.given(), slot) {
        (Some(stated), Slot::Companion) => {
            for (_, mark) in &keys {
                errors.at(
                    &mark.name,
                    "the struct has a `key` already: remove one of the two",
                );
            }
            RequestKey::stated(target, &stated.value, errors)
        }
        (Some(stated), Slot::Field(_)) => {
            errors.at(
                &stated.name,
                "a struct with a place for the entity marks its key: remove this, and put \
                 `#[feeder(key)]` on the field",
            );
            (!keys.is_empty()).then(|| marked_key(target, &keys, errors))
        }
        (None, _) if attr.key.is_broken() || (keys.is_empty() && unclear) => None,
        (None, _) if keys.is_empty() => {
            no_key(target, slot, errors);
            None
        }
        (None, _) => {
            if let Slot::Companion = slot {
                no_place(target, &keys, errors);
            }
            Some(marked_key(target, &keys, errors))
        }
    };
    let many = many(target, key.as_ref(), slot, errors);
    Feeder {
        entity,
        key,
        slot,
        many,
        name: name(target, attr, slot, errors),
    }
}

/// The type of the entity: as it was written, without a wrapper.
fn entity<'a>(target: &Struct<'_>, attr: &'a FeederAttr, errors: &mut Errors) -> Option<&'a Type> {
    let Some(written) = attr.entity.value() else {
        if attr.entity.is_absent() && !attr.doubts.unclear {
            errors.at(
                target.ident,
                format!(
                    "`{}` does not say what it asks for: add `#[feeder(entity = User)]` with your \
                     entity",
                    target.ident.unraw()
                ),
            );
        }
        return None;
    };
    let mut entity = ungrouped(written);
    let mut around: Option<String> = None;
    loop {
        let (what, inner) = match entity {
            Type::Reference(reference) => ("a reference".to_owned(), &*reference.elem),
            ty => match wrapped(ty) {
                Some((name, inner)) => (format!("`{name}`"), inner),
                None => break,
            },
        };
        around.get_or_insert(what);
        entity = ungrouped(inner);
    }
    if let Some(what) = around {
        errors.at(
            written,
            format!(
                "`entity` names the entity itself, without {what}: write `entity = {}`",
                as_written(entity)
            ),
        );
    }
    Some(entity)
}

/// What a field is marked as.
#[derive(Default)]
struct Marks {
    /// As the key.
    keys: Vec<(usize, Word<PartMark>)>,
    /// As the place of the entity.
    slots: Vec<(usize, Ident)>,
    /// Unclear, because of an unknown word.
    unclear: bool,
}

/// `is_stated` says that the struct states a key, so that no field needs one.
fn marks(target: &Struct<'_>, is_stated: bool, errors: &mut Errors) -> Marks {
    let mut found = Marks::default();
    for (at, field) in target.fields.iter().enumerate() {
        let marks = FeederMarks::read(field.attrs, errors);
        if let (Some(_), Some(entity)) = (marks.key.given(), marks.entity.name()) {
            errors.at(
                entity,
                "a field is the key or the place of the entity, not both: remove one",
            );
        }
        found.unclear |= marks.doubts.unclear;
        if marks.doubts.guessed && is_stated {
            continue;
        }
        found
            .keys
            .extend(marks.key.into_given().map(|mark| (at, mark)));
        let slot = marks.entity.into_given();
        found.slots.extend(slot.map(|mark| (at, mark.name)));
    }
    for (_, second) in found.slots.iter().skip(1) {
        errors.at(
            second,
            "there is one place for the entity: remove this `entity`",
        );
    }
    found
}

fn marked_key(
    target: &Struct<'_>,
    keys: &[(usize, Word<PartMark>)],
    errors: &mut Errors,
) -> RequestKey {
    if let [(at, mark)] = keys {
        if let Some(part) = &mark.value.part {
            errors.at(
                part,
                format!(
                    "`key = \"{}\"` names a part of a key of several fields, and this is the only \
                     one: write `key` alone",
                    part.value().escape_debug()
                ),
            );
        }
        return RequestKey::Field(*at);
    }
    let mut parts: Vec<Part> = Vec::new();
    for (number, (field, mark)) in keys.iter().enumerate() {
        let part = match &mark.value.part {
            Some(literal) => stated_part(*field, literal, errors),
            None => Some(Part::of_field(target, *field, number)),
        };
        let Some(part) = part else {
            continue;
        };
        if parts.iter().any(|other| other.name == part.name) {
            let name = part.name.to_token_stream();
            let message = format!("another field is the part `{name}` already: remove one `key`");
            match &mark.value.part {
                Some(literal) => errors.at(literal, message),
                None => errors.at(&mark.name, message),
            }
        }
        parts.push(part);
    }
    RequestKey::Typed(parts)
}

/// The part that a field names.
fn stated_part(field: usize, literal: &LitStr, errors: &mut Errors) -> Option<Part> {
    let name = literal.parse();
    if name.is_err() {
        errors.at(
            literal,
            "expected the name of a part of the key, as in `key = \"order_id\"`",
        );
    }
    let name = name.ok()?;
    Some(Part { field, name })
}

fn no_place(target: &Struct<'_>, keys: &[(usize, Word<PartMark>)], errors: &mut Errors) {
    let name = target.ident.unraw();
    let names: Vec<&str> = keys
        .iter()
        .map(|(at, _)| target.fields[*at].name.as_str())
        .collect();
    let stated = match names.as_slice() {
        [only] => format!("key = \"{only}\""),
        names => format!("key(\"{}\")", names.join("\", \"")),
    };
    if let Some((_, mark)) = keys.first() {
        errors.at(
            &mark.name,
            format!(
                "there is no place for the entity: add a field `#[feeder(entity)] entity: \
                 Option<Arc<…>>`, or write `{stated}` on the struct instead to get a \
                 `{name}Feeder`"
            ),
        );
    }
}

fn no_key(target: &Struct<'_>, slot: Slot, errors: &mut Errors) {
    let name = target.ident.unraw();
    let (fix, places) = match slot {
        Slot::Field(place) => (
            "put `#[feeder(key)]` on",
            target
                .fields
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != place)
                .collect::<Vec<_>>(),
        ),
        Slot::Companion => (
            "add `key = \"…\"` to `#[feeder(…)]` with",
            target.fields.iter().enumerate().collect(),
        ),
    };
    let names = places.iter().map(|(_, field)| field.name.as_str());
    let message = if places.is_empty() {
        format!("`{name}` has no key: add a field for it and put `#[feeder(key)]` on it")
    } else {
        format!("`{name}` has no key: {fix} {}", one_of(names))
    };
    errors.at(target.ident, message);
}

/// Whether the feeder asks for many, and whether the field for the answer agrees with its key.
fn many(target: &Struct<'_>, key: Option<&RequestKey>, slot: Slot, errors: &mut Errors) -> Places {
    let place = match slot {
        Slot::Field(at) => Places::of(target.fields[at].ty),
        Slot::Companion => Places::Unknown,
    };
    let held = |at: usize| Holder::of(target.fields[at].ty);
    let asked = match key {
        Some(RequestKey::Field(at)) => match held(*at) {
            Holder::One { .. } => Places::One,
            Holder::Many { .. } => Places::Many,
            Holder::Unordered => {
                errors.at(
                    target.fields[*at].ty,
                    "the answers come in the order of the keys, and this field has none to rely \
                     on: hold the keys in a `Vec`",
                );
                return Places::Unknown;
            }
        },
        Some(RequestKey::Typed(parts)) => {
            for part in parts {
                if !matches!(held(part.field), Holder::One { .. }) {
                    errors.at(
                        target.fields[part.field].ty,
                        "a part of a key is one value: for many keys of several parts, hold them \
                         in one field, a `Vec` of the entity's key type",
                    );
                }
            }
            Places::One
        }
        Some(RequestKey::Template(_) | RequestKey::Expression(_)) => Places::One,
        None => return place,
    };
    let Slot::Field(at) = slot else {
        return asked;
    };
    let wrong = match (asked, place) {
        (Places::Many, Places::One) => {
            "the key field holds many keys, and this is the place of one entity: make it a \
             `Vec<Option<Arc<…>>>`, or give the key field one key"
        }
        (Places::One, Places::Many) => {
            "there is one key, and this is the place of many entities: make it an \
             `Option<Arc<…>>`, or hold the keys in a field whose type is written as `Vec<…>`, \
             which an alias would hide"
        }
        _ => return asked,
    };
    errors.at(target.fields[at].ty, wrong);
    asked
}

fn name(target: &Struct<'_>, attr: &FeederAttr, slot: Slot, errors: &mut Errors) -> Option<Ident> {
    let Word {
        name: word,
        value: literal,
    } = attr.name.given()?;
    if let Slot::Field(_) = slot {
        errors.at(
            word,
            "`name` is for the feeder that is made around a request, and this struct is a feeder \
             itself: remove it",
        );
        return None;
    }
    let Ok(name) = literal.parse::<Ident>() else {
        errors.at(
            literal,
            format!(
                "`name` takes the name of a type, as in `name = \"{}Feeder\"`",
                target.ident.unraw()
            ),
        );
        return None;
    };
    if name.unraw() == target.ident.unraw() {
        errors.at(
            literal,
            "this is the name of the request: give the feeder another one",
        );
        return None;
    }
    Some(name)
}
