//! [`Scanned`] and [`ScanCursor`]: a walk over the keys of a store, in steps.

use std::any::Any;
use std::fmt;

/// One step of [`ByteStore::scan`](super::ByteStore::scan).
#[derive(Debug)]
pub struct Scanned {
    /// Keys that this step has met. There may be none, although the walk goes on; a key may come twice.
    pub keys: Vec<String>,
    /// Where the walk goes on; `None` at its end.
    pub next: Option<ScanCursor>,
}

/// Where a walk over the keys of a store goes on. The store makes it, and gets it back unchanged.
pub struct ScanCursor {
    node: usize,
    position: Box<dyn Any + Send + Sync>,
}

impl ScanCursor {
    /// A cursor of a store with one server, at a position of any type.
    pub fn at(position: impl Any + Send + Sync) -> Self {
        Self::on_node(0, position)
    }

    /// A cursor whose next step asks the node of this number, as
    /// [`node_of`](super::ByteStore::node_of) numbers them: the step is under the breaker of that node.
    pub fn on_node(node: usize, position: impl Any + Send + Sync) -> Self {
        Self {
            node,
            position: Box::new(position),
        }
    }

    /// The number of the node that the next step asks.
    pub fn node(&self) -> usize {
        self.node
    }

    /// The position, if it is a `P`: it is, for a store that makes its cursors of `P` alone.
    pub fn position<P: Any>(&self) -> Option<&P> {
        self.position.downcast_ref()
    }
}

impl fmt::Debug for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanCursor")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
