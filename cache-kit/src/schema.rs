//! [`CacheSchema`]: what a type inside an entity adds to the entity's schema fingerprint.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A type that tells its shape to the schema fingerprint of the entities that hold it.
///
/// Derive it on the structs and enums inside your entities. When one of them changes, so does the
/// [`cache_schema`](crate::CacheEntity::cache_schema) of every entity around it, and an entry of
/// the older shape is a miss. An entity that is derived has it already.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use cache_kit::{CacheEntity, CacheSchema};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheSchema)]
/// struct Address {
///     city: String,
/// }
///
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id")]
/// struct Customer {
///     id: u64,
///     address: Option<Address>, // a change of `Address` changes `Customer::cache_schema()`
/// }
/// # }
/// ```
///
/// By hand, a number will do:
///
/// ```
/// use cache_kit::CacheSchema;
/// use cache_kit::entity::Schema;
///
/// struct Money(i128);
///
/// impl CacheSchema for Money {
///     fn cache_shape(schema: &mut Schema) {
///         schema.number(2); // the second way in which it is stored
///     }
/// }
/// ```
pub trait CacheSchema: 'static {
    /// Tells `schema` the shape of this type, and that of the types in it.
    fn cache_shape(schema: &mut Schema);
}

/// Gathers shapes into a number, which is the same on every platform.
pub struct Schema {
    state: u64,
    /// The types that have been told, so that a recursive one is told once.
    told: Vec<TypeId>,
}

/// What comes next. No sequence of these is the start of another.
#[derive(Clone, Copy)]
enum Mark {
    Number = 1,
    Enter,
    Leave,
    Again,
    Opaque,
}

impl Schema {
    /// The number that stands for `T`; never 0.
    pub fn of<T: CacheSchema + ?Sized>() -> u64 {
        Self::root(TypeId::of::<T>(), T::cache_shape)
    }

    /// Adds a number that stands for a shape.
    pub fn number(&mut self, number: u64) {
        self.mix(Mark::Number, number);
    }

    /// Adds the shape of a type inside this one.
    pub fn nested<T: CacheSchema + ?Sized>(&mut self) {
        self.enter(TypeId::of::<T>(), T::cache_shape);
    }

    // What is generic above is compiled for every type of a service: it does nothing but call these.

    fn root(id: TypeId, shape: fn(&mut Self)) -> u64 {
        let mut schema = Self {
            state: 0xcbf2_9ce4_8422_2325,
            told: Vec::new(),
        };
        schema.enter(id, shape);
        schema.state.max(1)
    }

    fn enter(&mut self, id: TypeId, shape: fn(&mut Self)) {
        match self.told.iter().position(|told| *told == id) {
            Some(at) => self.mix(Mark::Again, at as u64),
            None => {
                self.mix(Mark::Enter, 0);
                self.told.push(id);
                shape(self);
                self.mix(Mark::Leave, 0);
            }
        }
    }

    /// FNV-1a over the mark and eight bytes.
    fn mix(&mut self, mark: Mark, number: u64) {
        for byte in [mark as u8].into_iter().chain(number.to_le_bytes()) {
            self.state ^= u64::from(byte);
            self.state = self.state.wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("state", &format_args!("{:016x}", self.state))
            .field("types", &self.told.len())
            .finish()
    }
}

/// Asks a type for its shape, whether it has [`CacheSchema`] or not.
///
/// A method of its own goes before one that it is dereferenced for. The first is there only for
/// types that have the trait, so that `tell_cache_shape` is one or the other.
#[expect(
    missing_debug_implementations,
    reason = "it has no values outside of derived code"
)]
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Probe<T> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

impl<T: CacheSchema + ?Sized> Probe<T> {
    /// Adds the shape of `T`.
    pub fn tell_cache_shape(&self, schema: &mut Schema) {
        schema.enter(TypeId::of::<T>(), T::cache_shape);
    }
}

impl<T: ?Sized> Deref for Probe<T> {
    type Target = Opaque;

    fn deref(&self) -> &Opaque {
        &Opaque
    }
}

/// A type that says nothing of its shape. Its name has been counted where it stands.
#[derive(Debug)]
pub struct Opaque;

impl Opaque {
    /// Adds that there is nothing to add.
    pub fn tell_cache_shape(&self, schema: &mut Schema) {
        schema.mix(Mark::Opaque, 0);
    }
}

macro_rules! plain {
    ($($number:literal: $($ty:ty),*;)*) => {$($(
        impl CacheSchema for $ty {
            fn cache_shape(schema: &mut Schema) {
                schema.number($number);
            }
        }
    )*)*};
}

// What a number stands for never changes: it is in stored entries. Types that serde writes alike
// share one.
plain! {
    1: bool;
    2: u8;
    3: u16;
    4: u32;
    5: u64, usize;
    6: u128;
    7: i8;
    8: i16;
    9: i32;
    10: i64, isize;
    11: i128;
    12: f32;
    13: f64;
    14: char;
    15: String, str;
    16: ();
}

