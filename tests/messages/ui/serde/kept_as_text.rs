use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Place {
    id: u64,
    #[serde(with = "cache_kit::serde::text")]
    at: Point,
    #[serde(with = "cache_kit::serde::text")]
    earlier: Option<Vec<Point>>,
}

fn main() {}
