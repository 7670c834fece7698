//! The deserializer that holds no bytes.

use std::any::type_name;
use std::fmt;
use std::panic::resume_unwind;

use serde::de::{self, Deserializer, Visitor};

use super::access::{Entry, Items, Named, Variant};
use super::graph::{Edge, Graph, Identity, Request, stack_of};
use super::values;

/// What one run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The request at the end of the route.
    Request,
    /// The edges of the node at the end of the route, in order, with made-up values for what has
    /// been seen.
    Parts,
}

/// One run, and the graph that it adds to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) graph: Graph,
    /// The edges from the root to the target.
    pub(super) route: Vec<(usize, usize)>,
    pub(super) target: Target,
    /// How many steps of the route the run has taken.
    pub(super) reached: usize,
    /// The run has reached its goal, and every further request is an error.
    pub(super) over: bool,
    /// How many requests were made since then.
    pub(super) asked_in_vain: usize,
    /// Nodes that are new in this run and have edges.
    pub(super) fresh: Vec<usize>,
    /// The made-up value that was refused, or that is inside of a refused one.
    pub(super) blamed: Option<usize>,
    /// The node that was answered last.
    pub(super) answered: Option<usize>,
    /// How deep the smallest value of each node is.
    pub(super) heights: Vec<Option<usize>>,
    /// How many requests this run may still make.
    pub(super) requests_left: usize,
}

/// After it has been told to stop, no type makes more requests than this.
const IN_VAIN: usize = 1 << 16;

/// A probe at one edge of the graph.
pub(super) struct Probe<'a> {
    pub(super) run: &'a mut Run,
    pub(super) at: (usize, usize),
    pub(super) mode: Mode,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// On the way to the target, after this many edges of the route.
    Aim(usize),
    /// Makes a value up.
    Make(Made),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// Added to the palette of every node: how often the enclosing value has been refused.
    pub(super) shift: usize,
    /// About how much stack has been used.
    pub(super) stack: usize,
}

/// The run is over, or something was refused.
#[derive(Debug)]
pub(super) struct Halt;

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no value, only a question")
    }
}

impl std::error::Error for Halt {}

impl de::Error for Halt {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self
    }
}

/// How to answer a node.
pub(super) enum Way {
    /// By a step of the route: to this edge of the node, after this many edges.
    Step(usize, usize),
    /// With a made-up value.
    Make(Made),
}

impl Probe<'_> {
    /// Notes a request and says how to answer it.
    fn arrive<'de, V: Visitor<'de>>(&mut self, request: Request) -> Result<(usize, Way), Halt> {
        let identity = Identity {
            visitor: type_name::<V>(),
            size: size_of::<V::Value>(),
            request,
        };
        self.run.note(self.at, self.mode, request, Some(identity))
    }

    fn palette(&self, node: usize, way: &Way) -> usize {
        match way {
            Way::Step(..) => 0,
            Way::Make(made) => self.run.graph.nodes[node].palette + made.shift,
        }
    }

    /// Answers with the parts of a node in order.
    pub(super) fn items<'de, V: Visitor<'de>>(
        self,
        (node, way): (usize, Way),
        visitor: V,
    ) -> Result<V::Value, Halt> {
        match self.run.graph.nodes[node].request.fields() {
            Some(names) => match way {
                Way::Step(edge, behind) if edge > 0 && !self.run.graph.nodes[node].in_order => {
                    let access = Named {
                        run: self.run,
                        at: (node, edge),
                        behind,
                        name: names.get(edge).copied(),
                    };
                    visitor.visit_map(access)
                }
                way => visitor.visit_seq(Items::new(self.run, node, way)),
            },
            None => visitor.visit_seq(Items::new(self.run, node, way)),
        }
    }

    /// Goes on to the only edge of a node.
    fn only<'b>(run: &'b mut Run, node: usize, way: Way) -> Probe<'b> {
        let (edge, mode) = match way {
            Way::Step(edge, behind) => (edge, Mode::Aim(behind)),
            Way::Make(made) => {
                let shift = made.shift + run.graph.nodes[node].palette;
                (0, Mode::Make(Made { shift, ..made }))
            }
        };
        Probe {
            run,
            at: (node, edge),
            mode,
        }
    }
}

