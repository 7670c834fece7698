#[derive(CacheEntity)]
#[cache(key = "{year}/{number}")]
struct Invoice {
    year: u16,
    number: u32,
}

// ↓ expands to

#[automatically_derived]
impl kit::CacheEntity for Invoice {
    type Key = kit::String;
    fn cache_key(&self) -> kit::String {
        let mut __key = kit::String::new();
        kit::push_part::<u16>(&mut __key, &self.year);
        kit::String::push_str(&mut __key, "/");
        kit::push_part::<u32>(&mut __key, &self.number);
        __key
    }
    fn cache_prefix() -> &'static kit::str {
        "invoice"
    }
    fn cache_schema() -> kit::u64 {
        0
    }
}

#[automatically_derived]
impl kit::CacheSchema for Invoice {
    fn cache_shape(__schema: &mut kit::Schema) {
        __schema.number(0);
    }
}
