//! [`Cluster`]: the nodes of a Redis Cluster, and which of them keeps a key.
//!
//! The cluster says who keeps which slot. A node that does not keep a key any more says who does,
//! and so the map is corrected; a node that fails, too, makes a task ask for the whole map. Each
//! node has a [`Link`] of its own, and the guard in front of the store a breaker for each.

mod answer;
mod map;
mod refresh;
mod slot;
mod survey;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::RedisConfig;
use super::address::{Address, Host};
use super::connect::Connector;
use super::connection::Link;
use super::ping::ping;
use crate::backend::{NodeInfo, NodeRole};
use crate::error::{Error, Result};
use crate::timer;
use crate::together::join;

use map::{Map, NOBODY};
use refresh::Refresh;
use slot::slot_of;
pub(super) use survey::Survey;

/// How often one command is redirected at most.
pub(super) const MOST_HOPS: usize = 8;

/// How long to wait while the keys of a command are on their way to another node.
const BETWEEN_NODES: Duration = Duration::from_millis(5);

pub(super) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    config: RedisConfig,
    /// Where to ask while no node is known, or none answers.
    seeds: Vec<Host>,
    map: RwLock<Arc<Map<Link>>>,
    refresh: Refresh,
}

/// Where a command goes on.
pub(super) enum Hop {
    /// To this server; with `ASKING` before it if the key is still on its way there.
    To { link: Arc<Link>, asking: bool },
    /// To the same server.
    Again,
}

impl Cluster {
    pub(super) fn new(config: &RedisConfig, seeds: &[Host]) -> Self {
        Self {
            shared: Arc::new(Shared {
                config: config.clone(),
                seeds: seeds.to_vec(),
                map: RwLock::new(Arc::new(Map::empty())),
                refresh: Refresh::new(),
            }),
        }
    }

    /// The link to the node that keeps `key`.
    pub(super) async fn link(&self, key: &str) -> Result<Arc<Link>> {
        let slot = slot_of(key);
        let mut map = self.shared.map();
        if map.number_of(slot) == NOBODY {
            map = Box::pin(self.shared.refreshed()).await?;
        }
        match map.node(map.number_of(slot)) {
            Some((_, link)) => Ok(Arc::clone(link)),
            None => Err(Error::BackendError(
                "redis cluster: no node keeps the slot of the key".into(),
            )),
        }
    }

    /// The number of the node that keeps `key`.
    pub(super) fn number_of(&self, key: &str) -> usize {
        usize::from(self.shared.map().number_of(slot_of(key)))
    }

    /// Where a command goes on after an error of the server behind `from`; `None` if it ends there.
    pub(super) async fn hop(&self, error: &RedisError, from: &Link) -> Result<Option<Hop>> {
        let ErrorKind::Server(kind) = error.kind() else {
            return Ok(None);
        };
        let (moved, asking) = match kind {
            ServerErrorKind::Moved => (true, false),
            ServerErrorKind::Ask => (false, true),
            ServerErrorKind::TryAgain => {
                timer::sleep(timer::after(BETWEEN_NODES), "redis cluster")?.await;
                return Ok(Some(Hop::Again));
            }
            _ => return Ok(None),
        };
        let Some((address, slot)) = error.redirect_node() else {
            return Ok(None);
        };
        let Some(place) = answer::redirected(address, &self.shared.host_of(from)) else {
            self.shared.refresh_soon();
            return Ok(None);
        };
        if moved {
            self.shared.refresh_soon();
            self.shared.moved(slot, &place)?;
        }
        let link = self.shared.link_to(&place)?;
        Ok(Some(Hop::To { link, asking }))
    }

    /// A node has failed, so the map may be outdated.
    pub(super) fn doubt(&self) {
        self.shared.refresh_soon();
    }

    /// Asks every node for an answer.
    pub(super) async fn ping(&self) -> Result<()> {
        let map = self.shared.refreshed().await?;
        let ask = |(_, place, link): (u16, &Host, &Arc<Link>)| {
            let (place, link) = (place.clone(), Arc::clone(link));
            async move { ping(&link).await.map_err(|error| named(error, &place)) }
        };
        let asked: Vec<_> = map.nodes().map(ask).collect();
        let answers = join(asked.into_iter(), usize::MAX).await;
        answers.into_iter().collect::<Result<()>>()?;
        complete(&map)
    }

