//! What derived feeders use: fields that hold keys, and fields that take answers.

use std::fmt::{Debug, Formatter, Result as FmtResult};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::entity::CacheEntity;
use crate::error::Result;

/// The key of an entity.
pub type Key<T> = <T as CacheEntity>::Key;

/// A field from which the key of an entity is made: its owned form is `Into` the key.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be the key: the entity's key is `{K}`",
    label = "neither `{K}` nor `Into<{K}>`",
    note = "give the field the type `{K}`, or say how the key is made of it, as in `key = \"…\"` \
            with an expression over the fields",
    note = "many keys are in a field whose type is written as `Vec<…>` or as a slice: an alias hides \
            that from the derive"
)]
pub trait KeyField<K> {
    /// The key.
    fn to_key(&self) -> K;
}

#[diagnostic::do_not_recommend]
impl<F, K> KeyField<K> for F
where
    F: ?Sized + ToOwned<Owned: Into<K>>,
{
    fn to_key(&self) -> K {
        self.to_owned().into()
    }
}

/// A field from which a part of a typed key is made.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be this part of the key, which is a `{K}`",
    label = "neither `{K}` nor `Into<{K}>`",
    note = "give the field the type `{K}`"
)]
pub trait KeyPart<K> {
    /// The part.
    fn to_part(&self) -> K;
}

#[diagnostic::do_not_recommend]
impl<F, K> KeyPart<K> for F
where
    F: ?Sized + ToOwned<Owned: Into<K>>,
{
    fn to_part(&self) -> K {
        self.to_owned().into()
    }
}

/// What an expression gives for a key.
#[diagnostic::on_unimplemented(
    message = "the key is given as a `{Self}`: the entity's key is `{K}`",
    label = "neither `{K}` nor `Into<{K}>`"
)]
pub trait KeyValue<K> {
    /// The key.
    fn into_key(self) -> K;
}

#[diagnostic::do_not_recommend]
impl<V: Into<K>, K> KeyValue<K> for V {
    fn into_key(self) -> K {
        self.into()
    }
}

/// The keys that the fields of a batch hold.
pub fn to_keys<F: KeyField<K>, K>(fields: &[F]) -> Vec<K> {
    fields.iter().map(F::to_key).collect()
}

/// The keys behind references.
pub fn to_keys_behind<F: ?Sized + KeyField<K>, K>(fields: &[&F]) -> Vec<K> {
    fields.iter().map(|field| F::to_key(field)).collect()
}

/// Whether a field has the type of the key. If it has, `Same::cast` is the inherent function;
/// otherwise it is that of [`Different`].
pub struct Same<F: ?Sized, K>(PhantomData<fn(&F) -> K>);

impl<K> Same<K, K> {
    /// The field, which is the key.
    pub fn cast(field: &K) -> Option<&K> {
        Some(field)
    }
}

/// A field and a key of different types.
pub trait Different<F: ?Sized, K> {
    /// No key.
    fn cast(_: &F) -> Option<&K> {
        None
    }
}

impl<F: ?Sized, K> Different<F, K> for Same<F, K> {}

/// A hook function with these arguments.
#[diagnostic::on_unimplemented(
    message = "this hook is called as a `fn{Args} -> cache_kit::Result<()>`, and `{Self}` is something \
               else",
    label = "not a `fn{Args} -> cache_kit::Result<()>`",
    note = "a hook gets the struct that `#[derive(CacheFeeder)]` stands on, also where a feeder is \
            generated around it"
)]
pub trait Hook<Args> {
    /// Calls it.
    ///
    /// # Errors
    /// The error of the function.
    fn call(self, args: Args) -> Result<()>;
}

