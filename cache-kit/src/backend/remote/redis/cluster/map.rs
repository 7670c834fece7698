//! [`Map`]: which node keeps which slot. Changed by making a new one.

use std::sync::Arc;

use super::answer::Range;
use super::slot::SLOTS;
use crate::backend::remote::redis::address::Host;

/// The number of no node, for slots whose node is not known.
pub(super) const NOBODY: u16 = 0;

/// What is known of a cluster. `L` is the link to a node.
pub(super) struct Map<L> {
    /// By number, less one. A node keeps its number when it keeps no slots any more, and when it
    /// comes back.
    nodes: Vec<Node<L>>,
    /// The number of the node that keeps each slot.
    slots: Box<[u16]>,
    replicas: Vec<Host>,
}

pub(super) struct Node<L> {
    pub(super) place: Host,
    /// `None` while it keeps no slots.
    pub(super) link: Option<Arc<L>>,
}

impl<L> Map<L> {
    pub(super) fn empty() -> Self {
        Self {
            nodes: Vec::new(),
            slots: vec![NOBODY; usize::from(SLOTS)].into(),
            replicas: Vec::new(),
        }
    }

    /// The number of the node that keeps `slot`.
    pub(super) fn number_of(&self, slot: u16) -> u16 {
        let number = self.slots.get(usize::from(slot));
        number.copied().unwrap_or(NOBODY)
    }

    /// The node of this number, if it keeps any slots.
    pub(super) fn node(&self, number: u16) -> Option<(&Host, &Arc<L>)> {
        let place = usize::from(number).checked_sub(1)?;
        let node = self.nodes.get(place)?;
        Some((&node.place, node.link.as_ref()?))
    }

    /// The nodes that keep slots, with their numbers.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (u16, &Host, &Arc<L>)> {
        let numbered = (1..).zip(&self.nodes);
        numbered.filter_map(|(number, node)| Some((number, &node.place, node.link.as_ref()?)))
    }

    pub(super) fn replicas(&self) -> &[Host] {
        &self.replicas
    }

    /// Whether every slot has a node.
    pub(super) fn is_complete(&self) -> bool {
        !self.slots.contains(&NOBODY)
    }

    /// Whether each slot is kept by the same node in both.
    pub(super) fn has_the_slots_of(&self, other: &Self) -> bool {
        self.slots == other.slots
    }

    /// The map after an answer of the cluster. Links to nodes that keep no slots any more are left
    /// out; `link` makes those to new ones.
    ///
    /// # Errors
    /// That of `link`.
    pub(super) fn after<E>(
        &self,
        ranges: Vec<Range>,
        link: impl Fn(&Host) -> Result<L, E>,
    ) -> Result<Self, E> {
        let mut map = Self {
            nodes: Vec::with_capacity(self.nodes.len()),
            ..Self::empty()
        };
        for node in &self.nodes {
            let kept = ranges.iter().any(|range| range.primary == node.place);
            map.nodes.push(Node {
                place: node.place.clone(),
                link: node.link.clone().filter(|_| kept),
            });
        }
        for range in ranges {
            let number = map.number(&range.primary, &link)?;
            let slots = usize::from(range.first)..=usize::from(range.last);
            if let Some(slots) = map.slots.get_mut(slots) {
                slots.fill(number);
            }
            for replica in range.replicas {
                if !map.replicas.contains(&replica) {
                    map.replicas.push(replica);
                }
            }
        }
        Ok(map)
    }

    /// The map after a server has said who keeps `slot` now.
    ///
    /// # Errors
    /// That of `link`.
    pub(super) fn moved<E>(
        &self,
        slot: u16,
        place: &Host,
        link: impl Fn(&Host) -> Result<L, E>,
    ) -> Result<Self, E> {
        let mut map = self.clone();
        let number = map.number(place, &link)?;
        if let Some(slot) = map.slots.get_mut(usize::from(slot)) {
            *slot = number;
        }
        Ok(map)
    }

    /// The map with a node that may keep no slots yet.
    ///
    /// # Errors
    /// That of `link`.
    pub(super) fn joined<E>(
        &self,
        place: &Host,
        link: impl Fn(&Host) -> Result<L, E>,
    ) -> Result<Self, E> {
        let mut map = self.clone();
        map.number(place, &link)?;
        Ok(map)
    }

    /// The number of the node at `place`, with a link from now on.
    fn number<E>(&mut self, place: &Host, link: &impl Fn(&Host) -> Result<L, E>) -> Result<u16, E> {
        let known = self.nodes.iter().position(|node| node.place == *place);
        let at = known.unwrap_or(self.nodes.len());
        // A cluster has a thousand nodes at most.
        let Ok(number) = u16::try_from(at + 1) else {
            return Ok(NOBODY);
        };
        match self.nodes.get_mut(at) {
            Some(node) if node.link.is_some() => {}
            Some(node) => node.link = Some(Arc::new(link(place)?)),
            None => self.nodes.push(Node {
                place: place.clone(),
                link: Some(Arc::new(link(place)?)),
            }),
        }
        Ok(number)
    }
}

