//! A value of each type.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bigdecimal::BigDecimal;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use time::macros::{date, datetime};

use super::kinds::*;
use super::models::{event, order};
use super::tried::{Candidate, Held, Way};
use serde::{Deserializer, Serializer};

/// Each type with a value of it. `text` is for those that have `Display` and `FromStr`, and for
/// containers of such types.
macro_rules! rows {
    ($($title:literal { $($kind:ident $name:literal: $ty:ty = $value:expr;)* })*) => {
        pub(crate) const SECTIONS: &[(&str, &[Candidate])] = &[$(
            ($title, &[$(Candidate { name: $name, is_text: rows!(@is_text $kind) },)*]),
        )*];

        pub(crate) fn value(name: &str) -> Held {
            match name {
                $($($name => Held::new::<$ty>($value),)*)*
                _ => unreachable!("{name}"),
            }
        }

        pub(crate) fn is_same(name: &str, one: &Held, other: &Held) -> bool {
            match name {
                $($($name => one.is::<$ty>(other),)*)*
                _ => unreachable!("{name}"),
            }
        }

        pub(crate) fn write<S: Serializer>(
            name: &str,
            way: Way,
            held: &Held,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match name {
                $($($name => rows!(@write $kind $ty, held, way, to),)*)*
                _ => unreachable!("{name}"),
            }
        }

        pub(crate) fn read<'de, D: Deserializer<'de>>(
            name: &str,
            way: Way,
            from: D,
        ) -> Result<Held, D::Error> {
            match name {
                $($($name => rows!(@read $kind $ty, way, from),)*)*
                _ => unreachable!("{name}"),
            }
        }
    };
    (@is_text of) => { false };
    (@is_text text) => { true };
    (@write of $ty:ty, $held:ident, $way:ident, $to:ident) => { $held.write::<$ty, _>($way, $to) };
    (@write text $ty:ty, $held:ident, $way:ident, $to:ident) => {
        $held.write_text::<$ty, _, _>($way, $to)
    };
    (@read of $ty:ty, $way:ident, $from:ident) => { Held::read::<$ty, _>($way, $from) };
    (@read text $ty:ty, $way:ident, $from:ident) => { Held::read_text::<$ty, _, _>($way, $from) };
}

