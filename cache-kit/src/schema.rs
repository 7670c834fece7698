//! [`CacheSchema`]: schema changes of a type inside an entity that its `Deserialize` does not show.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A type that declares what its `Deserialize` does not show and still changes the meaning of
/// stored bytes.
///
/// A remote store keeps an entity in postcard, which writes no names and no types. So a backend
/// finds out once, and completely, what the `Deserialize` of each entity reads: the names of fields
/// and variants, their order, kinds and lengths, in nested and foreign types, too. An entry that
/// was written by a type that reads something else is a miss. You have nothing to do for that.
///
/// A type can declare what `Deserialize` does not show. Derive `CacheSchema` on the structs and enums
/// inside your entities that have something to declare, **and on those between them and the entity**: a type
/// that does not implement it does not tell of what is inside.
///
/// | what changes | seen | by what |
/// |---|---|---|
/// | a field or variant: added, removed, renamed, moved | yes | `Deserialize` |
/// | the type of a field, at any depth, behind an alias, in a generic or foreign type | yes | `Deserialize` |
/// | the length of an array or tuple | yes | `Deserialize` |
/// | the name of a struct, enum or newtype, as serde has it: `Cents(i64)` to `Euros(i64)` | yes | `Deserialize` |
/// | `#[serde(alias)]` | yes: a miss, though the bytes are the same; serde lists aliases among the names | `Deserialize` |
/// | `#[serde(default)]`, `deny_unknown_fields`, `expecting`, `bound`, `borrow` | no need: the bytes are the same | |
/// | `Vec` to a set | **no**: the bytes are the same, in the order of a set. Raise `version` if the order counts | |
/// | `Vec` to `VecDeque`, `HashMap` to `BTreeMap`, `T` to `Box<T>` or `Arc<T>`, `String` to `Box<str>`, `Vec<u8>` to `Bytes` | no need: the bytes are the same | |
/// | the numbers of variants under `#[repr(u8)]` and the like, which `serde_repr` stores | where the enum derives `CacheSchema` | the derive |
/// | another function in `#[serde(with)]`, `serialize_with`, `deserialize_with`, or in what `serde_as` makes of its attributes; another type in `from`, `try_from`, `into` | where the type derives `CacheSchema` or `CacheEntity` | the derive |
/// | `#[cache(version = N)]` | where the type derives `CacheSchema` or `CacheEntity` | the derive |
/// | the same three of a type inside one that does not derive `CacheSchema`; behind an alias of a generic type; in a tuple of more than four; as an argument, named in capitals only (`SKU`), of a generic type that is not of the standard library; as a parameter without `#[cache(bound = "T: CacheSchema")]` | **no**: derive it, or name the type as it is | |
/// | what such a function does, or what a conversion does, under the same name | **no**: raise `version` | |
/// | a hand-written `Deserialize` that reads the same and takes it for something else | **no**: raise `version` | |
/// | what is inside a field that [`cache_kit::serde`](crate::serde) keeps as a text or as JSON, if the new type accepts the old text: another type that is written alike, a field with a default | **no**: raise `version` | |
/// | the meaning of the bits of a `bitflags` type | **no**: raise `version` | |
/// | a `#[serde(transparent)]` newtype around the same type: milliseconds to seconds | **no**: raise `version` | |
/// | what is behind a value that cannot be made up: a later element of a tuple, or a map's value, behind a type that refuses every value that is tried | **no**: raise `version` | |
/// | the elements behind the first of a sequence, where a hand-written `Deserialize` reads them as other types | **no**: raise `version` | |
/// | the elements of a tuple or an array behind the first 1,024 | **no**: raise `version` | |
/// | two types of one path, such as two structs of one name in one function, inside of one entity | **no** | |
///
/// A derived entity already implements `CacheSchema`. What a type declares counts by its place among the types
/// that implement it. A type of more than 65,536 parts, or of some MiB without what it points to, is not
/// stored.
///
/// ```
/// # #[cfg(feature = "derive")] {
/// use cache_kit::{CacheEntity, CacheSchema};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheSchema)]
/// #[cache(version = 2)] // 2: the names are in upper case
/// struct Address {
///     city: String,
/// }
///
/// #[derive(Clone, Serialize, Deserialize, CacheEntity)]
/// #[cache(key = "id")]
/// struct Customer {
///     id: u64,
///     address: Option<Address>, // another version of `Address` is another `Customer`
/// }
/// # }
/// ```
///
/// By hand, a number is enough:
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
    /// Adds this type and the types inside it to `schema`.
    fn cache_shape(schema: &mut Schema);
}

