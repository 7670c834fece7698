//! Requests that macros write: types, names and attributes come from somewhere else.
use std::sync::Arc;

use cache_kit::{CacheEntity, CacheFeed, CacheFeedMany, CacheFeeder};
use serde::{Deserialize, Serialize};

macro_rules! resource {
    ($entity:ident, $key:ty, $get:ident, $many:ident, $feeder:ident, $id:ident, $name:literal) => {
        #[derive(Clone, Serialize, Deserialize, CacheEntity)]
        #[cache(key = $name)]
        struct $entity {
            $id: $key,
        }

        #[derive(CacheFeeder)]
        #[feeder(entity = $entity, key = $name)]
        struct $get {
            $id: $key,
        }

        #[derive(CacheFeeder)]
        #[feeder(entity = $entity, key = "ids")]
        struct $many {
            ids: Vec<$key>,
        }

        #[derive(CacheFeeder)]
        #[feeder(entity = $entity)]
        struct $feeder {
            #[feeder(key)]
            $id: $key,
            #[feeder(entity)]
            found: Option<Arc<$entity>>,
        }
    };
}

resource!(User, String, GetUser, GetUsers, UserPlace, user_id, "user_id");
resource!(Order, u64, GetOrder, GetOrders, OrderPlace, r#type, "type");

fn main() {
    assert_eq!(GetUser { user_id: "a".into() }.into_feeder().entity_id(), "a");
    assert_eq!(GetOrder { r#type: 7 }.into_feeder().entity_id(), 7);
    let many = GetUsers { ids: vec!["a".into()] };
    assert_eq!(many.into_feeder().entity_ids(), ["a"]);
    assert_eq!(GetOrders { ids: vec![7] }.into_feeder().entity_ids(), [7]);
    let mut place = UserPlace { user_id: "a".into(), found: None };
    place.feed(None);
    assert!(place.found.is_none());
    let mut place = OrderPlace { r#type: 7, found: None };
    assert_eq!(place.borrowed_id(), Some(&7));
    place.feed(None);
    assert!(place.found.is_none());
}
