use cache_kit::CacheEntity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(prefix = "order item", key("order_id", "itm_id"), ttl = "1 hour", versoin = 2)]
struct OrderItem {
    order_id: String,
    item_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

// None of this is an error of its own: the entity is there, and so is its key.
fn text(item: &OrderItem) -> String {
    let key: OrderItemKey = item.cache_key();
    format!("{}:{key}", OrderItem::cache_prefix())
}

fn main() {
    let _ = text;
}
