#[derive(CacheEntity)]
#[cache(key = "id")]
struct User {
    id: String,
    name: String,
}

// ↓ expands to

#[automatically_derived]
impl kit::CacheEntity for User {
    type Key = String;
    fn cache_key(&self) -> String {
        kit::Clone::clone(&self.id)
    }
    fn cache_prefix() -> &'static kit::str {
        "user"
    }
    fn cache_schema() -> kit::u64 {
        0
    }
}

#[automatically_derived]
impl kit::CacheSchema for User {
    fn cache_shape(__schema: &mut kit::Schema) {
        __schema.number(0);
    }
}
