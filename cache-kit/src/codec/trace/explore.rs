//! Starts runs through a type until every reachable request has been seen.

use std::collections::VecDeque;

use crate::unwind::caught;

use super::graph::{Edge, Graph, MAX_STACK, ROOT, Request, stack_of};
use super::probe::{Mode, Probe, Run, Target};
use super::values;

/// How many requests all runs together may make.
const REQUESTS: usize = 1 << 18;

/// How many requests one run may make. Only values that double at each level would make more.
const REQUESTS_OF_A_RUN: usize = 1 << 13;

/// How often a user's conversion may panic on made-up values. Each panic makes the panic hook
/// print.
const PANICS: usize = 3;

/// Runs a type's `Deserialize` on a probe, and says whether it gave a value.
type Ask<'a> = &'a dyn Fn(Probe<'_>) -> bool;

/// The graph of all requests of `ask`; `size` is the size of a value.
pub(super) fn explore(size: usize, ask: Ask<'_>) -> Graph {
    let mut explorer = Explorer {
        ask,
        run: Run {
            graph: Graph::new(),
            route: Vec::new(),
            target: Target::Request,
            reached: 0,
            over: false,
            asked_in_vain: 0,
            fresh: Vec::new(),
            blamed: None,
            answered: None,
            heights: Vec::new(),
            requests_left: 0,
        },
        requests_left: REQUESTS,
        near: VecDeque::from([(ROOT, 0)]),
        late: Vec::new(),
        panics: 0,
    };
    if stack_of(size) < MAX_STACK {
        explorer.all();
    }
    explorer.run.graph
}

struct Explorer<'a> {
    ask: Ask<'a>,
    run: Run,
    /// Edges that a run reaches without a made-up value.
    near: VecDeque<(usize, usize)>,
    /// Nodes whose later parts need values for the earlier ones. They come last, once the shape of
    /// the values is known, and the deepest first, since they are parts of the others.
    late: Vec<usize>,
    panics: usize,
    requests_left: usize,
}

impl Explorer<'_> {
    fn all(&mut self) {
        loop {
            if let Some(edge) = self.near.pop_front() {
                self.request(edge);
            } else if let Some(node) = self.late.pop() {
                self.parts(node);
            } else {
                return;
            }
        }
    }

    /// Explores one edge.
    fn request(&mut self, at: (usize, usize)) {
        if self.edge(at) != Edge::Unseen {
            return;
        }
        let mut route = self.run.graph.route(at.0);
        route.push(at);
        let parent_reached = route.len() - 1;
        let panicked = self.send(route, Target::Request);
        if self.edge(at) != Edge::Unseen {
            return;
        }
        let node = &mut self.run.graph.nodes[at.0];
        node.edges[at.1] = if panicked || self.run.reached < parent_reached {
            Edge::Hidden
        } else if at.1 > 0 && node.request.fields().is_some() {
            // It does not know its fields by name.
            if !node.in_order {
                node.in_order = true;
                self.late.push(at.0);
            }
            Edge::Unseen
        } else {
            Edge::Refused
        };
    }

    /// Explores the later edges of a node.
    fn parts(&mut self, node: usize) {
        let Some(first) = self.first_unseen(node) else {
            return;
        };
        if self.run.heights.len() != self.run.graph.nodes.len() {
            self.run.heights = self.run.graph.heights();
        }
        let route = self.run.graph.route(node);
        let whole = route.len();
        let panicked = self.send(route, Target::Parts);
        let next = self.first_unseen(node);
        if next.is_none() {
            return;
        }
        if next > Some(first) || !self.near.is_empty() {
            self.late.push(node);
            return;
        }
        if panicked {
            self.panics += 1;
            self.run.blamed = self.run.answered;
        }
        let left = match self.run.blamed {
            Some(blamed) if self.panics <= PANICS => {
                let palette = &mut self.run.graph.nodes[blamed].palette;
                *palette += 1;
                if *palette < values::TRIES {
                    self.late.push(node);
                    return;
                }
                Edge::Hidden
            }
            // The type was satisfied and did not ask for more.
            None if !self.run.over && self.run.reached == whole => Edge::Nothing,
            _ => Edge::Hidden,
        };
        for edge in &mut self.run.graph.nodes[node].edges {
            if *edge == Edge::Unseen {
                *edge = left;
            }
        }
    }

    /// Makes one run, and says whether it panicked.
    fn send(&mut self, route: Vec<(usize, usize)>, target: Target) -> bool {
        let run = &mut self.run;
        run.route = route;
        run.target = target;
        run.reached = 0;
        run.over = false;
        run.asked_in_vain = 0;
        run.blamed = None;
        run.answered = None;
        run.requests_left = REQUESTS_OF_A_RUN.min(self.requests_left);
        self.requests_left -= run.requests_left;
        let probe = Probe {
            run,
            at: (ROOT, 0),
            mode: Mode::Aim(0),
        };
        let ask = self.ask;
        // A panic may only leave the graph with one request more or less.
        let value = caught(|| ask(probe));
        self.requests_left += self.run.requests_left;
        let root = &mut self.run.graph.nodes[ROOT].edges[0];
        if *root == Edge::Unseen {
            *root = Edge::Nothing;
        }
        for node in std::mem::take(&mut self.run.fresh) {
            self.enqueue(node);
        }
        value.is_none()
    }

    fn enqueue(&mut self, node: usize) {
        let found = &self.run.graph.nodes[node];
        let one_by_one = matches!(
            found.request,
            Request::Tuple(_) | Request::TupleStruct(..) | Request::TupleVariant(_) | Request::Map
        );
        if one_by_one {
            self.near.push_back((node, 0));
            if found.edges.len() > 1 {
                self.late.push(node);
            }
        } else {
            let edges = 0..found.edges.len();
            self.near.extend(edges.map(|edge| (node, edge)));
        }
    }

    fn edge(&self, (node, edge): (usize, usize)) -> Edge {
        self.run.graph.nodes[node].edges[edge]
    }

    fn first_unseen(&self, node: usize) -> Option<usize> {
        let edges = &self.run.graph.nodes[node].edges;
        edges.iter().position(|edge| *edge == Edge::Unseen)
    }
}
