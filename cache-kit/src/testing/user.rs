//! [`User`]: what the tests of the tools load.

use serde::{Deserialize, Serialize};

use crate::entity::CacheEntity;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
}

pub(super) fn user(id: u64, name: &str) -> User {
    User {
        id,
        name: name.to_owned(),
    }
}

impl CacheEntity for User {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "user"
    }
}
