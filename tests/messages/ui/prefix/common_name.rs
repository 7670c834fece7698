use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Model {
    id: u64,
}

mod tag {
    use super::*;

    #[derive(Clone, Serialize, Deserialize, CacheEntity)]
    #[cache(key_with = Self::id, key_type = u64)]
    enum Row {
        A(u64),
    }

    impl Row {
        fn id(&self) -> u64 {
            let Self::A(id) = self;
            *id
        }
    }
}

fn main() {}
