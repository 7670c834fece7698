use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Reading {
    id: f64,
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "{x}:{y}")]
struct Point {
    x: f32,
    y: std::primitive::f32,
}

fn main() {}
