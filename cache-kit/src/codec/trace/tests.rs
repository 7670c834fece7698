//! What traces find, type by type.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{Bound, Range};
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::*;

fn fingerprint<T: DeserializeOwned>() -> u64 {
    trace::<T>(0).fingerprint
}

/// A trace of a type that is fully explored and can always be read back.
fn whole<T: DeserializeOwned>() -> u64 {
    let shape = trace::<T>(0);
    let name = std::any::type_name::<T>();
    assert_eq!(shape.never, None, "{name}");
    assert_eq!(shape.partly, [], "{name}");
    assert_eq!(shape.hidden, [""; 0], "{name}");
    assert!(!shape.cut, "{name}");
    shape.fingerprint
}

fn never<T: DeserializeOwned>() -> String {
    trace::<T>(0).never.unwrap().to_string()
}

macro_rules! shapes {
    ($($module:ident { $($item:item)* })*) => {$(
        #[allow(dead_code, reason = "only the shape counts")]
        mod $module {
            use super::*;
            $(
                #[derive(Deserialize)]
                $item
            )*
        }
    )*};
}

shapes! {
    plain {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    same {
        pub(super) struct Outer { id: u64, state: State, lines: VecDeque<Line>, by: BTreeMap<String, Line> }
        #[serde(deny_unknown_fields)]
        pub(super) struct Line { price: u32, #[serde(default)] note: Option<Box<str>>, at: (u8, Box<str>, [u8; 4]) }
        #[serde(expecting = "a state")]
        pub(super) enum State { New, Paid(Box<u32>), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    name {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { cost: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    kind {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: i32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    length {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 5]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    order {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Sent { at: u64, to: String }, Paid(u32), Both(u8, Line) }
    }
    variant {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: i64, to: String }, Both(u8, Line) }
    }
    last {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Vec<Line>) }
    }
    key {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<u64, Line> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    value {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Option<Line>> }
        pub(super) struct Line { price: u32, note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
    alias {
        pub(super) struct Outer { id: u64, state: State, lines: Vec<Line>, by: HashMap<String, Line> }
        pub(super) struct Line { price: u32, #[serde(alias = "remark")] note: Option<String>, at: (u8, String, [u8; 4]) }
        pub(super) enum State { New, Paid(u32), Sent { at: u64, to: String }, Both(u8, Line) }
    }
}

#[test]
fn what_leaves_the_bytes_alone_leaves_the_fingerprint_alone() {
    assert_eq!(whole::<plain::Outer>(), whole::<same::Outer>());
    assert_eq!(whole::<plain::Line>(), whole::<Box<same::Line>>());
}

#[test]
fn whatever_changes_the_bytes_changes_the_fingerprint() {
    let all = [
        whole::<plain::Outer>(),
        whole::<name::Outer>(),
        whole::<kind::Outer>(),
        whole::<length::Outer>(),
        whole::<order::Outer>(),
        whole::<variant::Outer>(),
        whole::<last::Outer>(),
        whole::<key::Outer>(),
        whole::<value::Outer>(),
        whole::<alias::Outer>(),
        trace::<plain::Outer>(1).fingerprint,
    ];
    let distinct: HashSet<u64> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn a_fingerprint_is_the_same_for_ever() {
    // Stored entries contain it.
    assert_eq!(whole::<plain::Outer>(), 0xa23b_dcbc_e8b2_6875);
}

#[test]
fn types_of_the_standard_library_are_seen_whole() {
    let all = [
        whole::<bool>(),
        whole::<u8>(),
        whole::<i8>(),
        whole::<u64>(),
        whole::<i128>(),
        whole::<f32>(),
        whole::<f64>(),
        whole::<char>(),
        whole::<String>(),
        whole::<()>(),
        whole::<Option<u8>>(),
        whole::<Vec<u8>>(),
        whole::<Vec<Vec<u8>>>(),
        whole::<BTreeMap<u8, u8>>(),
        whole::<(u8,)>(),
        whole::<(u8, u8)>(),
        whole::<(u8, (u8, u8))>(),
        whole::<((u8, u8), u8)>(),
        whole::<[u8; 3]>(),
        whole::<[u8; 32]>(),
        whole::<Result<u8, String>>(),
        whole::<Result<String, u8>>(),
        whole::<Duration>(),
        whole::<SystemTime>(),
        whole::<Range<u8>>(),
        whole::<Range<u16>>(),
        whole::<Bound<u8>>(),
        whole::<IpAddr>(),
        whole::<SocketAddr>(),
        whole::<PhantomData<u8>>(),
        whole::<HashMap<(u8, NonZeroU32), BTreeMap<IpAddr, u8>>>(),
        whole::<(NonZeroU32, NonZeroU32, String)>(),
        whole::<(IpAddr, Duration, Result<(), ()>, Option<Box<str>>, u8)>(),
    ];
    let distinct: HashSet<u64> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len());

    assert_eq!(whole::<usize>(), whole::<u64>());
    assert_eq!(whole::<NonZeroU32>(), whole::<u32>());
    assert_eq!(whole::<std::path::PathBuf>(), whole::<String>());
    assert_eq!(whole::<LinkedList<u16>>(), whole::<Vec<u16>>());
    assert_eq!(whole::<BTreeSet<u16>>(), whole::<HashSet<u16>>());
    assert_eq!(whole::<Box<std::cell::Cell<u16>>>(), whole::<u16>());
    assert_eq!(whole::<[u16; 2]>(), whole::<(u16, u16)>());
    assert_eq!(whole::<Vec<u8>>(), whole::<std::ffi::CString>());
}

shapes! {
    tree {
        pub(super) struct Tree { id: u64, parent: Option<Box<Tree>>, branches: Vec<Branch> }
        pub(super) enum Branch { Leaf(u8), Tree(Box<Tree>), Pair(Box<Branch>, Box<Branch>), Many(Vec<Branch>) }
    }
    same_tree {
        pub(super) struct Tree { id: u64, parent: Option<std::sync::Mutex<Box<Tree>>>, branches: VecDeque<Branch> }
        pub(super) enum Branch { Leaf(u8), Tree(Box<Tree>), Pair(Box<Branch>, std::cell::RefCell<Box<Branch>>), Many(Vec<Branch>) }
    }
    other_tree {
        pub(super) struct Tree { id: u64, parent: Option<Box<Tree>>, branches: Vec<Branch> }
        pub(super) enum Branch { Leaf(u16), Tree(Box<Tree>), Pair(Box<Branch>, Box<Branch>), Many(Vec<Branch>) }
    }
    late_tree {
        pub(super) struct Tree { id: u64, parent: Option<Box<Tree>>, branches: Vec<Branch> }
        pub(super) enum Branch { Leaf(u8), Tree(Box<Tree>), Pair(Box<Branch>, Box<Tree>), Many(Vec<Branch>) }
    }
}

#[test]
fn recursive_types_are_seen_whole() {
    assert_eq!(whole::<tree::Tree>(), whole::<same_tree::Tree>());
    assert_ne!(whole::<tree::Tree>(), whole::<other_tree::Tree>());
    assert_ne!(whole::<tree::Tree>(), whole::<late_tree::Tree>());
    assert_ne!(whole::<tree::Tree>(), whole::<tree::Branch>());
}

#[test]
fn many_paths_to_one_type_are_walked_once() {
    // Each level holds the next one twice: 2^24 paths, 25 types.
    macro_rules! levels {
        ($name:ident $next:ident $($more:ident)*) => {
            #[derive(Deserialize)]
            #[allow(dead_code, reason = "only the shape counts")]
            struct $name(Box<$next>, (Box<$next>, u8));
            levels! { $next $($more)* }
        };
        ($name:ident) => {
            #[derive(Deserialize)]
            struct $name;
        };
    }
    levels! { A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 }
    // No value of it can be made up in bounded time, and no run may try for long.
    assert_ne!(fingerprint::<A0>(), fingerprint::<A1>());
}

/// A number that is refused unless it is large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "u32")]
struct Large(#[allow(dead_code, reason = "only the shape counts")] u32);

impl TryFrom<u32> for Large {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number < 50 {
            return Err("too small".to_owned());
        }
        Ok(Self(number))
    }
}

#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
struct Email(String);

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.contains('@').then_some(Self(text)).ok_or("no address")
    }
}

/// Accepts nothing.
#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "u8")]
struct Never;

impl TryFrom<u8> for Never {
    type Error = &'static str;

    fn try_from(_: u8) -> Result<Self, &'static str> {
        Err("never")
    }
}

/// Panics where others refuse.
#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "u8")]
struct Panicking;

impl From<u8> for Panicking {
    fn from(_: u8) -> Self {
        std::panic::panic_any("no");
    }
}

shapes! {
    refusing {
        pub(super) struct Fields { a: Never, b: Panicking, c: Large, d: Email, e: u8 }
        pub(super) struct Behind(Large, Email, (Email, Large), HashMap<Email, u8>);
        pub(super) struct BehindNever(Never, u8);
        pub(super) struct BehindPanic(Panicking, u8);
        pub(super) struct BehindKey { by: HashMap<Never, u8>, then: u16 }
    }
}

#[test]
fn a_field_that_refuses_everything_hides_no_other() {
    whole::<refusing::Fields>();
    whole::<refusing::Behind>();
    assert_eq!(trace::<refusing::BehindNever>(0).hidden, ["1"]);
    assert_eq!(trace::<refusing::BehindPanic>(0).hidden, ["1"]);
    assert_eq!(trace::<refusing::BehindKey>(0).hidden, ["by{value}"]);
}

#[derive(Deserialize)]
#[serde(tag = "type")]
#[allow(dead_code, reason = "only the shape counts")]
enum Tagged {
    A { x: u8 },
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only the shape counts")]
enum Untagged {
    A { x: u8 },
}

#[derive(Deserialize)]
struct Flat {
    #[allow(dead_code, reason = "only the shape counts")]
    id: u8,
    #[serde(flatten)]
    #[allow(dead_code, reason = "only the shape counts")]
    rest: BTreeMap<String, u8>,
}

shapes! {
    unreadable {
        pub(super) struct Order { id: u64, meta: Meta }
        pub(super) struct Meta { note: Option<String>, price: serde_json::Value }
        pub(super) struct Some_ { id: u64, meta: Option<serde_json::Value>, all: Vec<(u8, Tagged)>, kind: Kind }
        pub(super) enum Kind { A, B { x: Tagged } }
        pub(super) enum All { A(Tagged), B { x: (u8, Untagged) } }
        pub(super) struct Tuple(u8, All);
        pub(super) struct Endless { value: serde_json::Value, next: Box<Endless> }
    }
}

#[test]
fn what_never_comes_back_is_named_with_its_path() {
    assert!(never::<serde_json::Value>().starts_with("it can be read only from"));
    assert!(never::<unreadable::Order>().starts_with("field `meta.price` can be read only from"));
    assert!(never::<Tagged>().starts_with("it can be read only from"));
    assert!(never::<unreadable::All>().starts_with("field `A` can be read only from"));
    assert!(never::<unreadable::Tuple>().starts_with("field `1.A` can be read only from"));
    assert!(never::<unreadable::Endless>().starts_with("field `value` can be read only from"));
    assert!(never::<serde::de::IgnoredAny>().starts_with("it can be read only from"));
}

#[test]
fn what_comes_back_at_times_is_listed() {
    let shape = trace::<unreadable::Some_>(0);
    assert_eq!(shape.never, None);
    let paths: Vec<&str> = shape
        .partly
        .iter()
        .map(|unreadable| unreadable.path.as_str())
        .collect();
    assert_eq!(paths, ["meta", "kind.B.x", "all[].1"]);
    let flat = trace::<Flat>(0);
    assert_eq!(flat.partly[0].path, "{key}");
}

/// Reads a struct of postcard's, and knows no names.
#[allow(dead_code, reason = "only the shape counts")]
struct Ordered {
    a: Large,
    b: u16,
    c: String,
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Ordered;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("three parts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let missing = || de::Error::custom("missing");
                Ok(Ordered {
                    a: seq.next_element()?.ok_or_else(missing)?,
                    b: seq.next_element()?.ok_or_else(missing)?,
                    c: seq.next_element()?.ok_or_else(missing)?,
                })
            }
        }
        deserializer.deserialize_struct("Ordered", &["a", "b", "c"], Parts)
    }
}

/// Reads only maps.
struct Mapped;

impl<'de> Deserialize<'de> for Mapped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Mapped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Mapped, A::Error> {
                while map.next_entry::<String, u8>()?.is_some() {}
                Ok(Mapped)
            }
        }
        deserializer.deserialize_struct("Mapped", &["a"], Parts)
    }
}