    /// Asks one node for an answer. One that keeps nothing is not missed.
    pub(super) async fn ping_node(&self, number: usize) -> Result<()> {
        let number = u16::try_from(number).unwrap_or(NOBODY);
        if number == NOBODY {
            let map = self.shared.refreshed().await?;
            return complete(&map);
        }
        let link = match self.shared.map().node(number) {
            Some((_, link)) => Arc::clone(link),
            None => return Ok(()),
        };
        let mut silent = Silent(Some(&self.shared));
        let answer = ping(&link).await;
        if answer.is_ok() {
            silent.0 = None;
        }
        answer
    }

    pub(super) fn nodes(&self) -> Vec<NodeInfo> {
        let map = self.shared.map();
        let primaries = map.nodes().map(|(number, place, _)| NodeInfo {
            number: Some(number.into()),
            name: name_of(place),
            role: NodeRole::Primary,
        });
        let replicas = map.replicas().iter().map(|place| NodeInfo {
            number: None,
            name: name_of(place),
            role: NodeRole::Replica,
        });
        primaries.chain(replicas).collect()
    }
}

impl Shared {
    fn map(&self) -> Arc<Map<Link>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&map)
    }

    /// Changes the map, unless that fails. What the old one alone holds is dropped outside of the
    /// lock.
    fn change(&self, change: impl FnOnce(&Map<Link>) -> Result<Map<Link>>) -> Result<()> {
        let old = {
            let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
            let changed = Arc::new(change(&map)?);
            std::mem::replace(&mut *map, changed)
        };
        drop(old);
        Ok(())
    }

    /// A link to a node, which connects when it is used.
    fn connects(&self, (host, port): &Host) -> Result<Link> {
        Ok(Link::over(Connector::to_node(&self.config, host, *port)?))
    }

    /// A server has said that `slot` is at `place`.
    fn moved(&self, slot: u16, place: &Host) -> Result<()> {
        let map = self.map();
        let node = map.node(map.number_of(slot));
        if node.is_some_and(|(known, _)| known == place) {
            return Ok(());
        }
        self.change(|map| map.moved(slot, place, |place| self.connects(place)))
    }

    /// The link to the node at `place`. One that is not known yet, since it has no slots, has a link
    /// until the cluster is asked again.
    fn link_to(&self, place: &Host) -> Result<Arc<Link>> {
        let known = |map: &Map<Link>| {
            let node = map.nodes().find(|(_, known, _)| *known == place);
            node.map(|(_, _, link)| Arc::clone(link))
        };
        if let Some(link) = known(&self.map()) {
            return Ok(link);
        }
        self.change(|map| map.joined(place, |place| self.connects(place)))?;
        match known(&self.map()) {
            Some(link) => Ok(link),
            // The cluster has been asked meanwhile.
            None => self.connects(place).map(Arc::new),
        }
    }

    /// The host of the node behind a link.
    fn host_of(&self, link: &Link) -> String {
        let map = self.map();
        let node = map
            .nodes()
            .find(|(_, _, known)| std::ptr::eq(Arc::as_ptr(known), link));
        node.map_or_else(String::new, |(_, (host, _), _)| host.clone())
    }
}

/// A node that may be silent. Unless it answers, the cluster is asked whether another one has taken
/// its place: a command to a silent node is dropped at its deadline, and has no other end.
struct Silent<'s>(Option<&'s Arc<Shared>>);

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.refresh_soon();
        }
    }
}

fn complete(map: &Map<Link>) -> Result<()> {
    match map.is_complete() {
        true => Ok(()),
        false => Err(Error::BackendError(
            "redis cluster: some slots have no node".into(),
        )),
    }
}

fn name_of((host, port): &Host) -> String {
    Address::Tcp(host.clone(), *port).to_string()
}

/// Says which node has failed.
fn named(error: Error, place: &Host) -> Error {
    match error {
        Error::BackendError(text) => Error::BackendError(format!("{}: {text}", name_of(place))),
        Error::ConnectionLost(text) => Error::ConnectionLost(format!("{}: {text}", name_of(place))),
        error => error,
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map = self.shared.map();
        let nodes = map.nodes().map(|(_, _, link)| link);
        f.debug_list().entries(nodes).finish()
    }
}
