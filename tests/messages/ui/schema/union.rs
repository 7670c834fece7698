use cache_kit::CacheSchema;

#[derive(CacheSchema)]
union Number {
    id: u64,
    other: i64,
}

fn main() {}
