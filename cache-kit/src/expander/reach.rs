//! [`Reach`]: how a call reaches its repository.

use crate::backend::CacheBackend;
use crate::entity::CacheEntity;

use super::load::Tasks;

/// A repository, and whether it outlives the call.
pub(crate) struct Reach<'c, B: CacheBackend, T: CacheEntity, R: ?Sized> {
    pub(super) repository: &'c R,
    /// What it is called in errors.
    pub(super) named: &'static str,
    /// Runs its loads in tasks of their own, if it outlives the call.
    pub(super) tasks: Option<&'c dyn Tasks<B, T>>,
}

impl<'c, B: CacheBackend, T: CacheEntity, R: ?Sized> Reach<'c, B, T, R> {
    /// A repository that is lent to the call.
    #[inline]
    pub(super) fn borrowed(repository: &'c R) -> Self {
        Self {
            repository,
            named: std::any::type_name::<R>(),
            tasks: None,
        }
    }
}

impl<B: CacheBackend, T: CacheEntity, R: ?Sized> Clone for Reach<'_, B, T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: CacheBackend, T: CacheEntity, R: ?Sized> Copy for Reach<'_, B, T, R> {}
