use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

macro_rules! keyed {
    ($name:ident, $template:literal) => {
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        #[cache(key = $template)]
        struct $name {
            id: String,
        }
    };
}

keyed!(NotClosed, "user:{id");
keyed!(NotOpened, "user:id}");
keyed!(NoName, "user:{}");
keyed!(NoField, "{{id}}");
keyed!(Format, "{id:>8}");
keyed!(Blanks, "{ id }");

fn main() {}