rows! {
    "of the standard library" {
        of "`bool`, `char`": (bool, char) = (true, 'ß');
        of "`u8` to `u128`, `i8` to `i128`": (u8, u128, i128) = (1_u8, u128::MAX, i128::MIN);
        of "`f32`, `f64`": (f32, f64) = (0.1_f32, f64::MIN_POSITIVE);
        of "`f64` that is not finite": f64 = f64::INFINITY;
        text "`String`": String = "text".to_owned();
        of "`Box<str>`, `Cow<'static, str>`": (Box<str>, Cow<'static, str>) = (Box::<str>::from("a"), Cow::Borrowed("b"));
        of "`Arc<str>`, `Arc<T>`, with serde's feature `rc`": (Arc<str>, Arc<u64>) = (Arc::<str>::from("a"), Arc::new(1));
        of "`Option<T>`": Option<String> = Some("a".to_owned());
        of "`Option<Option<T>>`": Option<Option<u8>> = Some(None::<u8>);
        of "`Result<T, E>`": Result<u8, String> = Err::<u8, String>("a".to_owned());
        of "`()`, tuples, arrays": ((), (u8, String), [u8; 4]) = ((), (1, "a".to_owned()), [1_u8; 4]);
        of "`Vec<T>`, `VecDeque<T>`": (Vec<u8>, VecDeque<u64>) = (vec![1, 2], VecDeque::from([1, 2]));
        of "`HashSet<T>`, `BTreeSet<T>`": (HashSet<u64>, BTreeSet<u64>) = (HashSet::from([1, 2, 3]), BTreeSet::from([1, 2]));
        of "`HashMap<String, T>`, `BTreeMap<String, T>`": (HashMap<String, u8>, BTreeMap<String, u8>) = (HashMap::from([("a".to_owned(), 1)]), BTreeMap::from([("a".to_owned(), 1)]));
        of "`BTreeMap<(K, L), T>`": BTreeMap<(u8, u8), u8> = BTreeMap::from([((1, 2), 3)]);
        of "`Duration`": Duration = Duration::from_millis(1_500);
        of "`SystemTime`": SystemTime = SystemTime::UNIX_EPOCH + Duration::from_nanos(1);
        text "`IpAddr`": IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        text "`SocketAddr`": SocketAddr = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
        of "`PathBuf`": PathBuf = PathBuf::from("/a/b");
        of "`NonZeroU32`": NonZeroU32 = NonZeroU32::MIN;
        of "`Range<T>`": Range<u8> = Range { start: 1, end: 2 };
    }
    "time" {
        text "`chrono::DateTime<Utc>`": chrono::DateTime<chrono::Utc> = chrono::DateTime::<chrono::Utc>::UNIX_EPOCH + chrono::Duration::nanoseconds(1);
        of "`chrono::DateTime<FixedOffset>`": chrono::DateTime<chrono::FixedOffset> = chrono::DateTime::parse_from_rfc3339("2026-01-02T03:04:05+02:00").unwrap();
        of "`chrono::NaiveDate`": chrono::NaiveDate = chrono::NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        of "`chrono::NaiveDateTime`": chrono::NaiveDateTime = chrono::NaiveDateTime::MIN;
        of "`chrono::NaiveTime`": chrono::NaiveTime = chrono::NaiveTime::from_hms_opt(1, 2, 3).unwrap();
        of "`chrono::TimeDelta`": chrono::TimeDelta = chrono::TimeDelta::milliseconds(-1);
        of "`time::OffsetDateTime`": time::OffsetDateTime = datetime!(2026-01-02 03:04:05.000000001 +2);
        of "`time::PrimitiveDateTime`": time::PrimitiveDateTime = datetime!(2026-01-02 03:04:05);
        of "`time::Date`": time::Date = date!(2026-01-02);
        of "`time::Duration`": time::Duration = time::Duration::milliseconds(-1);
        text "`jiff::Timestamp`": jiff::Timestamp = jiff::Timestamp::from_nanosecond(1).unwrap();
        text "`jiff::ZonedDateTime`": jiff::ZonedDateTime = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
        text "`jiff::civil::Date`, `DateTime`": jiff::civil::Date = jiff::civil::date(2026, 1, 2);
        text "`jiff::SignedDuration`": jiff::SignedDuration = jiff::SignedDuration::from_millis(-1);
    }
    "numbers and ids" {
        text "`rust_decimal::Decimal`": Decimal = Decimal::new(12_500, 3);
        text "`Option<Decimal>`": Option<Decimal> = Some(Decimal::MAX);
        text "`Vec<Decimal>`": Vec<Decimal> = vec![Decimal::ONE, Decimal::MIN];
        text "`Option<Vec<Decimal>>`": Option<Vec<Decimal>> = Some(vec![Decimal::ONE]);
        text "`Vec<Option<Decimal>>`": Vec<Option<Decimal>> = vec![None, Some(Decimal::new(-1, 28))];
        text "`HashMap<String, Decimal>`": HashMap<String, Decimal> = HashMap::from([("a".to_owned(), Decimal::ONE)]);
        text "`bigdecimal::BigDecimal`": BigDecimal = "12.500".parse::<BigDecimal>().unwrap();
        text "`BTreeMap<u8, Option<BigDecimal>>`": BTreeMap<u8, Option<BigDecimal>> = BTreeMap::from([(1, Some(BigDecimal::from(1)))]);
        text "`num_bigint::BigInt`": num_bigint::BigInt = num_bigint::BigInt::from(-1);
        of "`ordered_float::OrderedFloat<f64>`, `NotNan<f64>`": (ordered_float::OrderedFloat<f64>, ordered_float::NotNan<f64>) = (ordered_float::OrderedFloat(1.5), ordered_float::NotNan::new(1.5).unwrap());
        text "`uuid::Uuid`": uuid::Uuid = uuid::Uuid::max();
        text "`semver::Version`": semver::Version = semver::Version::new(1, 2, 3);
        text "`semver::VersionReq`": semver::VersionReq = semver::VersionReq::parse("^1.2").unwrap();
        of "`geo_types::Point<f64>`, `Polygon<f64>`": (geo_types::Point<f64>, geo_types::Polygon<f64>) = (geo_types::Point::new(1.0, 2.0), geo_types::Rect::new((0.0, 0.0), (1.0, 1.0)).to_polygon());
    }
    "texts, addresses, collections" {
        text "`url::Url`": url::Url = url::Url::parse("https://example.org/a?b#c").unwrap();
        text "`ipnet::IpNet`": ipnet::IpNet = "10.0.0.0/8".parse::<ipnet::IpNet>().unwrap();
        text "`ipnetwork::IpNetwork`": ipnetwork::IpNetwork = "10.0.0.0/8".parse::<ipnetwork::IpNetwork>().unwrap();
        of "`bytes::Bytes`": bytes::Bytes = bytes::Bytes::from_static(b"abc");
        of "`smol_str::SmolStr`, `compact_str::CompactString`": (smol_str::SmolStr, compact_str::CompactString) = (smol_str::SmolStr::new("a"), compact_str::CompactString::from("a"));
        of "`smallvec::SmallVec<[T; N]>`": smallvec::SmallVec<[u8; 4]> = smallvec::SmallVec::<[u8; 4]>::from_slice(&[1]);
        of "`arrayvec::ArrayVec<T, N>`, `ArrayString<N>`": (arrayvec::ArrayVec<u8, 4>, arrayvec::ArrayString<4>) = (arrayvec::ArrayVec::<u8, 4>::from_iter([1, 2]), arrayvec::ArrayString::<4>::from("ab").unwrap());
        of "`indexmap::IndexMap<K, V>`, `IndexSet<T>`": (indexmap::IndexMap<String, u8>, indexmap::IndexSet<u8>) = (indexmap::IndexMap::<String, u8>::from([("b".to_owned(), 1)]), indexmap::IndexSet::<u8>::from([2, 1]));
        of "`either::Either<L, R>`": either::Either<u8, String> = either::Either::<u8, String>::Left(1);
        of "flags of `bitflags!`": Rights = Rights::READ | Rights::WRITE;
    }
    "JSON and ORMs" {
        text "`serde_json::Value`": Value = json!({ "a": [1, 0.1, null] });
        text "`Option<Value>`": Option<Value> = Some(json!({}));
        text "`Vec<Value>`": Vec<Value> = vec![json!(null), json!(1)];
        of "`Option<Value>` that is `Some(Value::Null)`": Option<Value> = Some(Value::Null);
        of "`serde_json::Map<String, Value>`": serde_json::Map<String, Value> = serde_json::Map::from_iter([("a".to_owned(), json!(1))]);
        text "`serde_json::Number`": serde_json::Number = serde_json::Number::from(1);
        of "`sqlx::types::Json<T>` of a struct": sqlx::types::Json<order::Address> = sqlx::types::Json(order::address());
        of "`sqlx::types::Json<Value>`": sqlx::types::Json<Value> = sqlx::types::Json(json!({ "a": 1 }));
        of "SeaORM: a model (`DeriveEntityModel`)": order::Model = order::sample();
        of "SeaORM: an enum (`DeriveActiveEnum`)": (order::Status, order::Kind) = (order::Status::New, order::Kind::Large);
        of "SeaORM: a column of JSON with a type (`FromJsonQueryResult`)": order::Address = order::address();
        of "SeaORM: `Json`, `JsonBinary`": sea_orm::JsonValue = sea_orm::JsonValue::from(1);
        of "SeaORM: a model with `Json` kept by `json`": event::Model = event::Model { id: 7, payload: json!({ "a": 1 }) };
    }
    "serde's attributes" {
        of "a struct; `rename`, `rename_all`, `alias`, `default`, `deny_unknown_fields`": Renamed = Renamed { row_id: 1, first_name: "a".to_owned() };
        of "a unit struct, a newtype, a tuple struct, `transparent`": (Unit, Cents, Pair, Meters) = (Unit, Cents(1), Pair(1, "a".to_owned()), Meters(0.5));
        of "a struct that holds itself in a `Vec`": Tree = Tree { name: "a".to_owned(), children: vec![Tree { name: "b".to_owned(), children: vec![] }] };
        of "an enum": [External; 4] = [External::Unit, External::New(1), External::Pair(1, "a".to_owned()), External::Fields { a: 1, b: None }];
        of "an enum with `tag`": Vec<Internal> = vec![Internal::Open, Internal::Paid { at: 1 }];
        of "an enum with `tag` and `content`": Vec<Adjacent> = vec![Adjacent::Open, Adjacent::Paid(1)];
        of "an enum with `untagged`": Vec<Guessed> = vec![Guessed::Number(1), Guessed::Text("1".to_owned())];
        of "an enum with an `untagged` variant": Vec<WithOther> = vec![WithOther::Known, WithOther::Other("a".to_owned())];
        of "an enum of numbers by `serde_repr`": [Level; 2] = [Level::Low, Level::High];
        of "a struct that has a map by `flatten`": Flat = Flat { id: 1, rest: BTreeMap::from([("a".to_owned(), json!(1))]) };
        of "a struct that has a struct by `flatten`": FlatStruct = FlatStruct { id: 1, page: Pager { limit: 2, offset: 3 } };
        of "a struct with `skip_serializing_if`": SkippingIf = SkippingIf { note: None };
        of "a struct with `skip`": Skipping = Skipping { email: "a".to_owned(), secret: "b".to_owned() };
        of "a struct with `skip_serializing`": SkippingSerializing = SkippingSerializing { email: "a".to_owned(), secret: "b".to_owned() };
        of "a struct with `skip_serializing` and `default`": SkippingSerializingWithDefault = SkippingSerializingWithDefault { email: "a".to_owned(), secret: "b".to_owned() };
        of "`from` and `into` that keep the value": Lower = Lower("a".to_owned());
        of "`from` and `into` that change the value": Lower = Lower("A".to_owned());
    }
    "helpers of other crates" {
        of "`with = \"rust_decimal::serde::str\"`": DecimalAsStr = DecimalAsStr { value: Decimal::ONE };
        of "`serde_as(as = \"DisplayFromStr\")`": SerdeAsText = SerdeAsText { value: Some(Decimal::ONE) };
        of "`serde_as(as = \"DurationSeconds<u64>\")`": SerdeAsSeconds = SerdeAsSeconds { value: Duration::from_secs(1) };
        of "`serde_as(as = \"OneOrMany<_>\")`": SerdeAsOneOrMany = SerdeAsOneOrMany { value: vec![1] };
        of "`with = \"serde_with::rust::double_option\"`": Vec<DoubleOption> = vec![DoubleOption { value: None }, DoubleOption { value: Some(None) }];
        of "`with = \"time::serde::rfc3339\"`": Rfc3339 = Rfc3339 { value: datetime!(2026-01-02 03:04:05 UTC) };
        of "`with = \"time::serde::rfc3339::option\"`": MaybeRfc3339 = MaybeRfc3339 { value: Some(datetime!(2026-01-02 03:04:05 UTC)) };
        of "`with = \"time::serde::timestamp::option\"`": MaybeSeconds = MaybeSeconds { value: Some(datetime!(2026-01-02 03:04:05 UTC)) };
        of "`with = \"chrono::serde::ts_seconds\"`": ChronoSeconds = ChronoSeconds { value: chrono::DateTime::UNIX_EPOCH };
        of "`with = \"serde_bytes\"`": Bytes = Bytes { value: vec![1, 2] };
        of "`with = \"either::serde_untagged\"`": UntaggedEither = UntaggedEither { value: either::Either::Left(1) };
    }
}
