//! `CacheSchema` on every shape, and beside types that don't have it.
#![deny(warnings)]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use cache_kit::{CacheEntity, CacheSchema};
use serde::{Deserialize, Serialize};

/// Somebody else's, whatever they derive.
mod foreign {
    #[derive(Clone, serde::Serialize, serde::Deserialize, PartialEq, Eq, Hash)]
    pub struct Uuid(pub u128);
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub struct Grid<const N: usize>(pub Vec<u8>);
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    pub struct Tagged<T>(pub T);
}

const SIZE: usize = 3;

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
#[cache(version = 3, crate = "::cache_kit")]
struct Address {
    city: String,
    country: Country,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
enum Country {
    Known(u8),
    Named { name: Name<'static>, id: foreign::Uuid },
    Nowhere,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Name<'a>(Cow<'a, str>);

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Unit;

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Either<T, const N: usize>(T, Unit);

// Recursive, and through another type.
#[derive(Clone, Serialize, Deserialize, CacheSchema)]
struct Tree {
    branches: Vec<Branch>,
    left: Option<Box<Self>>,
    right: Option<Box<Tree>>,
}

#[derive(Clone, Serialize, Deserialize, CacheSchema)]
enum Branch {
    Leaf,
    Tree(Box<Tree>),
}

type Addresses = Vec<Address>;

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Customer {
    id: u64,
    address: Option<Box<str>>,
    all: (Addresses, [Address; 2], HashMap<foreign::Uuid, Box<[Address]>>),
    trees: BTreeMap<String, Tree>,
    grids: (foreign::Grid<SIZE>, foreign::Grid<{ 1 + 2 }>, foreign::Grid<4>),
    tagged: foreign::Tagged<Either<Country, SIZE>>,
    other: Result<Box<Customer>, <Vec<Unit> as IntoIterator>::Item>,
}

fn main() {
    assert_ne!(Customer::cache_schema(), 0);
    let tree = serde_free_tree();
    drop(tree);
    drop([Country::Known(1), Country::Nowhere]);
    drop(foreign::Grid::<SIZE>(Vec::new()));
}

fn serde_free_tree() -> Tree {
    let leaf = Tree { branches: vec![Branch::Leaf], left: None, right: None };
    Tree { branches: vec![Branch::Tree(Box::new(leaf))], left: None, right: None }
}
