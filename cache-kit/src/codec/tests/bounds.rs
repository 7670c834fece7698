//! A value that is nested too deeply, or has too many elements of zero size, can be neither written
//! nor read.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::mem;
use std::panic::resume_unwind;
use std::thread;

use serde::de::DeserializeOwned;

use super::super::bounds::{EMPTY_ELEMENTS, MAX_DEPTH};
use super::super::payload::{append, read};
use super::*;
use crate::error::{Error, ErrorKind, Result};

/// Half of a thread's default stack: the caller needs some, too.
const STACK: usize = 1 << 20;

fn on_a_small_stack<O: Send + 'static>(run: impl FnOnce() -> O + Send + 'static) -> O {
    let thread = thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    let encoding = append(&mut buffer, MAX_BYTES, value)?;
    assert_eq!(encoding, Encoding::Complete);
    Ok(buffer)
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(read(&encoded(value).unwrap()).as_ref(), Some(value));
}

fn is_too_deep(error: &Error) -> bool {
    error.kind() == ErrorKind::Serialization && error.to_string().contains("256 levels")
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    id: u8,
    next: Option<Box<Link>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Box<Nested>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Nested {
    Leaf,
    Box(Box<Nested>),
    Option(Option<Box<Nested>>),
    Vec(Vec<Nested>),
    Key(BTreeMap<u8, Nested>),
    Wrapped(Wrapped),
    Tuple(u8, Box<Nested>),
    Fields { inner: Box<Nested> },
    Pair((u8, Box<Nested>)),
}

type Way = fn(Nested) -> Nested;

/// Every way to nest one more value, and how many levels it adds.
const WAYS: [(Way, u32); 8] = [
    (|inner| Nested::Box(Box::new(inner)), 1),
    (|inner| Nested::Option(Some(Box::new(inner))), 2),
    (|inner| Nested::Vec(vec![inner]), 2),
    (|inner| Nested::Key(BTreeMap::from([(1, inner)])), 2),
    (|inner| Nested::Wrapped(Wrapped(Box::new(inner))), 2),
    (|inner| Nested::Tuple(1, Box::new(inner)), 1),
    (
        |inner| Nested::Fields {
            inner: Box::new(inner),
        },
        1,
    ),
    (|inner| Nested::Pair((1, Box::new(inner))), 2),
];

fn nested(way: Way, times: u32) -> Nested {
    (0..times).fold(Nested::Leaf, |inner, _| way(inner))
}

/// Postcard's own functions, which refuse nothing.
fn unbounded<T: Serialize>(value: &T) -> Vec<u8> {
    struct Plain(Vec<u8>);
    impl postcard::ser_flavors::Flavor for Plain {
        type Output = Vec<u8>;
        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }
        fn finalize(self) -> postcard::Result<Vec<u8>> {
            Ok(self.0)
        }
    }
    postcard::serialize_with_flavor(value, Plain(Vec::new())).unwrap()
}

#[test]
fn a_value_has_at_most_256_levels_whatever_it_is_made_of() {
    for (way, levels) in WAYS {
        on_a_small_stack(move || {
            let most = MAX_DEPTH / levels;
            comes_back(&nested(way, most));
            let more = nested(way, most + 1);
            assert!(is_too_deep(&encoded(&more).unwrap_err()));
            assert_eq!(read::<Nested>(&unbounded(&more)), None);
        });
    }
}

#[test]
fn five_thousand_levels_are_refused_and_overflow_no_stack() {
    on_a_small_stack(|| {
        let list = |links| (0..links).fold(None, |next, _| Some(Box::new(Link { id: 7, next })));
        comes_back(&Link {
            id: 1,
            next: list(100),
        });
        let long = Link {
            id: 1,
            next: list(5_000),
        };
        assert!(is_too_deep(&encoded(&long).unwrap_err()));
        // To drop it takes more stack than there is.
        mem::forget(long);
        let written = [[7, 1].repeat(5_000), vec![7, 0]].concat();
        assert_eq!(read::<Link>(&written), None);
    });
    for (way, _) in WAYS {
        on_a_small_stack(move || {
            let deep = nested(way, 2_000);
            assert!(is_too_deep(&encoded(&deep).unwrap_err()));
            mem::forget(deep);
        });
    }
}

