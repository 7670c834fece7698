#[derive(CacheEntity)]
#[cache(prefix_with = T::page_prefix, key = "number", bound = "T: Paged")]
struct Page<T> {
    number: u32,
    rows: Vec<T>,
}

// ↓ expands to

#[automatically_derived]
impl<T> kit::CacheEntity for Page<T>
where
    T: Paged,
    Page<T>: kit::Storable + kit::Send + kit::Sync + 'static,
{
    type Key = u32;
    fn cache_key(&self) -> u32 {
        kit::Clone::clone(&self.number)
    }
    fn cache_prefix() -> &'static kit::str {
        let __function: fn() -> &'static kit::str = T::page_prefix;
        __function()
    }
    fn cache_schema() -> kit::u64 {
        kit::Schema::of::<Self>()
    }
}

#[automatically_derived]
impl<T> kit::CacheSchema for Page<T>
where
    T: Paged,
    Page<T>: kit::Storable + kit::Send + kit::Sync + 'static,
{
    fn cache_shape(__schema: &mut kit::Schema) {
        __schema.number(0);
        kit::Probe::<T>::NEW.tell_cache_shape(__schema);
    }
}
