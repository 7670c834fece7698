use cache_kit::CacheEntity;

#[derive(CacheEntity)]
#[cache(key = "id")]
struct User {
    id: u64,
}

// Nothing follows from it here.
fn wants<T: CacheEntity>() {}

fn main() {
    wants::<User>();
}
