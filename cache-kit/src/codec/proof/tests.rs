//! What a proof accepts, and what it refuses.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::{Encoding, payload};
use super::*;
use crate::codec::trace::trace;

/// An entity around any type.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holding<T> {
    id: u8,
    value: T,
    last: String,
}

impl<T> CacheEntity for Holding<T>
where
    T: Clone + Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
{
    type Key = u8;

    fn cache_key(&self) -> u8 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "holding"
    }
}

fn prove<T>(value: T) -> Result<()>
where
    T: Clone + Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
{
    let entity = Holding {
        id: 1,
        value,
        last: "last".to_owned(),
    };
    let shape = trace::<Holding<T>>(0);
    of_type::<Holding<T>>(&shape)?;
    let mut payload = Vec::new();
    let written = payload::append(&mut payload, usize::MAX, &entity)?;
    assert_eq!(written, Encoding::Complete);
    of_value(&shape, &entity, &payload)
}

#[track_caller]
fn refused<T>(value: T) -> String
where
    T: Clone + Debug + Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
{
    let said = format!("{value:?}");
    let error = prove(value).expect_err(&said);
    assert!(matches!(error, Error::SerializationError(_)), "{error}");
    error.to_string()
}

#[test]
fn what_comes_back_passes() {
    prove(()).unwrap();
    prove((1_u8, -1_i64, u128::MAX, i128::MIN, 'ß', true)).unwrap();
    prove((f32::NAN, f64::NEG_INFINITY, -0.0_f64)).unwrap();
    prove((Duration::MAX, SystemTime::now())).unwrap();
    prove(vec![Some("a".to_owned()), None]).unwrap();
    prove(std::result::Result::<u8, Vec<u8>>::Err(vec![1, 2])).unwrap();
    prove(RefCell::new(1).into_inner()).unwrap();
    prove(std::path::PathBuf::from("/")).unwrap();
}

#[test]
fn the_order_of_a_set_is_none_of_its_values() {
    let all = 0..100_u32;
    let set: HashSet<u32> = all.clone().collect();
    let map: HashMap<u32, HashSet<String>> = all
        .map(|n| (n, (0..n % 5).map(|n| n.to_string()).collect()))
        .collect();
    prove(set.clone()).unwrap();
    prove(map.clone()).unwrap();
    prove(vec![(set, map); 3]).unwrap();
}

/// Writes nothing for `None`, as some helpers do.
mod shifting {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<u8>>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_unit(),
            Some(None) => serializer.serialize_none(),
            Some(Some(value)) => serializer.serialize_some(value),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Option<Option<u8>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shifted {
    #[serde(with = "shifting")]
    note: Option<Option<u8>>,
    level: u8,
    tags: Vec<u8>,
}

#[test]
fn bytes_that_decode_as_another_value_are_refused_with_the_field() {
    let shifted = |note| Shifted {
        note,
        level: 0,
        tags: vec![1, 9],
    };
    // Encoded again, it gives the same bytes.
    let encoded = |value: &Shifted| {
        let mut bytes = Vec::new();
        payload::append(&mut bytes, usize::MAX, value).map(|_| bytes)
    };
    let other = Shifted {
        note: Some(None),
        level: 2,
        tags: vec![9],
    };
    assert_eq!(encoded(&shifted(None)).ok(), encoded(&other).ok());
    let said = refused(shifted(None));
    assert!(said.contains("field `value.note`"), "{said}");
    assert!(said.contains("Holding<"), "{said}");
    prove(shifted(Some(None))).unwrap();
    prove(shifted(Some(Some(1)))).unwrap();
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Renumbered {
    #[serde(skip)]
    #[allow(dead_code, reason = "it is skipped")]
    Draft,
    Paid,
    Cancelled,
}

#[test]
fn a_skipped_variant_is_refused() {
    let said = refused(Renumbered::Paid);
    assert!(
        said.contains("field `value` comes back as another"),
        "{said}"
    );
    refused(vec![Renumbered::Cancelled]);
}

#[test]
fn what_asks_the_bytes_is_refused_with_the_field() {
    let said = refused(serde_json::json!({"a": 1}));
    assert!(
        said.contains("field `value` can be read only from"),
        "{said}"
    );
    let said = refused(BTreeMap::from([(1, (2, Some(serde_json::Value::Null)))]));
    assert!(
        said.contains("field `value{value}.1` can be read only from"),
        "{said}"
    );
    prove(BTreeMap::<u8, (u8, Option<serde_json::Value>)>::new()).unwrap();
    prove(BTreeMap::from([(1, (2, None::<serde_json::Value>))])).unwrap();
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "String")]
struct Lower(String);

impl From<String> for Lower {
    fn from(text: String) -> Self {
        Self(text.to_lowercase())
    }
}

/// Written as a number that reading rejects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "(u8,)", into = "(u8,)")]
struct Panicking(u8);

impl From<(u8,)> for Panicking {
    fn from((number,): (u8,)) -> Self {
        assert!(number < 10, "on purpose");
        Self(number)
    }
}

impl From<Panicking> for (u8,) {
    fn from(Panicking(number): Panicking) -> Self {
        (number,)
    }
}

#[test]
fn what_a_conversion_changes_is_refused() {
    prove(Lower("a".to_owned())).unwrap();
    refused(Lower("A".to_owned()));
}

#[test]
fn a_panic_is_a_refusal() {
    prove(Panicking(9)).unwrap();
    let said = refused(Panicking(10));
    assert!(said.contains("does not come back"), "{said}");
}

#[test]
fn a_type_with_more_parts_than_are_looked_at_is_refused() {
    let mut shape = trace::<Holding<u8>>(0);
    assert!(!shape.cut && of_type::<Holding<u8>>(&shape).is_ok());
    shape.cut = true;
    let said = of_type::<Holding<u8>>(&shape).unwrap_err().to_string();
    assert!(
        said.contains("Holding<u8>") && said.contains("too large"),
        "{said}"
    );
}