#[test]
fn hand_written_types_are_seen_as_postcard_reads_them() {
    whole::<Ordered>();
    assert!(never::<(u8, Mapped)>().starts_with("field `1` does not take its parts"));
}

/// Asks for something else each time.
struct Moody;

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if fastrand::bool() {
            u8::deserialize(deserializer)?;
        } else {
            Vec::<u64>::deserialize(deserializer)?;
        }
        Ok(Self)
    }
}

/// Never ends.
struct Deep;

impl<'de> Deserialize<'de> for Deep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<(u8, Self)>::deserialize(deserializer).map(|pair| pair.1)
    }
}

/// Ignores errors and asks again.
struct Stubborn;

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Stubborn;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stubborn, A::Error> {
                while !matches!(seq.next_element::<u8>(), Ok(None)) {}
                Ok(Stubborn)
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

#[test]
fn every_trace_ends() {
    assert_eq!(whole::<Stubborn>(), whole::<Vec<u8>>());
    for _ in 0..32 {
        trace::<(Moody, Moody, Vec<Moody>)>(0);
    }
    trace::<Deep>(0);
    trace::<HashMap<(u8, String), Vec<Deep>>>(0);
}

#[test]
fn a_trace_takes_a_part_of_a_small_stack() {
    fn traced<T: DeserializeOwned>() -> Shape {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread.spawn(|| trace::<T>(0)).unwrap().join().unwrap()
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only the shape counts")]
    struct W<T>(u8, T, u8);
    type W4<T> = W<W<W<W<T>>>>;
    type W16<T> = W4<W4<W4<W4<T>>>>;
    type W64<T> = W16<W16<W16<W16<T>>>>;
    assert_eq!(traced::<W64<u8>>().hidden, [""; 0]);
    traced::<W64<W16<W4<Box<W4<u8>>>>>>();
    type Large = ([[u64; 32]; 32], u8);
    traced::<(Large, u8, Large)>();
    traced::<Vec<Option<Large>>>();
}

/// Types of many parts, and large ones, of which a part at the end differs.
mod large {
    use super::*;

    macro_rules! structs {
        ($($name:ident: $last:ty),*) => {$(
            #[derive(Deserialize)]
            #[allow(dead_code, reason = "only the shape counts")]
            pub(super) struct $name<A, B> {
                first: A,
                second: B,
                last: $last,
            }
        )*};
    }
    structs! { Unsigned: u32, Signed: i32 }

    /// 128 KiB, without what it points to.
    pub(super) type Inline = [[[f64; 16]; 32]; 32];
}

#[test]
fn the_last_part_of_a_large_type_counts() {
    use large::{Inline, Signed, Unsigned};

    let unsigned = whole::<Unsigned<u64, Inline>>();
    assert_ne!(unsigned, whole::<Signed<u64, Inline>>());
    assert_eq!(unsigned, whole::<Unsigned<u64, Inline>>());
    let nested = whole::<Vec<Unsigned<Unsigned<u8, u8>, Unsigned<Inline, u8>>>>();
    assert_ne!(
        nested,
        whole::<Vec<Unsigned<Unsigned<u8, u8>, Signed<Inline, u8>>>>()
    );
    assert_ne!(
        nested,
        whole::<Vec<Unsigned<Signed<u8, u8>, Unsigned<Inline, u8>>>>()
    );
}

#[test]
fn serialize_is_not_asked() {
    #[derive(Serialize, Deserialize)]
    struct Both {
        a: u8,
    }
    whole::<Both>();
    assert_eq!(Both { a: 1 }.a, 1);
}
