#![doc = include_str!("guide/index.md")]
#![doc = include_str!("guide/tables.html")]
#![cfg_attr(
    not(all(
        feature = "derive",
        feature = "json",
        feature = "memcached",
        feature = "metrics",
        feature = "redis",
        feature = "testing"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the pages are the same in every build, and name items of features"
    )
)]
// The code of the pages runs in `tests/guide`, `tests/migrations` and `tests/types`.

macro_rules! pages {
    ($($page:ident)*) => {$(
        #[doc = include_str!(concat!("guide/", stringify!($page), ".md"))]
        #[doc = include_str!("guide/tables.html")]
        pub mod $page {}
    )*};
}

pages! {
    getting_started
    strategies
    invalidation
    batches
    freshness
    testing
    operating
    watching
    deploying
    what_can_be_cached
    derives
    axum
    actix_web
    tonic
    sqlx
    sea_orm
    diesel
    from_cache_kit_0_9
    from_moka
    from_cached
}
