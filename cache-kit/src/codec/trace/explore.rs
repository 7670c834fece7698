//! Starts runs through a type until every reachable request has been seen.

use std::collections::VecDeque;
use std::thread;

use crate::unwind::caught;

use super::graph::{Edge, Graph, Limits, ROOT, Request, stack_of};
use super::probe::{Mode, Probe, Run, Target};
use super::values;

/// Enough for nearly all types, on the stack of any caller.
const FIRST: Limits = Limits {
    nodes: 1 << 13,
    stack: 512 << 10,
    requests: 1 << 18,
    requests_of_a_run: 1 << 13,
};

/// For the others, on a thread of its own.
const SECOND: Limits = Limits {
    nodes: 1 << 16,
    stack: 32 << 20,
    requests: 1 << 22,
    requests_of_a_run: 1 << 17,
};

/// The stack of that thread: four times what a run uses, as with the first limits. It takes memory only
/// where it is used.
const STACK: usize = 4 * SECOND.stack;

/// How often a user's conversion may panic on made-up values. Each panic makes the panic hook
/// print.
const PANICS: usize = 3;

/// Runs a type's `Deserialize` on a probe, and says whether it gave a value.
type Ask<'a> = &'a (dyn Fn(Probe<'_>) -> bool + Sync);

/// The graph of all requests of `ask`; `size` is the size of a value.
pub(super) fn explore(size: usize, ask: Ask<'_>) -> Graph {
    let first = explore_within(FIRST, size, ask);
    if !first.cut && !first.short {
        return first;
    }
    let second = thread::scope(|scope| {
        let explorer = thread::Builder::new().stack_size(STACK);
        let explorer = explorer.spawn_scoped(scope, || explore_within(SECOND, size, ask));
        explorer.ok()?.join().ok()
    });
    // Without such a thread, as far as the caller's stack allows.
    let limits = Limits {
        stack: FIRST.stack,
        ..SECOND
    };
    second.unwrap_or_else(|| explore_within(limits, size, ask))
}

fn explore_within(limits: Limits, size: usize, ask: Ask<'_>) -> Graph {
    let mut explorer = Explorer {
        ask,
        run: Run {
            graph: Graph::new(limits),
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
        requests_left: limits.requests,
        requests_of_a_run: limits.requests_of_a_run,
        near: VecDeque::from([(ROOT, 0)]),
        late: Vec::new(),
        panics: 0,
    };
    let starts = explorer.run.graph.has_stack(stack_of(size));
    if starts {
        explorer.all();
    }
    let mut graph = explorer.run.graph;
    graph.cut |= !starts;
    graph
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
    requests_of_a_run: usize,
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
        run.requests_left = self.requests_of_a_run.min(self.requests_left);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    type Value = Vec<(u8, Option<String>, BTreeMap<u16, [i64; 8]>)>;

    fn explored(limits: Limits) -> Graph {
        let ask = |probe: Probe<'_>| Value::deserialize(probe).is_ok();
        explore_within(limits, size_of::<Value>(), &ask)
    }

    #[test]
    fn whatever_limit_is_reached_the_graph_is_cut() {
        let whole = explored(FIRST);
        assert!(!whole.cut && whole.hidden().is_empty());
        let nodes = whole.nodes.len();
        assert!(!explored(Limits { nodes, ..FIRST }).cut);
        for limits in [
            Limits {
                nodes: nodes - 1,
                ..FIRST
            },
            Limits {
                stack: 5 << 10,
                ..FIRST
            },
            Limits { stack: 0, ..FIRST },
            Limits {
                requests: 20,
                ..FIRST
            },
            Limits {
                requests_of_a_run: 8,
                ..FIRST
            },
        ] {
            let cut = explored(limits);
            let noticed = cut.cut || cut.short;
            assert!(noticed && !cut.hidden().is_empty(), "{limits:?}");
        }
    }

    #[test]
    fn what_is_cut_at_first_is_explored_further_on_another_stack() {
        let size = FIRST.stack;
        let ask = |probe: Probe<'_>| Value::deserialize(probe).is_ok();
        assert!(explore_within(FIRST, size, &ask).cut);
        assert!(!explore(size, &ask).cut);
        assert!(explore(SECOND.stack, &ask).cut);
    }
}
