//! [`InventoryService`]: the calls of the .proto file.

use std::sync::Arc;

use cache_kit::observability::CacheStatus;
use cache_kit::{CacheStrategy, CachedRepository, Outcome};
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::item::Item;
use crate::proto;
use crate::proto::inventory_server::Inventory;
use crate::repository::{DatabaseError, Items};

/// Clones are cheap, and share everything.
#[derive(Clone)]
pub struct InventoryService {
    pub items: CachedRepository<Item>,
    pub database: Items,
    /// The writes that have begun. They go on without their clients.
    pub writes: TaskTracker,
}

#[tonic::async_trait]
impl Inventory for InventoryService {
    async fn get_item(
        &self,
        request: Request<proto::GetItemRequest>,
    ) -> Result<Response<proto::Item>, Status> {
        let sku = request.into_inner().sku;
        let (item, outcome) = self.items.get(&sku).with_outcome().await.map_err(failed)?;
        answer(item, outcome)
    }

    /// The server drops a call when its client gives up. So the write has a task of its own: between
    /// commit and invalidation nothing may drop it.
    async fn put_item(
        &self,
        request: Request<proto::Item>,
    ) -> Result<Response<proto::Item>, Status> {
        let write = self.clone().commit_and_invalidate(request.into_inner());
        let written = self.writes.spawn(write).await;
        let (item, outcome) = written
            .map_err(DatabaseError::from)
            .map_err(unavailable)??;
        answer(item, outcome)
    }
}

impl InventoryService {
    /// In this order: in the other one, a reader in between would put the old row back.
    async fn commit_and_invalidate(
        self,
        item: proto::Item,
    ) -> Result<(Option<Arc<Item>>, Outcome), Status> {
        let sku = item.sku.clone();
        if let Err(error) = self.database.put(item.into()).await {
            // It may be committed all the same, if the connection broke before the answer came.
            self.items.invalidate(&sku).await.map_err(failed)?;
            return Err(unavailable(error));
        }
        let now = self.items.get(&sku).strategy(CacheStrategy::Invalidate);
        now.with_outcome().await.map_err(failed)
    }
}

/// The item or NOT_FOUND, and in `cache-status` of the metadata what the cache did.
fn answer(item: Option<Arc<Item>>, outcome: Outcome) -> Result<Response<proto::Item>, Status> {
    let mut metadata = MetadataMap::new();
    if let Ok(status) = outcome.cache_status("inventory").to_string().parse() {
        metadata.insert(CacheStatus::NAME, status);
    }
    match item {
        Some(item) => {
            let mut response = Response::new(proto::Item::from(&*item));
            *response.metadata_mut() = metadata;
            Ok(response)
        }
        None => {
            let status = Status::not_found("no such item");
            Err(Status::with_metadata(
                status.code(),
                status.message(),
                metadata,
            ))
        }
    }
}

/// The cause goes to the log, and only the status to the client.
fn failed(error: cache_kit::Error) -> Status {
    tracing::error!("call failed: {error:?}");
    if error.is_retryable() {
        Status::unavailable("unavailable")
    } else {
        Status::internal("internal")
    }
}

fn unavailable(error: DatabaseError) -> Status {
    tracing::error!("write failed: {error:?}");
    Status::unavailable("unavailable")
}

impl From<proto::Item> for Item {
    fn from(item: proto::Item) -> Self {
        Self {
            sku: item.sku,
            name: item.name,
            stock: item.stock,
        }
    }
}

impl From<&Item> for proto::Item {
    fn from(item: &Item) -> Self {
        Self {
            sku: item.sku.clone(),
            name: item.name.clone(),
            stock: item.stock,
        }
    }
}
