#[derive(CacheEntity)]
#[cache(prefix = "account", key_with = Self::number, key_type = u64, ttl = "1h30m", jitter = "2.5%", stale_while_revalidate = "30s", stale_if_error = "10m", answer_within = "50ms", refresh_ahead = 1, negative_ttl = "5s", max_bytes = "64KiB", version = 2, validate = Self::check)]
enum Account {
    Open { number: u64, owner: Owner },
    #[serde(rename = "shut")]
    Closed(u64),
}

// ↓ expands to

#[automatically_derived]
impl kit::CacheEntity for Account {
    type Key = u64;
    fn cache_key(&self) -> u64 {
        let __function: fn(_) -> u64 = Self::number;
        __function(self)
    }
    fn cache_prefix() -> &'static kit::str {
        "account"
    }
    fn cache_schema() -> kit::u64 {
        kit::Schema::of::<Self>()
    }
    fn cache_ttl() -> kit::Option<kit::Duration> {
        kit::Option::Some(kit::Duration::new(5400, 0))
    }
    fn cache_jitter() -> kit::Option<kit::f64> {
        kit::Option::Some(0.025)
    }
    fn cache_stale_while_revalidate() -> kit::Option<kit::Duration> {
        kit::Option::Some(kit::Duration::new(30, 0))
    }
    fn cache_stale_if_error() -> kit::Option<kit::Duration> {
        kit::Option::Some(kit::Duration::new(600, 0))
    }
    fn cache_refresh_ahead() -> kit::Option<kit::f64> {
        kit::Option::Some(1.0)
    }
    fn cache_answer_within() -> kit::Option<kit::Duration> {
        kit::Option::Some(kit::Duration::new(0, 50000000))
    }
    fn cache_negative_ttl() -> kit::Option<kit::Duration> {
        kit::Option::Some(kit::Duration::new(5, 0))
    }
    fn cache_max_bytes() -> kit::Option<kit::usize> {
        kit::Option::Some(65536)
    }
    fn cache_validate(&self) -> kit::Result<()> {
        let __function: fn(_) -> kit::Result<()> = Self::check;
        __function(self)
    }
}

#[automatically_derived]
impl kit::CacheSchema for Account {
    fn cache_shape(__schema: &mut kit::Schema) {
        __schema.number(2865810043208075542);
        kit::Probe::<Owner>::NEW.tell_cache_shape(__schema);
    }
}
