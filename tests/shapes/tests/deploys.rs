//! Two builds of one service on one store, the second with a change: what the first wrote is read
//! unchanged, or is a miss. It is a miss only if the bytes would be read differently.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is what a test is for"
)]
#![allow(dead_code, reason = "only shapes count")]

use cache_kit_shapes::{Store, Value};

#[derive(Debug, PartialEq)]
enum Read {
    Hit,
    Miss,
}
use Read::{Hit, Miss};

/// What the second build reads after the first has stored. A hit must be the same value.
async fn deploy<One: Value, Other: Value>(value: One) -> Read {
    let store = Store::default();
    store.put(value.clone()).await.unwrap();
    let same: Option<One> = store.get().await.unwrap();
    assert!(same.is_some(), "the same build does not hit");
    match store.get::<Other>().await.unwrap() {
        None => Miss,
        Some(other) => {
            let [one, other] = [serde_json::to_value(&value), serde_json::to_value(&other)];
            assert_eq!(one.unwrap(), other.unwrap(), "a wrong value");
            Hit
        }
    }
}

macro_rules! build {
    ($module:ident { $($stored:item)* } { $($more:item)* }) => {
        pub(crate) mod $module {
            #[allow(unused_imports, reason = "not every case needs all")]
            use crate::prelude::*;
            $(
                #[derive(Debug, Clone, Serialize, Deserialize)]
                $stored
            )*
            $($more)*
        }
    };
}

/// The types of two builds, and the result. The first braces contain the types that derive serde's
/// traits, the second the rest.
macro_rules! deploys {
    ($($case:ident $expected:ident {$($one:tt)*} {$($one_more:tt)*} {$($other:tt)*} {$($other_more:tt)*} $value:expr;)*) => {
        $(mod $case {
            build! { one { $($one)* } { $($one_more)* pub(crate) fn value() -> T { $value } } }
            build! { other { $($other)* } { $($other_more)* } }
        })*

        #[tokio::test]
        async fn every_deploy_reads_what_it_should() {
            let mut cases = 0;
            let mut wrong = Vec::new();
            $(
                cases += 1;
                let read = deploy::<$case::one::T, $case::other::T>($case::one::value()).await;
                if read != $expected {
                    wrong.push(format!("{}: {read:?}", stringify!($case)));
                }
            )*
            assert_eq!(wrong, [""; 0]);
            assert!(cases >= 60, "{cases}");
        }
    };
}

mod prelude {
    pub(crate) use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
    pub(crate) use std::sync::Arc;
    pub(crate) use std::time::Duration;

    pub(crate) use chrono::{DateTime, NaiveDate, Utc};
    pub(crate) use indexmap::IndexMap;
    pub(crate) use serde::{Deserialize, Serialize};
    pub(crate) use smol_str::SmolStr;
    pub(crate) use uuid::Uuid;

    pub(crate) fn text(text: &str) -> String {
        text.to_owned()
    }
}