macro_rules! hooks {
    ($(($($arg:ident $name:ident),*))*) => {$(
        #[diagnostic::do_not_recommend]
        impl<F: FnOnce($($arg),*) -> Result<()>, $($arg),*> Hook<($($arg,)*)> for F {
            fn call(self, ($($name,)*): ($($arg,)*)) -> Result<()> {
                self($($name),*)
            }
        }

        // Never applies. It makes the compiler report that `Hook` is missing: see `Storable`.
        #[diagnostic::do_not_recommend]
        impl<F, $($arg),*> Hook<($($arg,)*)> for F
        where
            [F]: Sized,
        {
            fn call(self, _: ($($arg,)*)) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

hooks! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
}

/// A field that a feeder puts the answer into.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no place for a `{T}`",
    label = "neither `Option<{T}>` nor `Option<Arc<{T}>>`",
    note = "`Option<Arc<{T}>>` shares the cache's own copy, `Option<{T}>` clones it"
)]
pub trait EntityField<T> {
    /// Puts an owned answer.
    fn put(&mut self, entity: Option<T>);

    /// Puts the answer as the cache holds it.
    fn share(&mut self, entity: Option<Arc<T>>);
}

#[diagnostic::do_not_recommend]
impl<T: Clone> EntityField<T> for Option<T> {
    fn put(&mut self, entity: Option<T>) {
        *self = entity;
    }

    fn share(&mut self, entity: Option<Arc<T>>) {
        *self = entity.map(Arc::unwrap_or_clone);
    }
}

#[diagnostic::do_not_recommend]
impl<T> EntityField<T> for Option<Arc<T>> {
    fn put(&mut self, entity: Option<T>) {
        *self = entity.map(Arc::new);
    }

    fn share(&mut self, entity: Option<Arc<T>>) {
        *self = entity;
    }
}

/// A field that a feeder puts the answers of a batch into.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no place for many `{T}`",
    label = "neither `Vec<Option<Arc<{T}>>>` nor `Vec<Option<{T}>>`",
    note = "there is an answer for each key, in the order of the keys, and `None` where there is \
            no entity"
)]
pub trait EntitiesField<T> {
    /// Puts the answers.
    fn put_many(&mut self, entities: Vec<Option<Arc<T>>>);
}

#[diagnostic::do_not_recommend]
impl<T> EntitiesField<T> for Vec<Option<Arc<T>>> {
    fn put_many(&mut self, entities: Vec<Option<Arc<T>>>) {
        *self = entities;
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone> EntitiesField<T> for Vec<Option<T>> {
    fn put_many(&mut self, entities: Vec<Option<Arc<T>>>) {
        let owned = |entity: Option<Arc<T>>| entity.map(Arc::unwrap_or_clone);
        *self = entities.into_iter().map(owned).collect();
    }
}

/// The `Debug` of a feeder that is generated for a request.
pub fn debug_feeder(f: &mut Formatter<'_>, name: &str, answered: bool) -> FmtResult {
    f.debug_struct(name)
        .field("answered", &answered)
        .finish_non_exhaustive()
}

impl<F: ?Sized, K> Debug for Same<F, K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str("Same")
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt::Display;

    use super::*;

    #[test]
    fn what_std_converts_makes_a_key() {
        fn text<K: Display, F: ?Sized + KeyField<K> + Display>(field: &F) {
            assert_eq!(field.to_key().to_string(), field.to_string());
        }
        text::<String, str>("a:b");
        text::<String, _>(&String::from("ä"));
        text::<String, &str>(&"x");
        text::<String, Cow<'_, str>>(&Cow::Borrowed("x"));
        text::<String, Box<str>>(&"x".into());
        text::<Arc<str>, str>("x");
        text::<u128, _>(&u64::MAX);
        text::<i16, _>(&u8::MAX);
        text::<isize, _>(&i8::MIN);
    }

    #[test]
    fn only_the_key_itself_is_borrowed() {
        let id = String::from("42");
        assert!(Same::<String, String>::cast(&id).is_some_and(|key| std::ptr::eq(key, &id)));
        assert_eq!(Same::<str, String>::cast("42"), None);
        assert_eq!(Same::<u32, u64>::cast(&42), None);
        assert_eq!(Same::<u32, u32>::cast(&42), Some(&42));
    }

    #[test]
    fn an_arc_field_stores_the_arc() {
        let shared = Arc::new(String::from("entity"));
        let mut field: Option<Arc<String>> = None;
        EntityField::<String>::share(&mut field, Some(Arc::clone(&shared)));
        assert!(field.is_some_and(|stored| Arc::ptr_eq(&stored, &shared)));

        let mut fields: Vec<Option<Arc<String>>> = Vec::new();
        fields.put_many(vec![None, Some(Arc::clone(&shared))]);
        assert!(fields[0].is_none());
        assert!(
            fields[1]
                .as_ref()
                .is_some_and(|stored| Arc::ptr_eq(stored, &shared))
        );
    }
}