impl Run {
    /// Notes a request at an edge and says how to answer it.
    pub(super) fn note(
        &mut self,
        at: (usize, usize),
        mode: Mode,
        request: Request,
        identity: Option<Identity>,
    ) -> Result<(usize, Way), Halt> {
        if self.over {
            return Err(self.closed());
        }
        if self.requests_left == 0 {
            match mode {
                Mode::Aim(_) => self.graph.cut = true,
                Mode::Make(_) => self.graph.short = true,
            }
            return self.halt();
        }
        self.requests_left -= 1;
        let mut fresh = false;
        let node = match self.graph.nodes[at.0].edges[at.1] {
            Edge::Node(node) if self.graph.nodes[node].request == request => node,
            // A type that asks for something else each time.
            Edge::Node(_) => return self.halt(),
            _ => match self.graph.resolve(at, request, identity) {
                Some((node, is_fresh)) => {
                    fresh = is_fresh;
                    node
                }
                None => return self.halt(),
            },
        };
        if fresh {
            self.fresh.push(node);
        }
        match mode {
            Mode::Aim(behind) => {
                self.reached = self.reached.max(behind + 1);
                match self.route.get(behind + 1) {
                    Some(&(next, edge)) if next == node => Ok((node, Way::Step(edge, behind + 1))),
                    None if self.target == Target::Parts => Ok((node, Way::Make(self.made(node)))),
                    _ => self.halt(),
                }
            }
            // Everything below is explored without values first.
            Mode::Make(_) if fresh => self.halt(),
            Mode::Make(made) => {
                let size = identity.map_or(0, |identity| identity.size);
                let stack = made.stack.saturating_add(stack_of(size));
                if !self.graph.has_stack(stack) {
                    self.graph.short = true;
                    return self.halt();
                }
                self.answered = Some(node);
                Ok((node, Way::Make(Made { stack, ..made })))
            }
        }
    }

    /// The first made-up values on the way: parts of `node`.
    pub(super) fn made(&self, node: usize) -> Made {
        Made {
            shift: 0,
            stack: self.graph.nodes[node].stack,
        }
    }

    /// The answer to every request after the run is over.
    ///
    /// A type that ignores errors and asks again for ever is stopped by unwinding, which bypasses
    /// the panic hook.
    pub(super) fn closed(&mut self) -> Halt {
        self.asked_in_vain += 1;
        if self.asked_in_vain > IN_VAIN {
            resume_unwind(Box::new("a type that never stops asking"));
        }
        Halt
    }

    fn halt<T>(&mut self) -> Result<T, Halt> {
        self.over = true;
        Err(Halt)
    }

    /// Which value caused the error of a part: the one refused first is the deepest.
    pub(super) fn refuse(&mut self, (node, edge): (usize, usize)) {
        if !self.over
            && self.blamed.is_none()
            && let Edge::Node(node) = self.graph.nodes[node].edges[edge]
        {
            self.blamed = Some(node);
        }
    }

    /// The variant that a made-up value takes.
    pub(super) fn variant(&self, node: usize, palette: usize) -> Option<usize> {
        let mut variants: Vec<(usize, usize)> = self.graph.nodes[node]
            .edges
            .iter()
            .enumerate()
            .filter_map(|(at, edge)| match edge {
                // A node that is newer than the heights has none yet.
                Edge::Node(node) => {
                    let height = self.heights.get(*node).copied().unwrap_or(Some(0))?;
                    Some((height, at))
                }
                _ => None,
            })
            .collect();
        variants.sort_unstable();
        let at = palette.checked_rem(variants.len())?;
        Some(variants[at].1)
    }
}

