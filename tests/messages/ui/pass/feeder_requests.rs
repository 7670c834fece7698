//! What a request may be: generic, borrowed, a tuple, visible to some; and it keeps what it is.
#![deny(warnings)]

use cache_kit::{CacheEntity, CacheFeed, CacheFeeder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
pub struct User {
    id: String,
}

mod requests {
    use super::{CacheFeeder, User};

    #[derive(CacheFeeder)]
    #[feeder(entity = User, key = "id")]
    pub(crate) struct Traced<'a, 'b: 'a, K: ?Sized, T = u8, const N: usize = 2>
    where
        K: 'b,
        T: Copy + Send,
    {
        pub(crate) id: &'a str,
        pub(crate) key: Option<&'b K>,
        pub(crate) rest: [T; N],
    }

    #[derive(CacheFeeder)]
    #[feeder(entity = User, key = "0")]
    pub(in crate::requests) struct Numbered(pub(super) String, u8);

    pub(super) fn numbered() -> impl super::CacheFeed<User> {
        let request = Numbered("b".to_owned(), 1);
        assert_eq!(request.1, 1);
        request.into_feeder()
    }
}

use requests::{Traced, TracedFeeder};

fn main() {
    let id = String::from("a");
    let mut feeder: TracedFeeder<'_, '_, str> = Traced {
        id: &id,
        key: Some("x"),
        rest: [0; 2],
    }
    .into_feeder();
    assert_eq!(feeder.entity_id(), "a");
    assert_eq!(feeder.request.key, Some("x"));
    assert_eq!(feeder.request.rest, [0; 2]);
    feeder.feed(Some(User { id: "b".into() }));
    assert_eq!(feeder.into_entity().map(|user| user.id.clone()), Some("b".into()));
    assert_eq!(requests::numbered().entity_id(), "b");
}
