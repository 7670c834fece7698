//! A key that a function makes: for enums, for what has no fields, for a type of one's own.
use std::fmt;

use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = Self::id, key_type = u64)]
enum Animal {
    Cat { id: u64 },
    Dog(u64, String),
    Nobody,
}

impl Animal {
    fn id(&self) -> u64 {
        match self {
            Self::Cat { id } | Self::Dog(id, _) => *id,
            Self::Nobody => 0,
        }
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = the_one, key_type = &'static str)]
struct Settings;

fn the_one(_: &Settings) -> &'static str {
    "settings"
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Isbn(String);

impl fmt::Display for Isbn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Book> for Isbn {
    fn from(book: &Book) -> Self {
        Self(book.isbn.replace('-', ""))
    }
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key_with = <Isbn as From<&Book>>::from, key_type = Isbn)]
struct Book {
    isbn: String,
}

fn main() {
    assert_eq!(Animal::Cat { id: 1 }.cache_key(), 1);
    assert_eq!(Animal::Dog(2, "Rex".into()).cache_key(), 2);
    assert_eq!(Animal::Nobody.cache_key(), 0);
    assert_eq!(Settings.cache_key(), "settings");
    let book = Book { isbn: "978-3".into() };
    assert_eq!(book.cache_key(), Isbn("9783".into()));
}
