//! The fingerprint of a graph.
//!
//! The number must not depend on how the graph was found, nor on which of its parts are one type in
//! Rust: a field that changes from `Vec<Line>` to `VecDeque<Line>` is read as before, and only its
//! visitor has another name. So nodes that ask for the same, at every depth, are merged first. The
//! result has exactly one form. It is written down from the root, each node at its first
//! occurrence.

use std::collections::HashMap;

use super::super::seal;
use super::graph::{Edge, Graph, ROOT, Request};

/// The fingerprint of `graph`, together with what the type states about itself.
pub(super) fn of(graph: &Graph, stated: u64) -> u64 {
    let classes = classes(graph);
    let mut writer = Writer {
        graph,
        classes: &classes,
        numbers: HashMap::new(),
        text: Vec::new(),
    };
    writer.all();
    seal::next(stated, &writer.text)
}

/// A class number for each node, equal for nodes that ask for the same at every depth.
///
/// It begins with each node's own request and adds one level below it per round, until a round
/// separates no further nodes.
fn classes(graph: &Graph) -> Vec<u64> {
    let seen: Vec<_> = (0..graph.nodes.len()).map(|id| seen(graph, id)).collect();
    let labels: Vec<u64> = seen.iter().map(|(request, _)| label(*request)).collect();
    let mut classes = labels.clone();
    let mut known = count(&classes);
    loop {
        classes = seen
            .iter()
            .zip(&labels)
            .map(|((_, edges), label)| {
                edges.iter().fold(*label, |hash, edge| match edge {
                    Edge::Node(to) => mix(hash, classes[*to]),
                    edge => mix(hash, mark(*edge).into()),
                })
            })
            .collect();
        let now = count(&classes);
        if now == known {
            return classes;
        }
        known = now;
    }
}

fn count(classes: &[u64]) -> usize {
    let mut sorted = classes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}

/// Distinguishes nodes of one graph; not part of the fingerprint.
fn mix(hash: u64, number: u64) -> u64 {
    (hash.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What a node asks for in terms of bytes: a sequence of `u8` counts as bytes.
fn seen(graph: &Graph, id: usize) -> (Request, &[Edge]) {
    let node = &graph.nodes[id];
    match (node.request, node.edges.as_slice()) {
        (Request::Seq, [Edge::Node(to)]) if graph.nodes[*to].request == Request::U8 => {
            (Request::Bytes, &[])
        }
        seen => seen,
    }
}

fn label(request: Request) -> u64 {
    let mut text = Vec::new();
    write_request(&mut text, request);
    seal::next(0, &text)
}

fn mark(edge: Edge) -> u8 {
    match edge {
        Edge::Node(_) => 1,
        Edge::Nothing => 2,
        Edge::Refused => 3,
        Edge::Hidden | Edge::Unseen => 4,
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    classes: &'a [u64],
    /// In the order of the first occurrence of each class.
    numbers: HashMap<u64, usize>,
    text: Vec<u8>,
}

impl Writer<'_> {
    /// Writes the graph down, without recursion: it may be deeper than the stack allows.
    fn all(&mut self) {
        let mut open = Vec::new();
        self.enter(ROOT, &mut open);
        while let Some((id, next)) = open.pop() {
            let Some(edge) = seen(self.graph, id).1.get(next) else {
                continue;
            };
            open.push((id, next + 1));
            self.text.push(mark(*edge));
            if let Edge::Node(to) = edge {
                self.enter(*to, &mut open);
            }
        }
    }

    fn enter(&mut self, id: usize, open: &mut Vec<(usize, usize)>) {
        let next = self.numbers.len();
        if let Some(number) = self.numbers.get(&self.classes[id]) {
            self.text.push(0);
            write_number(&mut self.text, *number);
            return;
        }
        self.numbers.insert(self.classes[id], next);
        let (request, edges) = seen(self.graph, id);
        write_request(&mut self.text, request);
        write_number(&mut self.text, edges.len());
        open.push((id, 0));
    }
}

/// The request itself, without the types below it. The tags are part of stored entries: they never
/// change, and 0 is not used.
fn write_request(text: &mut Vec<u8>, request: Request) {
    let (tag, name, names, len): (u8, &str, &[&str], usize) = match request {
        Request::Root => (1, "", &[], 0),
        Request::Any => (2, "", &[], 0),
        Request::IgnoredAny => (3, "", &[], 0),
        Request::Identifier => (4, "", &[], 0),
        Request::Bool => (5, "", &[], 0),
        Request::I8 => (6, "", &[], 0),
        Request::I16 => (7, "", &[], 0),
        Request::I32 => (8, "", &[], 0),
        Request::I64 => (9, "", &[], 0),
        Request::I128 => (10, "", &[], 0),
        Request::U8 => (11, "", &[], 0),
        Request::U16 => (12, "", &[], 0),
        Request::U32 => (13, "", &[], 0),
        Request::U64 => (14, "", &[], 0),
        Request::U128 => (15, "", &[], 0),
        Request::F32 => (16, "", &[], 0),
        Request::F64 => (17, "", &[], 0),
        Request::Char => (18, "", &[], 0),
        Request::Str => (19, "", &[], 0),
        Request::Bytes => (20, "", &[], 0),
        Request::Unit => (21, "", &[], 0),
        Request::UnitStruct(name) => (22, name, &[], 0),
        Request::Option => (23, "", &[], 0),
        Request::Newtype(name) => (24, name, &[], 0),
        Request::Seq => (25, "", &[], 0),
        Request::Map => (26, "", &[], 0),
        Request::Tuple(len) => (27, "", &[], len),
        Request::TupleStruct(name, len) => (28, name, &[], len),
        Request::Struct(name, names) => (29, name, names, 0),
        Request::Enum(name, names) => (30, name, names, 0),
        Request::UnitVariant => (31, "", &[], 0),
        Request::NewtypeVariant => (32, "", &[], 0),
        Request::TupleVariant(len) => (33, "", &[], len),
        Request::StructVariant(names) => (34, "", names, 0),
    };
    text.push(tag);
    write_text(text, name);
    write_number(text, names.len());
    for name in names {
        write_text(text, name);
    }
    write_number(text, len);
}

fn write_text(text: &mut Vec<u8>, name: &str) {
    write_number(text, name.len());
    text.extend_from_slice(name.as_bytes());
}

/// As eight bytes on every platform.
fn write_number(text: &mut Vec<u8>, number: usize) {
    text.extend_from_slice(&(number as u64).to_le_bytes());
}
