//! Accesses that hand out the parts of a value.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::graph::{Edge, Request};
use super::probe::{Halt, Made, Mode, Probe, Run, Target, Way};
use super::values;

/// Passes a part to its seed, and notes the result.
fn part<'de, S: DeserializeSeed<'de>>(
    run: &mut Run,
    at: (usize, usize),
    mode: Mode,
    seed: S,
) -> Result<S::Value, Halt> {
    if run.over {
        return Err(run.closed());
    }
    let value = seed.deserialize(Probe {
        run: &mut *run,
        at,
        mode,
    });
    if run.over {
        return Err(Halt);
    }
    let edge = &mut run.graph.nodes[at.0].edges[at.1];
    if *edge == Edge::Unseen {
        *edge = Edge::Nothing;
    }
    match mode {
        // The type was at the target and did not ask for anything.
        Mode::Aim(behind) if behind + 1 == run.route.len() => {
            run.over = true;
            Err(Halt)
        }
        _ => {
            if value.is_err() {
                run.refuse(at);
            }
            value
        }
    }
}

/// The elements of a sequence or tuple, or the fields of a struct in their order.
pub(super) struct Items<'a> {
    run: &'a mut Run,
    node: usize,
    next: usize,
    len: usize,
    way: Way,
}

impl<'a> Items<'a> {
    pub(super) fn new(run: &'a mut Run, node: usize, way: Way) -> Self {
        let parent = &run.graph.nodes[node];
        let len = match (parent.request, &way) {
            (Request::Seq, Way::Step(..)) => 1,
            (Request::Seq, Way::Make(made)) => values::length(parent.palette + made.shift),
            _ => parent.edges.len(),
        };
        Self {
            run,
            node,
            next: 0,
            len,
            way,
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Halt;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Halt> {
        if self.next == self.len {
            return Ok(None);
        }
        let at = self.next;
        self.next += 1;
        // All elements of a sequence are made at one edge.
        let edge = at.min(
            self.run.graph.nodes[self.node]
                .edges
                .len()
                .saturating_sub(1),
        );
        let mode = match self.way {
            Way::Step(target, behind) if target == edge => Mode::Aim(behind),
            Way::Step(..) => Mode::Make(self.run.made(self.node)),
            Way::Make(made) => Mode::Make(Made {
                shift: made.shift + self.run.shift(self.node),
                ..made
            }),
        };
        part(self.run, (self.node, edge), mode, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

impl Run {
    fn is_target(&self, node: usize) -> bool {
        self.target == Target::Parts
            && self
                .route
                .last()
                .map(|(node, edge)| self.graph.nodes[*node].edges[*edge])
                == Some(Edge::Node(node))
    }

    /// Added to the palettes of a node's parts if all parts were accepted but the node itself was
    /// refused.
    fn shift(&self, node: usize) -> usize {
        match self.graph.nodes[node].request {
            // The next try changes the length, not an element.
            Request::Seq | Request::Map => 0,
            _ => self.graph.nodes[node].palette,
        }
    }
}

/// One field, by its name.
pub(super) struct Named<'a> {
    pub(super) run: &'a mut Run,
    pub(super) at: (usize, usize),
    pub(super) behind: usize,
    pub(super) name: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Named<'_> {
    type Error = Halt;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Halt> {
        match self.name.take() {
            Some(name) => seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Halt> {
        let value = part(self.run, self.at, Mode::Aim(self.behind), seed);
        // The type does not know the name, or the field's own type ignores any value. Then the
        // field is visited in order.
        let (node, edge) = self.at;
        if let Edge::Node(to) = self.run.graph.nodes[node].edges[edge]
            && self.run.graph.nodes[to].request == Request::IgnoredAny
        {
            self.run.graph.nodes[node].edges[edge] = Edge::Unseen;
        }
        value
    }
}

/// The entries of a map: one, or none if none is asked for.
pub(super) struct Entry<'a> {
    run: &'a mut Run,
    node: usize,
    left: usize,
    way: Way,
}

impl<'a> Entry<'a> {
    pub(super) fn new(run: &'a mut Run, node: usize, way: Way) -> Self {
        let left = match &way {
            Way::Step(..) => 1,
            // At the target itself, its key and its value are visited.
            Way::Make(_) if run.is_target(node) => 1,
            Way::Make(made) => (run.graph.nodes[node].palette + made.shift) % 2,
        };
        Self {
            run,
            node,
            left,
            way,
        }
    }

    fn mode(&self, edge: usize) -> Mode {
        match self.way {
            Way::Step(target, behind) if target == edge => Mode::Aim(behind),
            Way::Step(..) => Mode::Make(self.run.made(self.node)),
            Way::Make(made) => Mode::Make(made),
        }
    }
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Halt;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Halt> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mode = self.mode(0);
        part(self.run, (self.node, 0), mode, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Halt> {
        let mode = self.mode(1);
        part(self.run, (self.node, 1), mode, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// One variant, by its number.
pub(super) struct Variant<'a> {
    pub(super) run: &'a mut Run,
    pub(super) at: (usize, usize),
    pub(super) mode: Mode,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Halt;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Halt> {
        // The number in the form that postcard passes.
        let number = u32::try_from(self.at.1).map_err(|_| Halt)?;
        let variant = seed.deserialize(IntoDeserializer::<Halt>::into_deserializer(number))?;
        Ok((variant, self))
    }
}

impl Variant<'_> {
    fn arrive(&mut self, request: Request) -> Result<(usize, Way), Halt> {
        self.run.note(self.at, self.mode, request, None)
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Halt;

    fn unit_variant(mut self) -> Result<(), Halt> {
        self.arrive(Request::UnitVariant).map(|_| ())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Halt> {
        let (node, way) = self.arrive(Request::NewtypeVariant)?;
        let mode = match way {
            Way::Step(_, behind) => Mode::Aim(behind),
            Way::Make(made) => Mode::Make(made),
        };
        part(self.run, (node, 0), mode, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Halt> {
        let (node, way) = self.arrive(Request::TupleVariant(len))?;
        visitor.visit_seq(Items::new(self.run, node, way))
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let arrived = self.arrive(Request::StructVariant(fields))?;
        Probe {
            run: self.run,
            at: self.at,
            mode: self.mode,
        }
        .items(arrived, visitor)
    }
}
