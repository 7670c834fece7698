//! The graph of requests.

use std::collections::HashMap;

/// A request of a type to its deserializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Request {
    /// Not a request: the node above the type's own first one.
    Root,
    Any,
    IgnoredAny,
    Identifier,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    Unit,
    UnitStruct(&'static str),
    Option,
    Newtype(&'static str),
    Seq,
    Map,
    Tuple(usize),
    TupleStruct(&'static str, usize),
    Struct(&'static str, &'static [&'static str]),
    Enum(&'static str, &'static [&'static str]),
    UnitVariant,
    NewtypeVariant,
    TupleVariant(usize),
    StructVariant(&'static [&'static str]),
}

/// The state of one place where a type may make a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// No run has been there yet.
    Unseen,
    /// A request.
    Node(usize),
    /// The type was there and asked for nothing.
    Nothing,
    /// The type does not get there: it has no such variant, or takes no sequence.
    Refused,
    /// No run gets there, because no made-up value was accepted on the way or a limit was reached.
    Hidden,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) request: Request,
    pub(super) edges: Vec<Edge>,
    /// The edge by which a run gets here in the fewest steps.
    pub(super) from: (usize, usize),
    /// About how much stack a run uses to get here.
    pub(super) stack: usize,
    /// Whether a struct does not take its fields by name, so that each needs those before it.
    pub(super) in_order: bool,
    /// The index of the next made-up value; each refusal raises it.
    pub(super) palette: usize,
}

/// Two requests with equal fields come from one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) visitor: &'static str,
    pub(super) size: usize,
    pub(super) request: Request,
}

#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    known: HashMap<Identity, usize>,
    limits: Limits,
    /// Whether a limit was reached: a part of the type was not seen.
    pub(super) cut: bool,
    /// Whether it was reached while values were made up: what is behind them may be hidden.
    pub(super) short: bool,
}

/// How far a type is explored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many nodes there are at most.
    pub(super) nodes: usize,
    /// About how much stack a run uses at most.
    pub(super) stack: usize,
    /// How many requests all runs together may make.
    pub(super) requests: usize,
    /// How many requests one run may make.
    pub(super) requests_of_a_run: usize,
}

/// The node above the type's own first request.
pub(super) const ROOT: usize = 0;

/// Of a tuple, only this many parts are explored: a longer one is an array. Its length still counts.
const MAX_PARTS: usize = 1 << 10;

/// About how much stack a value of `size` bytes needs while its parts are read: some frames, and
/// copies of the value in them.
pub(super) fn stack_of(size: usize) -> usize {
    size.saturating_mul(4).saturating_add(4 << 10)
}

impl Request {
    /// How many places for further requests are below this one.
    fn edges(self) -> usize {
        match self {
            Self::Root | Self::Option | Self::Newtype(_) | Self::NewtypeVariant | Self::Seq => 1,
            Self::Map => 2,
            Self::Tuple(len) | Self::TupleStruct(_, len) | Self::TupleVariant(len) => {
                len.min(MAX_PARTS)
            }
            Self::Struct(_, names) | Self::Enum(_, names) | Self::StructVariant(names) => {
                names.len()
            }
            _ => 0,
        }
    }

    /// Whether postcard cannot answer it.
    pub(super) fn asks_what_it_is(self) -> bool {
        matches!(self, Self::Any | Self::IgnoredAny | Self::Identifier)
    }

    /// The names of the fields, where there are some.
    pub(super) fn fields(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Struct(_, names) | Self::StructVariant(names) => Some(names),
            _ => None,
        }
    }
}

impl Graph {
    pub(super) fn new(limits: Limits) -> Self {
        let root = Node {
            request: Request::Root,
            edges: vec![Edge::Unseen],
            from: (ROOT, 0),
            stack: 0,
            in_order: false,
            palette: 0,
        };
        Self {
            nodes: vec![root],
            known: HashMap::new(),
            limits,
            cut: false,
            short: false,
        }
    }

    /// Whether a run may use so much stack.
    pub(super) fn has_stack(&self, stack: usize) -> bool {
        stack < self.limits.stack
    }