macro_rules! holders {
    ($($number:literal: [$($param:ident)*] $ty:ty;)*) => {$(
        impl<$($param: CacheSchema),*> CacheSchema for $ty {
            fn cache_shape(schema: &mut Schema) {
                schema.number($number);
                $(schema.nested::<$param>();)*
            }
        }
    )*};
}

holders! {
    32: [T] Option<T>;
    33: [T] Vec<T>;
    33: [T] VecDeque<T>;
    33: [T] [T];
    33: [T] BTreeSet<T>;
    34: [K V] BTreeMap<K, V>;
    35: [A] (A,);
    36: [A B] (A, B);
    37: [A B C] (A, B, C);
    38: [A B C D] (A, B, C, D);
}

impl<T: CacheSchema, S: 'static> CacheSchema for HashSet<T, S> {
    fn cache_shape(schema: &mut Schema) {
        Vec::<T>::cache_shape(schema);
    }
}

impl<K: CacheSchema, V: CacheSchema, S: 'static> CacheSchema for HashMap<K, V, S> {
    fn cache_shape(schema: &mut Schema) {
        BTreeMap::<K, V>::cache_shape(schema);
    }
}

impl<T: CacheSchema, const N: usize> CacheSchema for [T; N] {
    fn cache_shape(schema: &mut Schema) {
        schema.number(39);
        schema.number(N as u64);
        schema.nested::<T>();
    }
}

impl<T: CacheSchema + ?Sized> CacheSchema for Box<T> {
    fn cache_shape(schema: &mut Schema) {
        schema.nested::<T>();
    }
}

impl<T: CacheSchema + ?Sized> CacheSchema for Arc<T> {
    fn cache_shape(schema: &mut Schema) {
        schema.nested::<T>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Leaf;
    impl CacheSchema for Leaf {
        fn cache_shape(schema: &mut Schema) {
            schema.number(7);
        }
    }

    /// Holds itself, through another type.
    struct Tree;
    struct Branch;
    impl CacheSchema for Tree {
        fn cache_shape(schema: &mut Schema) {
            schema.number(1);
            schema.nested::<Vec<Branch>>();
            schema.nested::<Leaf>();
        }
    }
    impl CacheSchema for Branch {
        fn cache_shape(schema: &mut Schema) {
            schema.number(2);
            schema.nested::<Box<Tree>>();
        }
    }

    struct Foreign;

    #[test]
    fn a_number_is_the_same_for_ever() {
        // Entries in every store carry it.
        assert_eq!(Schema::of::<Tree>(), 0x28d7_b950_2681_f97b);
    }

    #[test]
    fn every_shape_has_a_number_of_its_own() {
        let mut seen = HashSet::new();
        for number in [
            Schema::of::<u8>(),
            Schema::of::<u16>(),
            Schema::of::<Leaf>(),
            Schema::of::<Tree>(),
            Schema::of::<Branch>(),
            Schema::of::<Option<Leaf>>(),
            Schema::of::<Vec<Leaf>>(),
            Schema::of::<Vec<Option<Leaf>>>(),
            Schema::of::<Option<Vec<Leaf>>>(),
            Schema::of::<[Leaf; 2]>(),
            Schema::of::<[Leaf; 3]>(),
            Schema::of::<(Leaf, u8)>(),
            Schema::of::<(u8, Leaf)>(),
            Schema::of::<((u8, u16), u16)>(),
            Schema::of::<(u8, (u16, u16))>(),
            Schema::of::<(u8, u8)>(),
            Schema::of::<HashMap<u8, Leaf>>(),
        ] {
            assert_ne!(number, 0);
            assert!(seen.insert(number));
        }
    }

    #[test]
    fn what_is_stored_alike_may_share_a_number() {
        assert_eq!(
            Schema::of::<HashMap<u8, Leaf>>(),
            Schema::of::<BTreeMap<u8, Leaf>>()
        );
        assert_eq!(Schema::of::<Vec<Leaf>>(), Schema::of::<HashSet<Leaf>>());
        assert_eq!(Schema::of::<Box<[u8]>>(), Schema::of::<Arc<[u8]>>());
    }

    #[test]
    fn a_probe_tells_what_there_is_to_tell() {
        fn told(tell: impl Fn(&mut Schema)) -> u64 {
            let mut schema = Schema {
                state: 0,
                told: Vec::new(),
            };
            tell(&mut schema);
            schema.state
        }
        let leaf = told(|schema| Probe::<Leaf>::NEW.tell_cache_shape(schema));
        let foreign = told(|schema| Probe::<Foreign>::NEW.tell_cache_shape(schema));
        assert_eq!(leaf, told(Schema::nested::<Leaf>));
        assert_eq!(foreign, told(|schema| schema.mix(Mark::Opaque, 0)));
        assert_eq!(
            foreign,
            told(|schema| Probe::<Vec<Foreign>>::NEW.tell_cache_shape(schema))
        );
    }
}
