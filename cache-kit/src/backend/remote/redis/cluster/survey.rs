//! [`Survey`]: who keeps which slot at one moment, for a walk over all keys.

use std::sync::Arc;

use super::map::Map;
use super::{Cluster, Link, complete};
use crate::error::Result;

pub(in super::super) struct Survey(Arc<Map<Link>>);

impl Cluster {
    /// Asks the cluster who keeps which slot.
    ///
    /// # Errors
    /// No node has answered, or some slots have no node.
    pub(in super::super) async fn survey(&self) -> Result<Survey> {
        let map = self.shared.refreshed().await?;
        complete(&map)?;
        Ok(Survey(map))
    }
}

impl Survey {
    /// The nodes that keep slots, with their numbers.
    pub(in super::super) fn nodes(&self) -> Vec<(usize, Arc<Link>)> {
        let nodes = self.0.nodes();
        let numbered = nodes.map(|(number, _, link)| (usize::from(number), Arc::clone(link)));
        numbered.collect()
    }

    /// Whether every slot is where it was.
    pub(in super::super) fn agrees_with(&self, other: &Self) -> bool {
        self.0.has_the_slots_of(&other.0)
    }
}