    /// Notes that `request` was made at an edge, and returns its node and whether the node is new
    /// and has edges of its own.
    pub(super) fn resolve(
        &mut self,
        (node, edge): (usize, usize),
        request: Request,
        identity: Option<Identity>,
    ) -> Option<(usize, bool)> {
        let edges = request.edges();
        let size = identity.map_or(0, |identity| identity.size);
        let identity = identity.filter(|_| edges > 0);
        let known = identity.and_then(|identity| self.known.get(&identity).copied());
        let stack = self.nodes[node].stack.saturating_add(stack_of(size));
        let id = match known {
            Some(id) => id,
            None if self.nodes.len() == self.limits.nodes => {
                self.cut = true;
                self.nodes[node].edges[edge] = Edge::Hidden;
                return None;
            }
            None => {
                let within = if self.has_stack(stack) || edges == 0 {
                    Edge::Unseen
                } else {
                    self.cut = true;
                    Edge::Hidden
                };
                let id = self.nodes.len();
                self.nodes.push(Node {
                    request,
                    edges: vec![within; edges],
                    from: (node, edge),
                    stack,
                    in_order: false,
                    palette: 0,
                });
                if let Some(identity) = identity {
                    self.known.insert(identity, id);
                }
                id
            }
        };
        self.nodes[node].edges[edge] = Edge::Node(id);
        Some((id, known.is_none() && edges > 0))
    }

    /// The edges from the root to `node`, in order.
    pub(super) fn route(&self, node: usize) -> Vec<(usize, usize)> {
        let mut route = Vec::new();
        let mut at = node;
        while at != ROOT {
            let from = self.nodes[at].from;
            route.push(from);
            at = from.0;
        }
        route.reverse();
        route
    }

    /// The path of an edge in terms of the type's fields: `order.lines[].price`.
    pub(super) fn path(&self, (node, edge): (usize, usize)) -> String {
        let mut route = self.route(node);
        route.push((node, edge));
        self.path_of(&route)
    }

    /// The same, along a given route.
    pub(super) fn path_of(&self, route: &[(usize, usize)]) -> String {
        let mut path = String::new();
        for &(node, edge) in route {
            let name = match self.nodes[node].request {
                Request::Struct(_, names)
                | Request::StructVariant(names)
                | Request::Enum(_, names) => names[edge],
                Request::Seq => {
                    path.push_str("[]");
                    continue;
                }
                Request::Map => {
                    path.push_str(if edge == 0 { "{key}" } else { "{value}" });
                    continue;
                }
                Request::Tuple(_) | Request::TupleStruct(..) | Request::TupleVariant(_) => {
                    dot(&mut path);
                    path.push_str(itoa::Buffer::new().format(edge));
                    continue;
                }
                _ => continue,
            };
            dot(&mut path);
            path.push_str(name);
        }
        path
    }

    /// The paths that no run reaches.
    pub(super) fn hidden(&self) -> Vec<String> {
        self.edges()
            .filter(|(_, edge)| matches!(edge, Edge::Hidden | Edge::Unseen))
            .map(|(at, _)| self.path(at))
            .collect()
    }

    /// All edges, from the root on.
    pub(super) fn edges(&self) -> impl Iterator<Item = ((usize, usize), Edge)> {
        self.nodes.iter().enumerate().flat_map(|(id, node)| {
            let edges = node.edges.iter().copied().enumerate();
            edges.map(move |(at, edge)| ((id, at), edge))
        })
    }

    /// For each node, the depth of the smallest value that answers it; `None` where there is none.
    pub(super) fn heights(&self) -> Vec<Option<usize>> {
        let mut heights = vec![None; self.nodes.len()];
        loop {
            let mut changed = false;
            for (id, node) in self.nodes.iter().enumerate().rev() {
                let height = node.height(&heights);
                if height.is_some() && heights[id] != height {
                    // The first height that is found may shrink, but never below that of its
                    // children.
                    if heights[id].is_none() || height < heights[id] {
                        heights[id] = height;
                        changed = true;
                    }
                }
            }
            if !changed {
                return heights;
            }
        }
    }
}

fn dot(path: &mut String) {
    if !path.is_empty() {
        path.push('.');
    }
}

impl Node {
    fn height(&self, heights: &[Option<usize>]) -> Option<usize> {
        let of = |edge: &Edge| match edge {
            Edge::Node(id) => heights[*id],
            Edge::Refused => None,
            Edge::Unseen | Edge::Nothing | Edge::Hidden => Some(0),
        };
        match self.request {
            request if request.asks_what_it_is() => None,
            Request::Option | Request::Seq | Request::Map => Some(0),
            Request::Enum(..) => self
                .edges
                .iter()
                .filter_map(of)
                .min()
                .map(|height| height + 1),
            _ => self
                .edges
                .iter()
                .try_fold(0, |most, edge| Some(of(edge)?.max(most)))
                .map(|height| height + 1),
        }
    }
}
