use cache_kit::CacheSchema;

#[derive(CacheSchema)]
#[cache(prefix = "address", version = 2)]
struct Address {
    #[cache(key)]
    id: u64,
    city: String,
}

fn main() {}