#[test]
fn a_swallowed_refusal_is_one_all_the_same() {
    struct Careless(Nested);
    impl Serialize for Careless {
        fn serialize<S: serde::Serializer>(
            &self,
            serializer: S,
        ) -> std::result::Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple;
            let mut tuple = serializer.serialize_tuple(1)?;
            let _ = tuple.serialize_element(&self.0);
            tuple.end()
        }
    }
    let deep = nested(WAYS[0].0, 300);
    assert!(is_too_deep(&encoded(&Careless(deep)).unwrap_err()));
}

#[test]
fn elements_of_nothing_are_bounded_and_others_only_by_their_size() {
    comes_back(&vec![(); EMPTY_ELEMENTS]);
    comes_back(&vec![7_u8; 4 * EMPTY_ELEMENTS]);
    comes_back(&vec![vec![(); 10]; 1_000]);
    comes_back(
        &(0..200_000_u32)
            .map(|n| (n, ()))
            .collect::<BTreeMap<_, _>>(),
    );

    let error = encoded(&vec![(); EMPTY_ELEMENTS + 10]).unwrap_err();
    assert!(error.to_string().contains("take no bytes"), "{error}");
    assert!(encoded(&vec![vec![(); 300]; 300]).is_err());
    // Not looped over, which would take years.
    let endless = vec![(); 1 << 60];
    let mut buffer = Vec::new();
    let written = append(&mut buffer, MAX_BYTES, &endless).unwrap();
    assert_eq!(written, Encoding::TooLarge);
    let written = append(&mut buffer, MAX_BYTES, &vec![vec![(); 1 << 40]; 3]).unwrap();
    assert_eq!(written, Encoding::TooLarge);
}

#[test]
fn a_length_that_the_payload_cannot_hold_is_refused_before_it_is_believed() {
    let length = |mut n: u64| {
        let mut bytes = Vec::new();
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    };
    assert_eq!(read::<Vec<()>>(&length(1_000)), Some(vec![(); 1_000]));
    for n in [1 << 17, 1 << 32, 1 << 60, u64::MAX] {
        assert!(read::<Vec<()>>(&length(n)).is_none(), "{n}");
        assert_eq!(read::<Vec<u64>>(&length(n)), None);
        assert_eq!(read::<BTreeMap<(), ()>>(&length(n)), None);
        assert_eq!(read::<String>(&length(n)), None);
    }
    // Each of the inner ones alone would pass.
    let many = [length(1_000), length(60_000).repeat(1_000)].concat();
    assert!(read::<Vec<Vec<()>>>(&many).is_none());

    /// Believes the length it is told.
    #[derive(Debug, PartialEq)]
    struct Trusting(Vec<u64>);
    impl<'de> Deserialize<'de> for Trusting {
        fn deserialize<D: serde::Deserializer<'de>>(
            deserializer: D,
        ) -> std::result::Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Trusting;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("numbers")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut seq: A,
                ) -> std::result::Result<Trusting, A::Error> {
                    let mut all = Vec::with_capacity(seq.size_hint().unwrap_or(0));
                    while let Some(next) = seq.next_element()? {
                        all.push(next);
                    }
                    Ok(Trusting(all))
                }
            }
            deserializer.deserialize_seq(Visit)
        }
    }
    assert_eq!(read::<Trusting>(&length(1 << 60)), None);
    assert_eq!(read::<Trusting>(&[2, 5, 6]), Some(Trusting(vec![5, 6])));
}

#[derive(Debug, PartialEq)]
struct Panicky;

impl Serialize for Panicky {
    fn serialize<S: serde::Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        panic!("the secret is 42")
    }
}

impl<'de> Deserialize<'de> for Panicky {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        panic!("the secret is 42")
    }
}

#[test]
fn a_type_that_panics_is_refused_and_read_as_another() {
    let error = encoded(&(1, Panicky)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    let text = error.to_string();
    assert!(text.contains("panicked") && !text.contains("42"), "{text}");
    assert_eq!(read::<(u8, Panicky)>(&[1, 2]), None);
}
