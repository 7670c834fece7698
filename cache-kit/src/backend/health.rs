//! [`Health`]: how a remote store and its nodes are doing, as this process sees them.

/// How a remote store is doing, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether commands are sent to every node. `false` while a breaker is open: reads of its keys
    /// are misses, loads are not stored, invalidations wait.
    pub available: bool,
    /// Invalidations that have not reached the store; their keys are not served by this process.
    pub pending_invalidations: usize,
    /// Those of them that the store has refused, for example because its user lacks a permission.
    /// They are retried, and given up after a while.
    pub refused_invalidations: usize,
    /// Invalidations that were given up since the start, because the store refused them for too
    /// long: until their time to live ends, the older values may be served.
    pub given_up_invalidations: u64,
    /// What the last failed command failed with, until one succeeds; of several nodes, the first
    /// that has an error.
    pub last_error: Option<String>,
    /// What the store last refused, and why, however long ago.
    pub last_refusal: Option<String>,
    /// The servers behind the store, as far as it knows them: none for a custom store that does not
    /// tell, and for a cluster that has not been reached yet.
    pub nodes: Vec<NodeHealth>,
}

/// How one server of a remote store is doing, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeHealth {
    /// Its address, without user and password.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
    /// Whether commands are sent to it: `false` while its breaker is open. Nothing is ever sent to
    /// a replica, so it says nothing of one.
    pub available: bool,
    /// Invalidations of its keys that have not reached it.
    pub pending_invalidations: usize,
    /// What its last failed command failed with, until one succeeds.
    pub last_error: Option<String>,
}

/// What a [`ByteStore`](super::ByteStore) says of one of its servers.
#[cfg(feature = "codec")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The number that [`node_of`](super::ByteStore::node_of) gives for its keys; `None` for a
    /// server that keeps none, such as a replica.
    pub number: Option<usize>,
    /// Its address, without user and password.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeRole {
    /// It keeps entries and takes writes.
    Primary,
    /// It has a copy of another server's entries. Reads from replicas are not offered: an
    /// invalidation would reach them late.
    Replica,
}

impl NodeRole {
    /// Its name in lower case, for a log or a health page: `primary`, `replica`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// The health of a store without any trouble, and without nodes: for the author of a backend, who sets
/// what differs.
impl Default for Health {
    fn default() -> Self {
        Self {
            available: true,
            pending_invalidations: 0,
            refused_invalidations: 0,
            given_up_invalidations: 0,
            last_error: None,
            last_refusal: None,
            nodes: Vec::new(),
        }
    }
}

#[cfg(feature = "memcached")]
impl Health {
    /// Sums up several stores: available if all are, the sum of each count, and the first of each
    /// text.
    #[cfg(feature = "memcached")]
    pub(super) fn of_all(stores: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for store in stores {
            all.available &= store.available;
            all.pending_invalidations += store.pending_invalidations;
            all.refused_invalidations += store.refused_invalidations;
            all.given_up_invalidations += store.given_up_invalidations;
            all.last_error = all.last_error.or(store.last_error);
            all.last_refusal = all.last_refusal.or(store.last_refusal);
            all.nodes.extend(store.nodes);
        }
        all
    }
}