macro_rules! scalars {
    ($($deserialize:ident $request:ident $visit:ident($value:expr);)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Halt> {
            let (node, way) = self.arrive::<V>(Request::$request)?;
            let value: fn(usize) -> _ = $value;
            let value = value(self.palette(node, &way));
            let answer = visitor.$visit(value);
            if answer.is_err() && !self.run.over && self.run.blamed.is_none() {
                self.run.blamed = Some(node);
            }
            answer
        }
    )*};
}

macro_rules! questions {
    ($($deserialize:ident $request:ident;)*) => {$(
        fn $deserialize<V: Visitor<'de>>(mut self, _: V) -> Result<V::Value, Halt> {
            let (node, _) = self.arrive::<V>(Request::$request)?;
            self.run.blamed = self.run.blamed.or(Some(node));
            Err(Halt)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Halt;

    // Some types have another shape in text formats, and postcard is not a text format.
    fn is_human_readable(&self) -> bool {
        false
    }

    questions! {
        deserialize_any Any;
        deserialize_ignored_any IgnoredAny;
        deserialize_identifier Identifier;
    }

    scalars! {
        deserialize_bool Bool visit_bool(|palette| palette % 2 == 1);
        deserialize_i8 I8 visit_i8(values::number);
        deserialize_i16 I16 visit_i16(|palette| values::number(palette).into());
        deserialize_i32 I32 visit_i32(|palette| values::number(palette).into());
        deserialize_i64 I64 visit_i64(|palette| values::number(palette).into());
        deserialize_i128 I128 visit_i128(|palette| values::number(palette).into());
        deserialize_u8 U8 visit_u8(values::count);
        deserialize_u16 U16 visit_u16(|palette| values::count(palette).into());
        deserialize_u32 U32 visit_u32(|palette| values::count(palette).into());
        deserialize_u64 U64 visit_u64(|palette| values::count(palette).into());
        deserialize_u128 U128 visit_u128(|palette| values::count(palette).into());
        deserialize_f32 F32 visit_f32(|palette| values::number(palette).into());
        deserialize_f64 F64 visit_f64(|palette| values::number(palette).into());
        deserialize_char Char visit_char(values::letter);
        deserialize_str Str visit_borrowed_str(values::text);
        deserialize_string Str visit_borrowed_str(values::text);
        deserialize_bytes Bytes visit_borrowed_bytes(values::bytes);
        deserialize_byte_buf Bytes visit_borrowed_bytes(values::bytes);
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Halt> {
        self.arrive::<V>(Request::Unit)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        self.arrive::<V>(Request::UnitStruct(name))?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Halt> {
        let (node, way) = self.arrive::<V>(Request::Option)?;
        match way {
            Way::Make(_) if self.palette(node, &way).is_multiple_of(2) => visitor.visit_none(),
            way => visitor.visit_some(Self::only(self.run, node, way)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let (node, way) = self.arrive::<V>(Request::Newtype(name))?;
        visitor.visit_newtype_struct(Self::only(self.run, node, way))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Halt> {
        let arrived = self.arrive::<V>(Request::Seq)?;
        self.items(arrived, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let arrived = self.arrive::<V>(Request::Tuple(len))?;
        self.items(arrived, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let arrived = self.arrive::<V>(Request::TupleStruct(name, len))?;
        self.items(arrived, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Halt> {
        let (node, way) = self.arrive::<V>(Request::Map)?;
        visitor.visit_map(Entry::new(self.run, node, way))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let arrived = self.arrive::<V>(Request::Struct(name, fields))?;
        self.items(arrived, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let (node, way) = self.arrive::<V>(Request::Enum(name, variants))?;
        let edge = match &way {
            Way::Step(edge, _) => Some(*edge),
            Way::Make(_) => self.run.variant(node, self.palette(node, &way)),
        };
        let Some(edge) = edge else {
            self.run.blamed = self.run.blamed.or(Some(node));
            return Err(Halt);
        };
        let mode = match way {
            Way::Step(_, behind) => Mode::Aim(behind),
            Way::Make(made) => Mode::Make(made),
        };
        visitor.visit_enum(Variant {
            run: self.run,
            at: (node, edge),
            mode,
        })
    }
}
