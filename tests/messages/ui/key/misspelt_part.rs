use cache_kit::{CacheEntity, CacheFeeder, DataRepository, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key("order_id", "itm_id"))]
struct Item {
    order_id: String,
    item_id: u32,
}

// Nothing follows from it here.
struct Items;

impl DataRepository<Item> for Items {
    async fn fetch_by_id(&self, key: &ItemKey) -> Result<Option<Item>> {
        let order_id = key.order_id.clone();
        let item_id = key.item_id;
        Ok(Some(Item { order_id, item_id }))
    }
}

#[derive(CacheFeeder)]
#[feeder(entity = Item, key("order_id", "item_id"))]
struct GetItem {
    order_id: String,
    item_id: u32,
}

fn main() {
    let key = ItemKey::new("7".into(), 3);
    let same = ItemKey { order_id: "7".into(), item_id: 3 };
    println!("{}", key == same);
}