deploys! {
    // Changes without an effect.
    unchanged Hit { pub(crate) struct T { a: u8, b: String } } {} { pub(crate) struct T { a: u8, b: String } } {} T { a: 1, b: text("b") };
    default_added Hit { pub(crate) struct T { a: u8, b: String } } {} { pub(crate) struct T { #[serde(default)] a: u8, #[serde(default)] b: String } } {} T { a: 1, b: text("b") };
    unknown_denied Hit { pub(crate) struct T { a: u8 } } {} { #[serde(deny_unknown_fields)] pub(crate) struct T { a: u8 } } {} T { a: 1 };
    container_default Hit { pub(crate) struct T { a: u8 } } {} { #[serde(default)] pub(crate) struct T { a: u8 } } { impl Default for T { fn default() -> Self { T { a: 9 } } } } T { a: 1 };
    expecting Hit { pub(crate) struct T { a: u8 } } {} { #[serde(expecting = "a T")] pub(crate) struct T { a: u8 } } {} T { a: 1 };
    boxed Hit { pub(crate) struct T { a: Inner } pub(crate) struct Inner { b: u8 } } {} { pub(crate) struct T { a: Box<Inner> } pub(crate) struct Inner { b: u8 } } {} T { a: Inner { b: 1 } };
    shared Hit { pub(crate) struct T { a: Vec<Inner> } pub(crate) struct Inner { b: u8 } } {} { pub(crate) struct T { a: Arc<[Arc<Inner>]> } pub(crate) struct Inner { b: u8 } } {} T { a: vec![Inner { b: 1 }] };
    other_text Hit { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: SmolStr } } {} T { a: text("a") };
    compact_text Hit { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: compact_str::CompactString } } {} T { a: text("a") };
    cow_text Hit { pub(crate) struct T { a: Box<str> } } {} { pub(crate) struct T { a: std::borrow::Cow<'static, str> } } {} T { a: "a".into() };
    deque Hit { pub(crate) struct T { a: Vec<u16> } } {} { pub(crate) struct T { a: VecDeque<u16> } } {} T { a: vec![1, 2] };
    set Hit { pub(crate) struct T { a: Vec<u16> } } {} { pub(crate) struct T { a: BTreeSet<u16> } } {} T { a: vec![1, 2] };
    small_vec Hit { pub(crate) struct T { a: Vec<u16> } } {} { pub(crate) struct T { a: smallvec::SmallVec<[u16; 4]> } } {} T { a: vec![1, 2] };
    other_map Hit { pub(crate) struct T { a: HashMap<String, u8> } } {} { pub(crate) struct T { a: BTreeMap<String, u8> } } {} T { a: HashMap::from([(text("a"), 1)]) };
    index_map Hit { pub(crate) struct T { a: BTreeMap<String, u8> } } {} { pub(crate) struct T { a: IndexMap<String, u8> } } {} T { a: BTreeMap::from([(text("a"), 1)]) };
    one_of_two_vecs Hit { pub(crate) struct T { a: Vec<Inner>, b: Vec<Inner> } pub(crate) struct Inner { x: u8 } } {} { pub(crate) struct T { a: Vec<Inner>, b: VecDeque<Inner> } pub(crate) struct Inner { x: u8 } } {} T { a: vec![Inner { x: 1 }], b: vec![Inner { x: 2 }] };
    bytes_as_bytes Hit { pub(crate) struct T { a: Vec<u8> } } {} { pub(crate) struct T { a: bytes::Bytes } } {} T { a: vec![1, 2] };
    serde_bytes Hit { pub(crate) struct T { a: Vec<u8> } } {} { pub(crate) struct T { #[serde(with = "serde_bytes")] a: Vec<u8> } } {} T { a: vec![1, 2] };
    pointer_width Hit { pub(crate) struct T { a: u64, b: i64 } } {} { pub(crate) struct T { a: usize, b: isize } } {} T { a: 1, b: -1 };
    transparent Hit { pub(crate) struct T { a: u64 } } {} { pub(crate) struct T { a: Id } #[serde(transparent)] pub(crate) struct Id(u64); } {} T { a: 1 };
    non_zero Hit { pub(crate) struct T { a: u64 } } {} { pub(crate) struct T { a: std::num::NonZeroU64 } } {} T { a: 1 };
    wrapped_number Hit { pub(crate) struct T { a: f64 } } {} { pub(crate) struct T { a: ordered_float::OrderedFloat<f64> } } {} T { a: 1.5 };
    through_text Hit { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: Email } #[serde(try_from = "String", into = "String")] pub(crate) struct Email(String); } { impl TryFrom<String> for Email { type Error = &'static str; fn try_from(it: String) -> Result<Self, &'static str> { it.contains('@').then_some(Email(it)).ok_or("no address") } } impl From<Email> for String { fn from(it: Email) -> String { it.0 } } } T { a: text("a@b") };
    alias_of_a_type Hit { pub(crate) struct T { a: Option<Vec<u16>> } } {} { pub(crate) struct T { a: Many } } { pub(crate) type Many = Option<Vec<u16>>; } T { a: Some(vec![1]) };
    recursive_same Hit { pub(crate) struct T { a: u8, next: Option<Box<T>> } } {} { pub(crate) struct T { a: u8, next: Option<Arc<T>> } } {} T { a: 1, next: Some(Box::new(T { a: 2, next: None })) };
    generic_same Hit { pub(crate) struct T { a: Page<u16> } pub(crate) struct Page<I> { items: Vec<I> } } {} { pub(crate) struct T { a: Page<Item> } pub(crate) struct Page<I> { items: Vec<I> } #[serde(transparent)] pub(crate) struct Item(u16); } {} T { a: Page { items: vec![1] } };
    variant_default Hit { pub(crate) struct T { a: E } pub(crate) enum E { A, B { x: u8 } } } {} { pub(crate) struct T { a: E } pub(crate) enum E { A, B { #[serde(default)] x: u8 } } } {} T { a: E::B { x: 1 } };
    time_stays Hit { pub(crate) struct T { at: DateTime<Utc> } } {} { pub(crate) struct T { #[serde(default)] at: DateTime<Utc> } } {} T { at: DateTime::UNIX_EPOCH };

    // Fields.
    renamed Miss { pub(crate) struct T { a: u8, b: u8 } } {} { pub(crate) struct T { a: u8, c: u8 } } {} T { a: 1, b: 2 };
    swapped Miss { pub(crate) struct T { a: u8, b: u8 } } {} { pub(crate) struct T { b: u8, a: u8 } } {} T { a: 1, b: 2 };
    added Miss { pub(crate) struct T { a: u8 } } {} { pub(crate) struct T { a: u8, b: () } } {} T { a: 1 };
    removed Miss { pub(crate) struct T { a: u8, b: () } } {} { pub(crate) struct T { a: u8 } } {} T { a: 1, b: () };
    signed Miss { pub(crate) struct T { a: u8 } } {} { pub(crate) struct T { a: i8 } } {} T { a: 200 };
    wider Miss { pub(crate) struct T { a: u32 } } {} { pub(crate) struct T { a: u64 } } {} T { a: 1 };
    narrower Miss { pub(crate) struct T { a: i64 } } {} { pub(crate) struct T { a: i32 } } {} T { a: 1 };
    truth Miss { pub(crate) struct T { a: u8 } } {} { pub(crate) struct T { a: bool } } {} T { a: 1 };
    float Miss { pub(crate) struct T { a: u32 } } {} { pub(crate) struct T { a: f32 } } {} T { a: 1 };
    text_to_bytes Miss { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: Vec<u8> } } {} T { a: text("a") };
    text_to_char Miss { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: char } } {} T { a: text("a") };
    optional Miss { pub(crate) struct T { a: Vec<u8> } } {} { pub(crate) struct T { a: Option<u8> } } {} T { a: vec![1] };
    option_dropped Miss { pub(crate) struct T { a: Option<u8> } } {} { pub(crate) struct T { a: u8 } } {} T { a: None };
    skipped Miss { pub(crate) struct T { a: u8, b: u8 } } {} { pub(crate) struct T { #[serde(skip)] a: u8, b: u8 } } {} T { a: 1, b: 2 };
    serde_renamed Miss { pub(crate) struct T { a: u8, b: u8 } } {} { pub(crate) struct T { #[serde(rename = "b")] a: u8, #[serde(rename = "a")] b: u8 } } {} T { a: 1, b: 2 };
    alias_added Miss { pub(crate) struct T { a: u8 } } {} { pub(crate) struct T { #[serde(alias = "z")] a: u8 } } {} T { a: 1 };

    // Inside.
    nested_renamed Miss { pub(crate) struct T { a: Vec<Inner> } pub(crate) struct Inner { x: u8 } } {} { pub(crate) struct T { a: Vec<Inner> } pub(crate) struct Inner { y: u8 } } {} T { a: vec![Inner { x: 1 }] };
    nested_swapped Miss { pub(crate) struct T { a: Inner } pub(crate) struct Inner { x: u8, y: u8 } } {} { pub(crate) struct T { a: Inner } pub(crate) struct Inner { y: u8, x: u8 } } {} T { a: Inner { x: 1, y: 2 } };
    deeply_nested Miss { pub(crate) struct T { a: HashMap<u8, Option<(u8, Inner)>> } pub(crate) struct Inner { x: u8 } } {} { pub(crate) struct T { a: HashMap<u8, Option<(u8, Inner)>> } pub(crate) struct Inner { x: i8 } } {} T { a: HashMap::from([(1, Some((2, Inner { x: 200 })))]) };
    unit_of_measure Miss { pub(crate) struct T { a: Cents } pub(crate) struct Cents(i64); } {} { pub(crate) struct T { a: Euros } pub(crate) struct Euros(i64); } {} T { a: Cents(100) };
    behind_an_alias Miss { pub(crate) struct T { a: Id } } { pub(crate) type Id = u32; } { pub(crate) struct T { a: Id } } { pub(crate) type Id = i32; } T { a: 3 };
    associated_type Miss { pub(crate) struct T { a: <Config as Is>::Id } } { pub(crate) trait Is { type Id; } pub(crate) struct Config; impl Is for Config { type Id = u32; } } { pub(crate) struct T { a: <Config as Is>::Id } } { pub(crate) trait Is { type Id; } pub(crate) struct Config; impl Is for Config { type Id = i32; } } T { a: 3 };
    default_parameter Miss { pub(crate) struct T { a: Page } pub(crate) struct Page<I = u32> { items: Vec<I> } } {} { pub(crate) struct T { a: Page } pub(crate) struct Page<I = i32> { items: Vec<I> } } {} T { a: Page { items: vec![3] } };
    constant_length Miss { pub(crate) struct T { a: [u8; LEN], b: Vec<u8> } } { pub(crate) const LEN: usize = 4; } { pub(crate) struct T { a: [u8; LEN], b: Vec<u8> } } { pub(crate) const LEN: usize = 2; } T { a: [0, 0, 1, 7], b: vec![] };
    foreign_container Miss { pub(crate) struct T { a: arrayvec::ArrayVec<ID, 4> } } { pub(crate) type ID = u32; } { pub(crate) struct T { a: arrayvec::ArrayVec<ID, 4> } } { pub(crate) type ID = i32; } T { a: [3].into_iter().collect() };
    raw_changed Miss { pub(crate) struct T { a: Cooked } #[serde(from = "Raw", into = "Raw")] pub(crate) struct Cooked(i64); pub(crate) struct Raw(u32); } { impl From<Raw> for Cooked { fn from(it: Raw) -> Self { Cooked(it.0.into()) } } impl From<Cooked> for Raw { fn from(it: Cooked) -> Self { Raw(u32::try_from(it.0).unwrap()) } } } { pub(crate) struct T { a: Cooked } #[serde(from = "Raw", into = "Raw")] pub(crate) struct Cooked(i64); pub(crate) struct Raw(i32); } { impl From<Raw> for Cooked { fn from(it: Raw) -> Self { Cooked(it.0.into()) } } impl From<Cooked> for Raw { fn from(it: Cooked) -> Self { Raw(i32::try_from(it.0).unwrap()) } } } T { a: Cooked(3) };
    tuple_length Miss { pub(crate) struct T { a: (u8, u8), b: u8 } } {} { pub(crate) struct T { a: (u8, u8, u8), b: () } } {} T { a: (1, 2), b: 3 };
    later_element Miss { pub(crate) struct T { a: (u8, String, u8) } } {} { pub(crate) struct T { a: (u8, String, i8) } } {} T { a: (1, text("a"), 200) };
    tuple_struct Miss { pub(crate) struct T(u8, u16); } {} { pub(crate) struct T(u8, i16); } {} T(1, 3);
    map_key Miss { pub(crate) struct T { a: BTreeMap<u16, u8> } } {} { pub(crate) struct T { a: BTreeMap<i16, u8> } } {} T { a: BTreeMap::from([(3, 1)]) };
    map_value Miss { pub(crate) struct T { a: BTreeMap<Uuid, u16> } } {} { pub(crate) struct T { a: BTreeMap<Uuid, i16> } } {} T { a: BTreeMap::from([(Uuid::nil(), 3)]) };
    recursive_leaf Miss { pub(crate) struct T { a: u16, next: Vec<T> } } {} { pub(crate) struct T { a: i16, next: Vec<T> } } {} T { a: 1, next: vec![T { a: 2, next: vec![] }] };
    recursive_deep Miss { pub(crate) struct T { next: Option<Box<Link>> } pub(crate) enum Link { T(T), End(Vec<Mark>) } pub(crate) struct Mark(u16); } {} { pub(crate) struct T { next: Option<Box<Link>> } pub(crate) enum Link { T(T), End(Vec<Mark>) } pub(crate) struct Mark(i16); } {} T { next: Some(Box::new(Link::End(vec![Mark(3)]))) };

    // Enums.
    variant_in_front Miss { pub(crate) struct T { a: State } pub(crate) enum State { Paid, Open } } {} { pub(crate) struct T { a: State } pub(crate) enum State { New, Paid, Open } } {} T { a: State::Paid };
    own_result Miss { pub(crate) struct T { a: Result } pub(crate) enum Result { Ok(u8), Err(u8) } } {} { pub(crate) struct T { a: Result } pub(crate) enum Result { Pending(u8), Ok(u8), Err(u8) } } {} T { a: Result::Ok(1) };
    own_option Miss { pub(crate) struct T { a: Option } pub(crate) enum Option { None, Some(u8) } } {} { pub(crate) struct T { a: Option } pub(crate) enum Option { Some(u8), None } } {} T { a: Option::Some(1) };
    result_to_own Miss { pub(crate) struct T { a: Result<u8, u8> } } {} { pub(crate) struct T { a: Result } pub(crate) enum Result { Err(u8), Ok(u8) } } {} T { a: Ok(1) };
    variants_swapped Miss { pub(crate) enum T { A(u8), B(u8) } } {} { pub(crate) enum T { B(u8), A(u8) } } {} T::A(1);
    variant_at_the_end Miss { pub(crate) enum T { A(u8), B(u8) } } {} { pub(crate) enum T { A(u8), B(u8), C } } {} T::A(1);
    variant_renamed Miss { pub(crate) enum T { A(u8), B(u8) } } {} { pub(crate) enum T { A(u8), C(u8) } } {} T::B(1);
    variant_filled Miss { pub(crate) struct T { a: E, b: Vec<u8> } pub(crate) enum E { A, B } } {} { pub(crate) struct T { a: E, b: () } pub(crate) enum E { A, B(Vec<u8>) } } {} T { a: E::B, b: vec![1] };
    variant_field_kind Miss { pub(crate) enum T { A, B { x: u16, y: String } } } {} { pub(crate) enum T { A, B { x: i16, y: String } } } {} T::B { x: 3, y: text("y") };
    variant_later_field Miss { pub(crate) enum T { A, B(u8, u16) } } {} { pub(crate) enum T { A, B(u8, i16) } } {} T::B(1, 3);
    variant_skipped Miss { pub(crate) enum T { A, B, C } } {} { pub(crate) enum T { #[serde(skip)] A, B, C } } {} T::A;
    variants_to_number Miss { pub(crate) struct T { a: E } pub(crate) enum E { A, B } } {} { pub(crate) struct T { a: u32 } } {} T { a: E::B };

    // Types of other crates.
    time_to_date Miss { pub(crate) struct T { at: DateTime<Utc> } } {} { pub(crate) struct T { at: DateStamp } pub(crate) struct DateStamp { at: NaiveDate } } {} T { at: DateTime::UNIX_EPOCH };
    seconds_to_text Miss { pub(crate) struct T { #[serde(with = "chrono::serde::ts_seconds")] at: DateTime<Utc> } } {} { pub(crate) struct T { at: DateTime<Utc> } } {} T { at: DateTime::UNIX_EPOCH };
    std_to_time Miss { pub(crate) struct T { a: Duration } } {} { pub(crate) struct T { a: time::Duration } } {} T { a: Duration::from_secs(3) };
    uuid_to_text Miss { pub(crate) struct T { a: Uuid } } {} { pub(crate) struct T { a: String } } {} T { a: Uuid::nil() };
    uuid_to_number Miss { pub(crate) struct T { a: Uuid } } {} { pub(crate) struct T { a: u128 } } {} T { a: Uuid::nil() };
    address Miss { pub(crate) struct T { a: std::net::Ipv4Addr } } {} { pub(crate) struct T { a: std::net::IpAddr } } {} T { a: std::net::Ipv4Addr::new(1, 1, 2, 3) };
    net Miss { pub(crate) struct T { a: ipnet::Ipv4Net } } {} { pub(crate) struct T { a: ipnet::IpNet } } {} T { a: "1.2.3.0/24".parse().unwrap() };
    decimal_as_text Miss { pub(crate) struct T { a: u64 } } {} { pub(crate) struct T { #[serde(with = "serde_with::As::<serde_with::DisplayFromStr>")] a: u64 } } {} T { a: 3 };
    text_to_decimal Miss { pub(crate) struct T { price: u64 } } {} { pub(crate) struct T { price: Price } pub(crate) struct Price(String); } {} T { price: 3 };
    version_to_text Hit { pub(crate) struct T { a: String } } {} { pub(crate) struct T { a: semver::Version } } {} T { a: text("1.2.3") };
    index_set Miss { pub(crate) struct T { a: indexmap::IndexSet<u16> } } {} { pub(crate) struct T { a: indexmap::IndexSet<i16> } } {} T { a: [3].into() };
    small_vec_item Miss { pub(crate) struct T { a: smallvec::SmallVec<[u16; 2]> } } {} { pub(crate) struct T { a: smallvec::SmallVec<[i16; 2]> } } {} T { a: smallvec::smallvec![3] };
    either_swapped Miss { pub(crate) struct T { a: either::Either<u16, String> } } {} { pub(crate) struct T { a: either::Either<i16, String> } } {} T { a: either::Either::Left(3) };
    range_of Miss { pub(crate) struct T { a: std::ops::Range<u16> } } {} { pub(crate) struct T { a: std::ops::Range<i16> } } {} T { a: 1..3 };
    url_to_text Hit { pub(crate) struct T { a: url::Url } } {} { pub(crate) struct T { a: String } } {} T { a: url::Url::parse("http://a.b/").unwrap() };
}