/// Combines what types declare into a number, which is the same on every platform.
pub struct Schema {
    /// 0 until something is added.
    state: u64,
    /// The types that have been added, so that each is added once.
    asked: Vec<TypeId>,
    /// How many of them may declare something of their own.
    declaring: u64,
    /// The number of the type that is being added.
    current: u64,
}

impl Schema {
    /// The number for everything that `T` and the types inside it declare; 0 if that is nothing.
    pub fn of<T: CacheSchema + ?Sized>() -> u64 {
        let mut schema = Self::new();
        schema.nested::<T>();
        schema.state
    }

    /// Adds a number, which counts as one of the type that adds it; 0 adds nothing.
    pub fn number(&mut self, number: u64) {
        if number != 0 {
            // Which type it is: the same number of another one is another schema.
            self.mix(self.current);
            self.mix(number);
        }
    }

    /// Adds a type inside this one.
    pub fn nested<T: CacheSchema + ?Sized>(&mut self) {
        self.ask(TypeId::of::<T>(), T::cache_shape);
    }

    // The generic functions above are compiled for every type of a service, so they only call
    // these.

    fn new() -> Self {
        Self {
            state: 0,
            asked: Vec::new(),
            declaring: 0,
            current: 0,
        }
    }

    /// The type that is being added declares nothing of its own, and never will.
    fn only_holds(&mut self) {
        self.declaring = self.declaring.saturating_sub(1);
    }

    fn ask(&mut self, id: TypeId, shape: fn(&mut Self)) {
        if !self.asked.contains(&id) {
            self.asked.push(id);
            self.declaring += 1;
            let outer = std::mem::replace(&mut self.current, self.declaring);
            shape(self);
            self.current = outer;
        }
    }

    /// FNV-1a over eight bytes.
    fn mix(&mut self, number: u64) {
        if self.state == 0 {
            self.state = 0xcbf2_9ce4_8422_2325;
        }
        for byte in number.to_le_bytes() {
            self.state ^= u64::from(byte);
            self.state = self.state.wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.state = self.state.max(1);
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("state", &format_args!("{:016x}", self.state))
            .field("types", &self.asked.len())
            .finish()
    }
}

/// Adds a type, whether it implements [`CacheSchema`] or not.
///
/// An inherent method takes precedence over one that needs a dereference. The first exists only for
/// types that implement the trait, which decides what `tell_cache_shape` is.
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
    /// Adds `T`.
    pub fn tell_cache_shape(&self, schema: &mut Schema) {
        schema.nested::<T>();
    }
}

impl<T: ?Sized> Deref for Probe<T> {
    type Target = Opaque;

    fn deref(&self) -> &Opaque {
        &Opaque
    }
}

/// A type that adds nothing.
#[derive(Debug)]
pub struct Opaque;

impl Opaque {
    /// Adds nothing.
    pub fn tell_cache_shape(&self, _: &mut Schema) {}
}

// Types of the standard library declare nothing themselves; they add the types inside them.
macro_rules! holders {
    ($([$($param:ident)*] $ty:ty;)*) => {$(
        impl<$($param: CacheSchema),*> CacheSchema for $ty {
            fn cache_shape(schema: &mut Schema) {
                schema.only_holds();
                $(schema.nested::<$param>();)*
            }
        }
    )*};
}

holders! {
    [] bool;
    [] u8;
    [] u16;
    [] u32;
    [] u64;
    [] usize;
    [] u128;
    [] i8;
    [] i16;
    [] i32;
    [] i64;
    [] isize;
    [] i128;
    [] f32;
    [] f64;
    [] char;
    [] String;
    [] str;
    [] ();
    [T] Option<T>;
    [T] Vec<T>;
    [T] VecDeque<T>;
    [T] [T];
    [T] BTreeSet<T>;
    [K V] BTreeMap<K, V>;
    [A] (A,);
    [A B] (A, B);
    [A B C] (A, B, C);
    [A B C D] (A, B, C, D);
}

