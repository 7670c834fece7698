use cache_kit::CacheSchema;

#[derive(CacheSchema)]
#[cache(versoin = 2)]
struct Address {
    #[cache(city)]
    city: String,
}

fn main() {}
