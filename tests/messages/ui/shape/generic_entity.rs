use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Page<T> {
    id: u64,
    items: Vec<T>,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "grid", key = "id")]
struct Grid<const N: usize> {
    id: u64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Borrowing<'a> {
    id: &'a str,
}

// Not an error of its own.
fn prefix(_: &Page<String>) -> &'static str {
    Page::<String>::cache_prefix()
}

fn main() {
    let _ = prefix;
}
