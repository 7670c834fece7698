//! Which requests postcard cannot answer.

use std::fmt;

use super::super::AS_JSON;
use super::graph::{Edge, Graph, ROOT, Request};

/// A request that postcard cannot answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Unreadable {
    /// The path of its field; empty for the type itself.
    pub(in super::super) path: String,
    why: &'static str,
}

impl Unreadable {
    /// The same where there are others.
    pub(in super::super) fn among_others(&self) -> String {
        self.said(", and others do")
    }

    fn said(&self, more: &str) -> String {
        let (path, why) = (&self.path, self.why);
        if path.is_empty() {
            return format!("it {why}{more}: keep it in a field with {AS_JSON}");
        }
        format!(
            "field `{path}` {why}{more}: put `#[serde(with = \"cache_kit::serde::text\")]` on it if it \
             has `Display` and `FromStr`, and otherwise {AS_JSON} on it or on a field around it"
        )
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(""))
    }
}

/// More than this many are not listed.
const LISTED: usize = 8;

/// The request that every value of the type reaches, and those that some values reach.
pub(super) fn find(graph: &Graph) -> (Option<Unreadable>, Vec<Unreadable>) {
    let ranks = ranks(graph);
    if ranks[ROOT].is_some() {
        return (Some(unavoidable(graph, &ranks)), Vec::new());
    }
    let mut partly = Vec::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        if let Some(why) = culprit(graph, id) {
            partly.push(Unreadable {
                path: graph.path(node.from),
                why,
            });
            if partly.len() == LISTED {
                break;
            }
        }
    }
    (None, partly)
}

/// For each node that no value gets past, the distance to the request that cannot be answered.
fn ranks(graph: &Graph) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> = (0..graph.nodes.len())
        .map(|id| culprit(graph, id).map(|_| 0))
        .collect();
    for round in 1.. {
        let new: Vec<usize> = (0..ranks.len())
            .filter(|id| ranks[*id].is_none() && is_stuck(graph, *id, &ranks))
            .collect();
        if new.is_empty() {
            break;
        }
        for id in new {
            ranks[id] = Some(round);
        }
    }
    ranks
}

/// Whether every value of a node reaches one that is stuck.
fn is_stuck(graph: &Graph, id: usize, ranks: &[Option<usize>]) -> bool {
    let node = &graph.nodes[id];
    let stuck = |edge: &Edge| matches!(edge, Edge::Node(id) if ranks[*id].is_some());
    match node.request {
        // Without a value, or without elements, they can be read back.
        Request::Option | Request::Seq | Request::Map => false,
        Request::Enum(..) => {
            !node.edges.is_empty()
                && node
                    .edges
                    .iter()
                    .all(|edge| *edge == Edge::Refused || stuck(edge))
        }
        _ => node.edges.iter().any(stuck),
    }
}

/// Why a node itself cannot be answered.
fn culprit(graph: &Graph, id: usize) -> Option<&'static str> {
    let node = &graph.nodes[id];
    let refused = |edge: &Edge| *edge == Edge::Refused;
    match node.request {
        Request::Any | Request::IgnoredAny => Some(
            "can be read only from a format that names the type of each value, as JSON does and postcard does not",
        ),
        Request::Identifier => Some("asks for a name, and postcard writes none"),
        Request::Option => None,
        Request::Enum(..) if node.edges.is_empty() || !node.edges.iter().all(refused) => None,
        Request::Enum(..) => Some("does not take its variants by number, as postcard keeps them"),
        _ if node.edges.iter().any(refused) => {
            Some("does not take its parts in the order in which postcard keeps them")
        }
        _ => None,
    }
}

/// The way from the root to the request that every value reaches.
fn unavoidable(graph: &Graph, ranks: &[Option<usize>]) -> Unreadable {
    let mut route = Vec::new();
    let mut at = ROOT;
    while ranks[at] != Some(0) {
        let nearer = graph.nodes[at]
            .edges
            .iter()
            .enumerate()
            .filter_map(|(edge, to)| match to {
                Edge::Node(to) if ranks[*to].is_some() && ranks[*to] < ranks[at] => {
                    Some((edge, *to))
                }
                _ => None,
            })
            .min_by_key(|(_, to)| ranks[*to]);
        let Some((edge, to)) = nearer else { break };
        route.push((at, edge));
        at = to;
    }
    Unreadable {
        path: graph.path_of(&route),
        why: culprit(graph, at).unwrap_or("cannot come back"),
    }
}
