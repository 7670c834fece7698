//! A value of each type, and what a store of bytes must do with it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU64, Wrapping};
use std::ops::{Bound, Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, SystemTime};

use cache_kit_shapes::Value;
use indexmap::{IndexMap, IndexSet};
use time::macros::{date, datetime, time as clock};

use super::kinds::*;

/// A kind of store to test the values on.
pub(crate) trait Trial {
    /// `value` is stored and read back unchanged.
    async fn comes_back<T: Value>(&mut self, value: T);

    /// `value` is not stored, for a reason that says `why`.
    async fn is_refused<T: Value>(&mut self, value: T, why: &str);
}

macro_rules! come_back {
    ($trial:ident: $($value:expr;)*) => {
        $($trial.comes_back($value).await;)*
    };
}

macro_rules! are_refused {
    ($trial:ident: $($why:literal $value:expr;)*) => {
        $($trial.is_refused($value, $why).await;)*
    };
}

pub(crate) async fn of_the_standard_library(trial: &mut impl Trial) {
    come_back! { trial:
        (1_u8, -1_i64, u128::MAX, i128::MIN, 'ß', true, 0.1_f32, f64::MIN);
        "text".to_owned();
        Box::<str>::from("text");
        Arc::<str>::from("text");
        Cow::Borrowed("text");
        Some(Some(()));
        vec![Some(1), None];
        [[1_u8; 3]; 2];
        VecDeque::from([1, 2]);
        LinkedList::from([1, 2]);
        BTreeSet::from([1, 2]);
        BTreeMap::from([((1, "a".to_owned()), vec![1])]);
        HashMap::from([(1, HashSet::from([2]))]);
        Reverse(1);
        Wrapping(1);
        NonZeroU64::MIN;
        Duration::from_millis(1_500);
        SystemTime::UNIX_EPOCH;
        IpAddr::V4(Ipv4Addr::LOCALHOST);
        SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        Range { start: 1, end: 2 };
        RangeInclusive::new(1, 2);
        (Bound::Included(1), Bound::<u8>::Unbounded);
        PathBuf::from("/a/b");
        CString::new("text").unwrap();
        Ok::<u8, String>(1);
        Arc::new(Box::new(vec![Cow::Borrowed("a")]));
    }
}

pub(crate) async fn of_other_crates(trial: &mut impl Trial) {
    come_back! { trial:
        chrono::DateTime::<chrono::Utc>::UNIX_EPOCH;
        chrono::DateTime::parse_from_rfc3339("2026-01-02T03:04:05+02:00").unwrap();
        chrono::NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        chrono::NaiveTime::from_hms_opt(1, 2, 3).unwrap();
        chrono::NaiveDateTime::MIN;
        chrono::Weekday::Mon;
        chrono::Month::May;
        datetime!(2026-01-02 03:04:05 +2);
        datetime!(2026-01-02 03:04:05);
        date!(2026-01-02);
        clock!(03:04:05);
        time::Duration::milliseconds(-1);
        time::UtcOffset::UTC;
        time::Weekday::Monday;
        time::Month::May;
        uuid::Uuid::max();
        Some(uuid::Uuid::nil());
        url::Url::parse("https://example.org/a?b#c").unwrap();
        bytes::Bytes::from_static(b"abc");
        IndexMap::from([("b".to_owned(), 1), ("a".to_owned(), 2)]);
        IndexSet::from([2, 1]);
        smol_str::SmolStr::new("a");
        compact_str::CompactString::from("a");
        semver::Version::new(1, 2, 3);
        semver::VersionReq::parse("^1.2").unwrap();
        "10.0.0.0/8".parse::<ipnet::IpNet>().unwrap();
        ordered_float::OrderedFloat(1.5);
        ordered_float::NotNan::new(1.5).unwrap();
        arrayvec::ArrayVec::<u8, 4>::from_iter([1, 2]);
        arrayvec::ArrayString::<4>::from("ab").unwrap();
        smallvec::SmallVec::<[u8; 4]>::from_slice(&[1]);
        serde_bytes::ByteBuf::from([1, 2]);
        either::Either::<u8, String>::Left(1);
        Rights::READ | Rights::WRITE;
        Level::High;
    }
}

pub(crate) async fn with_attributes(trial: &mut impl Trial) {
    come_back! { trial:
        With::sample();
        Timed { at: datetime!(2026-01-02 03:04:05 UTC), date: date!(2026-01-02) };
        Priced { price: "12.50".parse().unwrap() };
        Tree::sample();
        Page { items: vec![Tree::sample()], next: Some(uuid::Uuid::nil()) };
        Twice { note: Some(Some(1)), level: 0, tags: vec![1, 9] };
        Perhaps { meta: None };
        Child { parent: Weak::new() };
    }
}

/// Types that need a self-describing format, or do not read what they write.
pub(crate) async fn that_never_come_back(trial: &mut impl Trial) {
    are_refused! { trial:
        "field `value` can be read only from" serde_json::json!({ "a": 1 });
        "field `value` can be read only from" rust_decimal::Decimal::ONE;
        "field `value` can be read only from" bigdecimal::BigDecimal::from(1);
        "field `value.price` can be read only from" Cost { id: 1, price: rust_decimal::Decimal::ONE };
        "field `value.lines[].price` can be read only from" Order { lines: vec![Cost { id: 1, price: rust_decimal::Decimal::ONE }] };
        "field `value.meta` can be read only from" Perhaps { meta: Some(serde_json::Value::Null) };
        "field `value.state` can be read only from" Tagged { state: Tag::Paid { at: 1 } };
        "field `value.state` can be read only from" Guessed { state: Guess::Number(1) };
        "field `value.one` can be read only from" One { one: vec![1] };
        "field `value.first` can be read only from" First { first: 1 };
        "field `value.value` can be read only from" OnError { value: 1 };
        "field `value.after`" Flexible { after: Duration::from_secs(1) };
        "field `value.either` can be read only from" Untagged { either: either::Either::Left(1) };
        "field `value.at`" Rfc3339 { at: Some(datetime!(2026-01-02 03:04:05 UTC)) };
        "field `value`" serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
        "field `value.by" KeyValues { by: vec![KeyValue { key: "a".to_owned(), value: 1 }] };
        "field `value`: a sequence or map does not know its length" Flat { id: 1, rest: BTreeMap::from([("a".to_owned(), 1)]) };
        "field `value.note` is skipped" Skipping { note: None, level: 1 };
    }
}

pub(crate) async fn that_come_back_as_another(trial: &mut impl Trial) {
    are_refused! { trial:
        "field `value.note` comes back as another value" Twice { note: None, level: 0, tags: vec![1, 9] };
        "field `value.state` comes back as another value" Renumbered { state: Skipped::Paid };
        "does not come back" Renumbered { state: Skipped::Cancelled };
        "field `value.parent` comes back as another value" Child::of(&PARENT);
    }
}

static PARENT: LazyLock<Arc<u8>> = LazyLock::new(|| Arc::new(1));
