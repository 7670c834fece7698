//! Some hundred types, each stored once and read as every other type.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is what a test is for"
)]

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

use cache_kit_shapes::{Store, Value};
use serde::{Deserialize, Serialize};

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One type of the family.
struct Kin {
    name: &'static str,
    store: for<'a> fn(&'a Store) -> Later<'a, ()>,
    hits: for<'a> fn(&'a Store) -> Later<'a, bool>,
}

/// A value of each type. They are chosen so that many other types can read their bytes, too: small
/// numbers, and texts and sequences of one element.
trait Sample: Value {
    fn sample() -> Self;
}

macro_rules! samples {
    ($($ty:ty = $value:expr;)*) => {$(
        impl Sample for $ty {
            fn sample() -> Self {
                $value
            }
        }
    )*};
}

macro_rules! own {
    ($($item:item)*) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        $item
    )*};
}

own! {
    struct A { a: u8 }
    struct B { b: u8 }
    struct AB { a: u8, b: u8 }
    struct BA { b: u8, a: u8 }
    struct One(u8);
    struct Two(u8, u8);
    struct Uno(u8);
    struct Empty;
    struct Braces {}
    enum E { A, B }
    enum F { B, A }
    enum G { A, B, C }
    enum H { A(u8), B(u8) }
    enum I { A { x: u8 }, B(u8) }
    enum J { A { y: u8 }, B(u8) }
    enum K { A, B(u8, u8) }
    enum L { A, B((u8, u8)) }
    struct List { a: u8, next: Option<Box<List>> }
    struct Tree { a: u8, next: Vec<Tree> }
}

samples! {
    bool = true;
    u8 = 1;
    u16 = 1;
    u32 = 1;
    u64 = 1;
    u128 = 1;
    i8 = 1;
    i16 = 1;
    i32 = 1;
    i64 = 1;
    i128 = 1;
    f32 = 1.0;
    f64 = 1.0;
    char = 'a';
    String = "a".to_owned();
    () = ();
    A = A { a: 1 };
    B = B { b: 1 };
    AB = AB { a: 1, b: 1 };
    BA = BA { b: 1, a: 1 };
    One = One(1);
    Two = Two(1, 1);
    Uno = Uno(1);
    Empty = Empty;
    Braces = Braces {};
    E = E::B;
    F = F::A;
    G = G::C;
    H = H::B(1);
    I = I::A { x: 1 };
    J = J::A { y: 1 };
    K = K::B(1, 1);
    L = L::B((1, 1));
    List = List { a: 1, next: Some(Box::new(List { a: 1, next: None })) };
    Tree = Tree { a: 1, next: vec![Tree { a: 1, next: vec![] }] };
    std::time::Duration = std::time::Duration::new(1, 1);
    uuid::Uuid = uuid::Uuid::nil();
    std::net::IpAddr = std::net::Ipv4Addr::new(1, 1, 1, 1).into();
    std::net::Ipv4Addr = std::net::Ipv4Addr::new(1, 1, 1, 1);
}

impl<T: Sample> Sample for Option<T> {
    fn sample() -> Self {
        Some(T::sample())
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample() -> Self {
        vec![T::sample()]
    }
}

impl<T: Sample> Sample for [T; 1] {
    fn sample() -> Self {
        [T::sample()]
    }
}

impl<T: Sample> Sample for BTreeMap<u8, T> {
    fn sample() -> Self {
        Self::from([(1, T::sample())])
    }
}

fn kin<T: Sample>() -> Kin {
    Kin {
        name: std::any::type_name::<T>(),
        store: |store| Box::pin(async { store.put(T::sample()).await.unwrap() }),
        hits: |store| Box::pin(async { store.get::<T>().await.unwrap().is_some() }),
    }
}

macro_rules! family {
    ($($ty:ty),* $(,)?) => {
        vec![$(
            kin::<$ty>(),
            kin::<Option<$ty>>(),
            kin::<Vec<$ty>>(),
            kin::<BTreeMap<u8, $ty>>(),
        )*]
    };
}

/// Types that are bytes to serde are read as bytes.
const ALIKE: [(&str, &str); 1] = [("uuid::Uuid", "alloc::vec::Vec<u8>")];

#[tokio::test]
async fn no_type_is_read_as_another() {
    let mut family = family![
        bool,
        u8,
        u16,
        u32,
        u64,
        u128,
        i8,
        i16,
        i32,
        i64,
        i128,
        f32,
        f64,
        char,
        String,
        (),
        A,
        B,
        AB,
        BA,
        One,
        Two,
        Uno,
        Empty,
        Braces,
        E,
        F,
        G,
        H,
        I,
        J,
        K,
        L,
        List,
        Tree,
        std::time::Duration,
        uuid::Uuid,
        std::net::IpAddr,
        std::net::Ipv4Addr,
    ];
    family.extend([kin::<[u8; 1]>(), kin::<[[u8; 1]; 1]>(), kin::<[u16; 1]>()]);
    let mut wrong = Vec::new();
    for one in &family {
        let store = Store::default();
        (one.store)(&store).await;
        for other in &family {
            let hits = (other.hits)(&store).await;
            if hits != (one.name == other.name || ALIKE.contains(&(one.name, other.name))) {
                wrong.push((one.name, other.name));
            }
        }
    }
    assert_eq!(wrong, []);
    assert!(family.len() > 150, "{}", family.len());
}

#[tokio::test]
async fn a_hash_map_is_read_as_a_sorted_one() {
    let store = Store::default();
    let map: HashMap<u8, A> = (0..50).map(|n| (n, A { a: n })).collect();
    store.put(map).await.unwrap();
    let sorted: BTreeMap<u8, A> = store.get().await.unwrap().unwrap();
    assert!(sorted.iter().all(|(n, a)| *n == a.a));
}
