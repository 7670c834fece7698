//! What a type's `Deserialize` asks for, found out by running it.
//!
//! Postcard writes no names and no types: whether stored bytes still fit depends on what the reader
//! asks for. So a type is identified by that. A *trace* runs `T::deserialize` against a
//! deserializer that holds no bytes and notes each request in a graph: fields, variants, lengths,
//! nested and foreign types. The graph tells two things:
//!
//! - the *fingerprint*, 64 bits that change when the bytes would be read in another way;
//! - which requests postcard cannot answer, each with the path of its field.
//!
//! How it is done:
//!
//! - Each run aims at the nearest request that has not been seen and ends there with an error. So
//!   normally no value is made up, and no user's conversion runs.
//! - The first field of a struct is asked for as postcard does it, through `visit_seq`; the others
//!   by name, through `visit_map`. So a field that refuses every value hides no other field.
//! - Variants are asked for by number, as postcard does it.
//! - A recursive type is recognized by the name of its visitor and by its request. The name of a
//!   visitor is never part of the fingerprint: it changes with modules and compilers.
//! - Values are made up only where there is no other way: before the later elements of a tuple and
//!   in place of a map's key. A value that is refused, or makes a conversion panic, is replaced by
//!   another one, a bounded number of times. What is still out of reach then is noted as hidden.
//! - Nodes, requests and the use of the stack are bounded.
//!
//! Two types that differ in Rust but ask for the same have one fingerprint: `Vec<T>` and
//! `VecDeque<T>`, `T` and `Box<T>`. The serde names of structs, enums and newtypes count, because
//! often nothing else distinguishes `Cents(i64)` from `Euros(i64)`.

mod access;
mod explore;
mod fingerprint;
mod graph;
mod probe;
#[cfg(test)]
mod tests;
mod unreadable;
mod values;

use serde::de::DeserializeOwned;

pub(super) use unreadable::Unreadable;

/// What a trace found out about a type.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Changes when the bytes of a value would be read in another way.
    pub(super) fingerprint: u64,
    /// The request at which every value of the type fails, if there is one.
    pub(super) never: Option<Unreadable>,
    /// Requests at which some values fail: behind an option, in a sequence, in one of several
    /// variants.
    pub(super) partly: Vec<Unreadable>,
    /// Paths whose requests could not be reached. A change there is not seen.
    #[cfg_attr(not(test), expect(dead_code, reason = "asked for by tests only"))]
    pub(super) hidden: Vec<String>,
    /// The type has more parts than are looked at, and a change of the others would not be seen.
    pub(super) cut: bool,
}

/// Traces `T`. `stated` is what the type says about itself, and goes into the fingerprint.
pub(super) fn trace<T: DeserializeOwned>(stated: u64) -> Shape {
    let graph = explore::explore(size_of::<T>(), &|probe| T::deserialize(probe).is_ok());
    let (never, partly) = unreadable::find(&graph);
    Shape {
        fingerprint: fingerprint::of(&graph, stated),
        never,
        partly,
        hidden: graph.hidden(),
        cut: graph.cut,
    }
}