impl<L> Clone for Map<L> {
    fn clone(&self) -> Self {
        let node = |node: &Node<L>| Node {
            place: node.place.clone(),
            link: node.link.clone(),
        };
        Self {
            nodes: self.nodes.iter().map(node).collect(),
            slots: self.slots.clone(),
            replicas: self.replicas.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    fn at(port: u16) -> Host {
        ("h".to_owned(), port)
    }

    fn range(first: u16, last: u16, port: u16) -> Range {
        Range {
            first,
            last,
            primary: at(port),
            replicas: vec![at(port + 100)],
        }
    }

    fn halves(a: u16, b: u16) -> Vec<Range> {
        vec![range(0, 8_191, a), range(8_192, 16_383, b)]
    }

    fn ports(map: &Map<u32>) -> Vec<(u16, u16)> {
        map.nodes()
            .map(|(number, place, _)| (number, place.1))
            .collect()
    }

    #[test]
    fn a_node_keeps_its_number_and_its_link_as_long_as_it_keeps_slots() {
        let links = Cell::new(0);
        let link = |_: &Host| {
            links.set(links.get() + 1);
            Ok::<u32, Infallible>(links.get())
        };
        let empty = Map::empty();
        assert!(!empty.is_complete() && empty.number_of(7) == NOBODY);
        let first = empty.after(halves(1, 2), link).unwrap();
        assert!(first.is_complete());
        assert_eq!(ports(&first), [(1, 1), (2, 2)]);
        assert_eq!((first.number_of(0), first.number_of(16_383)), (1, 2));
        assert_eq!(first.replicas(), [at(101), at(102)]);

        // The second is replaced by its replica: a new link, and the old one is let go.
        let failed_over = first.after(halves(1, 102), link).unwrap();
        assert_eq!(ports(&failed_over), [(1, 1), (3, 102)]);
        assert!(failed_over.node(2).is_none());
        assert_eq!((links.get(), failed_over.number_of(9_000)), (3, 3));

        // It comes back under its number, with a new link.
        let back = failed_over.after(halves(1, 2), link).unwrap();
        assert_eq!(ports(&back), [(1, 1), (2, 2)]);
        assert_eq!(**back.node(2).unwrap().1, 4);
    }

    #[test]
    fn a_slot_moves_alone() {
        let link = |_: &Host| Ok::<u32, Infallible>(0);
        let map = Map::empty().after(halves(1, 2), link).unwrap();
        let moved = map.moved(5, &at(2), link).unwrap();
        let moved = moved.moved(6, &at(9), link).unwrap();
        let numbers = [4, 5, 6, 7].map(|slot| moved.number_of(slot));
        assert_eq!(numbers, [1, 2, 3, 1]);
        assert_eq!(ports(&moved), [(1, 1), (2, 2), (3, 9)]);
    }

    #[test]
    fn a_node_that_joins_has_a_link_until_the_next_answer() {
        let link = |_: &Host| Ok::<u32, Infallible>(0);
        let map = Map::empty().after(halves(1, 2), link).unwrap();
        let joined = map.joined(&at(9), link).unwrap();
        assert_eq!(ports(&joined), [(1, 1), (2, 2), (3, 9)]);
        assert_eq!(
            ports(&joined.after(halves(1, 2), link).unwrap()),
            [(1, 1), (2, 2)]
        );
    }

    #[test]
    fn a_slot_without_a_node_is_nobodys() {
        let link = |_: &Host| Ok::<u32, Infallible>(0);
        let map = Map::empty().after(vec![range(0, 9, 1)], link).unwrap();
        assert!(map.has_the_slots_of(&map.clone()) && !map.has_the_slots_of(&Map::empty()));
        assert_eq!((map.number_of(9), map.number_of(10)), (1, NOBODY));
        assert!(!map.is_complete() && map.node(NOBODY).is_none());
    }

    #[test]
    fn a_link_that_cannot_be_made_leaves_the_map_as_it_was() {
        let map: Result<Map<u32>, _> = Map::empty().after(halves(1, 2), |_| Err("no"));
        assert_eq!(map.err(), Some("no"));
    }
}
