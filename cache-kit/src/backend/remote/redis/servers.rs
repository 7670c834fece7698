//! [`Servers`]: which server keeps a key.

use std::fmt;
use std::sync::Arc;

use super::RedisConfig;
#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::connect::Connector;
use super::connection::Link;
use super::ping::ping;
use super::session::Session;
use crate::backend::{NodeInfo, NodeRole};
use crate::error::Result;

/// The servers of a store.
pub(super) enum Servers {
    /// One server, or the master that sentinels name.
    One(Arc<Link>, String),
    #[cfg(feature = "redis-cluster")]
    Cluster(Cluster),
}

impl Servers {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        #[cfg(feature = "redis-cluster")]
        if let Some(seeds) = config.seeds() {
            return Ok(Self::Cluster(Cluster::new(config, seeds)));
        }
        let name = config.topology().to_string();
        Ok(Self::One(
            Arc::new(Link::over(Connector::new(config)?)),
            name,
        ))
    }

    /// A connection to the server that keeps `key`.
    pub(super) async fn session(&self, key: &str) -> Result<Session<'_>> {
        #[cfg(not(feature = "redis-cluster"))]
        let _ = key;
        let link = match self {
            Self::One(link, _) => Arc::clone(link),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.link(key).await?,
        };
        match link.connection().await {
            Ok(usable) => Ok(Session::new(self, link, usable)),
            Err(error) => {
                self.doubt();
                Err(error)
            }
        }
    }

    /// A server has failed: in a cluster, another one may have taken its place.
    pub(super) fn doubt(&self) {
        match self {
            Self::One(..) => {}
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.doubt(),
        }
    }

    /// Whether a command with several keys has to be sent key by key, since a node refuses keys of
    /// different slots in one.
    pub(super) fn are_many(&self) -> bool {
        match self {
            Self::One(..) => false,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(_) => true,
        }
    }

    /// Asks every server for an answer.
    pub(super) async fn ping(&self) -> Result<()> {
        match self {
            Self::One(link, _) => ping(link).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => Box::pin(cluster.ping()).await,
        }
    }

    pub(super) async fn ping_node(&self, number: usize) -> Result<()> {
        #[cfg(not(feature = "redis-cluster"))]
        let _ = number;
        match self {
            Self::One(link, _) => ping(link).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => Box::pin(cluster.ping_node(number)).await,
        }
    }

    /// The number of the node that keeps `key`.
    pub(super) fn number_of(&self, key: &str) -> usize {
        #[cfg(not(feature = "redis-cluster"))]
        let _ = key;
        match self {
            Self::One(..) => 0,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.number_of(key),
        }
    }

    pub(super) fn nodes(&self) -> Vec<NodeInfo> {
        match self {
            Self::One(link, name) => {
                let role = match link.demoted() {
                    None => NodeRole::Primary,
                    Some(_) => NodeRole::Replica,
                };
                vec![NodeInfo {
                    number: Some(0),
                    name: name.clone(),
                    role,
                }]
            }
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(link, _) => link.fmt(f),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
