//! placeholder
use crate::entity::CacheEntity;
use crate::error::Result;
use crate::repository::DynRepository;
use std::num::NonZeroUsize;
use std::sync::Arc;
#[derive(Clone)]
pub(crate) struct Coalesced<T: CacheEntity>(Arc<dyn DynRepository<T>>);
impl<T: CacheEntity> Coalesced<T> {
    pub(crate) fn new(inner: Arc<dyn DynRepository<T>>, _max: NonZeroUsize) -> Self {
        Self(inner)
    }
    pub(crate) async fn load(&self, id: &T::Key) -> Result<Option<T>> {
        self.0.fetch_by_id_boxed(id).await
    }
    pub(crate) async fn refresh(&self, id: &T::Key) -> Result<Option<T>> {
        self.0.fetch_by_id_boxed(id).await
    }
}
