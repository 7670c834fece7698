//! [`forward_backend!`](crate::forward_backend): a backend that wraps another one writes only what it
//! changes.

/// Writes methods of a [`CacheBackend`](crate::backend::CacheBackend) that call the same method of a
/// field.
///
/// Name the field, and the methods to forward; write the others yourself. Without names, all are
/// forwarded. To forward `lease`, `store`, `release` or their batches, `type Lease` must be that of the wrapped
/// backend.
///
/// Forwarding everything that is not changed matters: a method that is left out gets the trait's
/// default, which takes a batch apart, or forgets what the wrapped backend knows.
/// `#[deny(clippy::missing_trait_methods)]` on the impl finds what was forgotten.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use cache_kit::backend::{CacheBackend, InMemoryBackend, Invalidated};
/// use cache_kit::{CacheEntity, Result};
///
/// /// Counts invalidations.
/// struct Counting {
///     inner: InMemoryBackend,
///     invalidations: AtomicU64,
/// }
///
/// impl CacheBackend for Counting {
///     type Lease = <InMemoryBackend as CacheBackend>::Lease;
///
///     cache_kit::forward_backend!(inner: try_get, get, get_again, lease, store, release);
///     cache_kit::forward_backend!(inner: get_many, lease_many, store_many, release_many);
///     cache_kit::forward_backend!(inner: invalidate_text, is_cold, scope, default_ttl, watch, meet);
///     cache_kit::forward_backend!(inner: clear_prefix, ping, health, entries);
///
///     async fn invalidate<T: CacheEntity>(&self, key: &str) -> Result<Invalidated> {
///         self.invalidations.fetch_add(1, Ordering::Relaxed);
///         self.inner.invalidate::<T>(key).await
///     }
///
///     async fn invalidate_many<T: CacheEntity>(&self, keys: &[&str]) -> Vec<Result<Invalidated>> {
///         self.invalidations.fetch_add(keys.len() as u64, Ordering::Relaxed);
///         self.inner.invalidate_many::<T>(keys).await
///     }
/// }
/// ```
#[macro_export]
macro_rules! forward_backend {
    ($inner:ident) => {
        $crate::forward_backend!(
            $inner: try_get, get, get_again, lease, store, release, invalidate, invalidate_text
        );
        $crate::forward_backend!(
            $inner: get_many, lease_many, store_many, release_many, invalidate_many
        );
        $crate::forward_backend!($inner: is_cold, scope, default_ttl, watch, meet);
        $crate::forward_backend!($inner: clear_prefix, ping, health, entries);
    };
    ($inner:ident: $($method:ident),+ $(,)?) => {
        $($crate::forward_backend!(@$method $inner);)+
    };
    (@try_get $inner:ident) => {
        #[inline]
        fn try_get<T: $crate::CacheEntity>(
            &self,
            key: $crate::CacheKey<'_, T>,
            now: $crate::clock::Timestamp,
        ) -> ::core::option::Option<$crate::entry::Entry<T>> {
            $crate::backend::CacheBackend::try_get(&self.$inner, key, now)
        }
    };
    (@get $inner:ident) => {
        fn get<T: $crate::CacheEntity>(
            &self,
            key: &str,
            now: $crate::clock::Timestamp,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Lookup<T>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::get(&self.$inner, key, now)
        }
    };
    (@get_again $inner:ident) => {
        fn get_again<T: $crate::CacheEntity>(
            &self,
            key: &str,
            now: $crate::clock::Timestamp,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Lookup<T>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::get_again(&self.$inner, key, now)
        }
    };
    (@lease $inner:ident) => {
        fn lease<T: $crate::CacheEntity>(
            &self,
            key: &str,
            request: $crate::backend::LeaseRequest,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Leased<Self::Lease>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::lease::<T>(&self.$inner, key, request)
        }
    };
    (@store $inner:ident) => {
        fn store<T: $crate::CacheEntity>(
            &self,
            key: &str,
            lease: Self::Lease,
            entry: $crate::entry::Entry<T>,
            now: $crate::clock::Timestamp,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Stored>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::store(&self.$inner, key, lease, entry, now)
        }
    };
    (@release $inner:ident) => {
        fn release<T: $crate::CacheEntity>(
            &self,
            key: &str,
            lease: Self::Lease,
        ) -> impl ::core::future::Future<Output = $crate::Result<()>> + ::core::marker::Send {
            $crate::backend::CacheBackend::release::<T>(&self.$inner, key, lease)
        }
    };
    (@invalidate $inner:ident) => {
        fn invalidate<T: $crate::CacheEntity>(
            &self,
            key: &str,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Invalidated>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::invalidate::<T>(&self.$inner, key)
        }
    };
    (@invalidate_text $inner:ident) => {
        fn invalidate_text(
            &self,
            key: &str,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Invalidated>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::invalidate_text(&self.$inner, key)
        }
    };
    (@get_many $inner:ident) => {
        fn get_many<T: $crate::CacheEntity>(
            &self,
            keys: &[&str],
            now: $crate::clock::Timestamp,
        ) -> impl ::core::future::Future<
            Output = ::std::vec::Vec<$crate::Result<$crate::backend::Lookup<T>>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::get_many(&self.$inner, keys, now)
        }
    };
    (@lease_many $inner:ident) => {
        fn lease_many<T: $crate::CacheEntity>(
            &self,
            requests: &[(&str, $crate::backend::LeaseRequest)],
        ) -> impl ::core::future::Future<
            Output = ::std::vec::Vec<$crate::Result<$crate::backend::Leased<Self::Lease>>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::lease_many::<T>(&self.$inner, requests)
        }
    };
    (@store_many $inner:ident) => {
        fn store_many<T: $crate::CacheEntity>(
            &self,
            entries: ::std::vec::Vec<(&str, Self::Lease, $crate::entry::Entry<T>)>,
            now: $crate::clock::Timestamp,
        ) -> impl ::core::future::Future<
            Output = ::std::vec::Vec<$crate::Result<$crate::backend::Stored>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::store_many(&self.$inner, entries, now)
        }
    };
    (@release_many $inner:ident) => {
        fn release_many<T: $crate::CacheEntity>(
            &self,
            leases: ::std::vec::Vec<(&str, Self::Lease)>,
        ) -> impl ::core::future::Future<
            Output = ::std::vec::Vec<$crate::Result<()>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::release_many::<T>(&self.$inner, leases)
        }
    };
    (@invalidate_many $inner:ident) => {
        fn invalidate_many<T: $crate::CacheEntity>(
            &self,
            keys: &[&str],
        ) -> impl ::core::future::Future<
            Output = ::std::vec::Vec<$crate::Result<$crate::backend::Invalidated>>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::invalidate_many::<T>(&self.$inner, keys)
        }
    };
    (@scope $inner:ident) => {
        fn scope(&self) -> $crate::backend::Scope {
            $crate::backend::CacheBackend::scope(&self.$inner)
        }
    };
    (@is_cold $inner:ident) => {
        fn is_cold(&self, key: &str) -> bool {
            $crate::backend::CacheBackend::is_cold(&self.$inner, key)
        }
    };
    (@default_ttl $inner:ident) => {
        fn default_ttl(&self) -> ::core::option::Option<::core::time::Duration> {
            $crate::backend::CacheBackend::default_ttl(&self.$inner)
        }
    };
    (@watch $inner:ident) => {
        fn watch(
            &self,
            listener: ::std::sync::Weak<dyn $crate::observability::CacheMetrics>,
        ) {
            $crate::backend::CacheBackend::watch(&self.$inner, listener);
        }
    };
    (@meet $inner:ident) => {
        fn meet(&self, entity: $crate::backend::EntityType<'_>) -> $crate::Result<()> {
            $crate::backend::CacheBackend::meet(&self.$inner, entity)
        }
    };
    (@clear_prefix $inner:ident) => {
        fn clear_prefix(
            &self,
            beginning: &str,
        ) -> impl ::core::future::Future<
            Output = $crate::Result<$crate::backend::Cleared>,
        > + ::core::marker::Send {
            $crate::backend::CacheBackend::clear_prefix(&self.$inner, beginning)
        }
    };
    (@ping $inner:ident) => {
        fn ping(
            &self,
        ) -> impl ::core::future::Future<Output = $crate::Result<()>> + ::core::marker::Send {
            $crate::backend::CacheBackend::ping(&self.$inner)
        }
    };
    (@health $inner:ident) => {
        fn health(&self) -> ::core::option::Option<$crate::backend::Health> {
            $crate::backend::CacheBackend::health(&self.$inner)
        }
    };
    (@entries $inner:ident) => {
        fn entries(&self) -> ::core::option::Option<u64> {
            $crate::backend::CacheBackend::entries(&self.$inner)
        }
    };
}