impl<T: CacheSchema, S: 'static> CacheSchema for HashSet<T, S> {
    fn cache_shape(schema: &mut Schema) {
        schema.only_holds();
        schema.nested::<T>();
    }
}

impl<K: CacheSchema, V: CacheSchema, S: 'static> CacheSchema for HashMap<K, V, S> {
    fn cache_shape(schema: &mut Schema) {
        schema.only_holds();
        schema.nested::<K>();
        schema.nested::<V>();
    }
}

impl<T: CacheSchema, const N: usize> CacheSchema for [T; N] {
    fn cache_shape(schema: &mut Schema) {
        schema.only_holds();
        schema.nested::<T>();
    }
}

impl<T: CacheSchema + ?Sized> CacheSchema for Box<T> {
    fn cache_shape(schema: &mut Schema) {
        schema.only_holds();
        schema.nested::<T>();
    }
}

impl<T: CacheSchema + ?Sized> CacheSchema for Arc<T> {
    fn cache_shape(schema: &mut Schema) {
        schema.only_holds();
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

    /// Contains itself, through another type.
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
        // Stored entries contain it.
        assert_eq!(Schema::of::<Tree>(), 0x67ba_3879_e305_4aa1);
    }

    /// Two types side by side, of which some declare a number.
    struct Pair<const A: u64, const B: u64>;
    struct First<const N: u64>;
    struct Second<const N: u64>;
    /// Declares its own number last.
    struct Around<const N: u64, const INNER: u64>;
    impl<const N: u64, const INNER: u64> CacheSchema for Around<N, INNER> {
        fn cache_shape(schema: &mut Schema) {
            schema.nested::<First<INNER>>();
            schema.number(N);
        }
    }
    impl<const A: u64, const B: u64> CacheSchema for Pair<A, B> {
        fn cache_shape(schema: &mut Schema) {
            schema.nested::<First<A>>();
            schema.nested::<Option<Second<B>>>();
        }
    }
    impl<const N: u64> CacheSchema for First<N> {
        fn cache_shape(schema: &mut Schema) {
            schema.number(N);
        }
    }
    impl<const N: u64> CacheSchema for Second<N> {
        fn cache_shape(schema: &mut Schema) {
            schema.number(N);
        }
    }

    #[test]
    fn a_number_is_that_of_one_type() {
        let numbers = [
            Schema::of::<Pair<0, 0>>(),
            Schema::of::<Pair<1, 0>>(),
            Schema::of::<Pair<0, 1>>(),
            Schema::of::<Pair<1, 1>>(),
            Schema::of::<Around<1, 0>>(),
            Schema::of::<Around<1, 1>>(),
        ];
        for (at, number) in numbers.iter().enumerate() {
            assert!(!numbers[at + 1..].contains(number), "{at}: {numbers:?}");
        }
    }

    #[test]
    fn what_is_told_counts_and_nothing_else() {
        let all = [
            Schema::of::<Leaf>(),
            Schema::of::<Tree>(),
            Schema::of::<Branch>(),
            0,
        ];
        let distinct: HashSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        let leaf = Schema::of::<Leaf>();
        for same in [
            Schema::of::<Option<Vec<Leaf>>>(),
            Schema::of::<HashMap<u8, [Leaf; 3]>>(),
            Schema::of::<(u8, Box<[Leaf]>, Leaf, HashSet<Arc<Leaf>>)>(),
        ] {
            assert_eq!(same, leaf);
        }
        for nothing in [
            Schema::of::<u8>(),
            Schema::of::<(String, [u8; 3], ())>(),
            Schema::of::<BTreeMap<char, VecDeque<f64>>>(),
        ] {
            assert_eq!(nothing, 0);
        }
    }

    #[test]
    fn a_probe_tells_what_there_is_to_tell() {
        fn told(tell: impl Fn(&mut Schema)) -> u64 {
            let mut schema = Schema::new();
            tell(&mut schema);
            schema.state
        }
        let leaf = told(|schema| Probe::<Leaf>::NEW.tell_cache_shape(schema));
        assert_eq!(leaf, Schema::of::<Leaf>());
        assert_eq!(
            told(|schema| Probe::<Foreign>::NEW.tell_cache_shape(schema)),
            0
        );
        assert_eq!(
            told(|schema| Probe::<Vec<Foreign>>::NEW.tell_cache_shape(schema)),
            0
        );
    }
}
