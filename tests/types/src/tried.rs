//! Tries a type in a store of bytes: as it is, kept as text, and kept as JSON.
//!
//! A service for each of three hundred types would compile for minutes. So there is one entity, whose
//! field is of whatever type is tried at the moment: a trace, a store and a look-up see nothing else.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::sync::Arc;

use cache_kit::backend::Encoded;
use cache_kit::observability::{CacheEvent, StoreResult};
use cache_kit::serde::{json, text};
use cache_kit::testing::RecordingMetrics;
use cache_kit::{CacheEntity, CacheExpander, CacheService, InMemoryRepository, Source};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::byte_store::MapStore;
use super::rows;

/// A type to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// How the docs call it, which no other one is called.
    pub(crate) name: &'static str,
    /// Whether it has `Display` and `FromStr`, or is a container of such types.
    pub(crate) is_text: bool,
}

/// How the field is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    AsItIs,
    Text,
    Json,
}

/// What becomes of an entity with such a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The second read is a hit with an equal value.
    Hit,
    /// The entity is not stored, and `CacheEvent::Unstorable` says why.
    Refused,
    /// The second read is a hit with another value, which nothing notices.
    Other,
    /// The attribute does not compile for the type.
    Impossible,
}

impl Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hit => "yes",
            Self::Refused => "no",
            Self::Other => "**loses it**",
            Self::Impossible => "",
        })
    }
}

/// A type with what became of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) as_it_is: Fate,
    pub(crate) text: Fate,
    pub(crate) json: Fate,
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            as_it_is,
            text,
            json,
        } = self;
        write!(f, "| {name} | {as_it_is} | {text} | {json} |")
    }
}

/// Tries a type in every way that compiles.
pub(crate) async fn row(candidate: &Candidate) -> Row {
    Row {
        name: candidate.name,
        as_it_is: fate(candidate.name, Way::AsItIs).await,
        text: if candidate.is_text {
            fate(candidate.name, Way::Text).await
        } else {
            Fate::Impossible
        },
        json: fate(candidate.name, Way::Json).await,
    }
}

/// Any value that an entity can have.
pub(crate) trait Value:
    PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T: PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

/// A value of the type that is tried.
#[derive(Clone)]
pub(crate) struct Held(Arc<dyn Any + Send + Sync>);

impl Held {
    pub(crate) fn new<T: Value>(value: T) -> Self {
        Self(Arc::new(value))
    }

    fn value<T: Value>(&self) -> &T {
        self.0.downcast_ref().unwrap()
    }

    pub(crate) fn is<T: Value>(&self, other: &Self) -> bool {
        self.value::<T>() == other.value::<T>()
    }

    pub(crate) fn write<T: Value, S: Serializer>(
        &self,
        way: Way,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match way {
            Way::AsItIs => self.value::<T>().serialize(to),
            Way::Text => unreachable!("it is no text"),
            Way::Json => json::serialize(self.value::<T>(), to),
        }
    }

    pub(crate) fn write_text<T, K, S>(&self, way: Way, to: S) -> Result<S::Ok, S::Error>
    where
        T: Value + text::Text<K>,
        S: Serializer,
    {
        match way {
            Way::Text => text::serialize(self.value::<T>(), to),
            way => self.write::<T, S>(way, to),
        }
    }

    pub(crate) fn read<'de, T: Value, D: Deserializer<'de>>(
        way: Way,
        from: D,
    ) -> Result<Self, D::Error> {
        match way {
            Way::AsItIs => T::deserialize(from).map(Self::new),
            Way::Text => unreachable!("it is no text"),
            Way::Json => json::deserialize::<T, D>(from).map(Self::new),
        }
    }

    pub(crate) fn read_text<'de, T, K, D>(way: Way, from: D) -> Result<Self, D::Error>
    where
        T: Value + text::Text<K>,
        D: Deserializer<'de>,
    {
        match way {
            Way::Text => text::deserialize::<T, K, D>(from).map(Self::new),
            way => Self::read::<T, D>(way, from),
        }
    }
}

thread_local! {
    /// The type that is tried, by its name, and how.
    static NOW: Cell<(&'static str, Way)> = const { Cell::new(("", Way::AsItIs)) };
}

/// The field of an entity, as serde's attributes have it.
mod held {
    use super::{Deserializer, Held, NOW, Serializer, rows};

    pub(super) fn serialize<S: Serializer>(held: &Held, to: S) -> Result<S::Ok, S::Error> {
        let (name, way) = NOW.get();
        rows::write(name, way, held, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Held, D::Error> {
        let (name, way) = NOW.get();
        rows::read(name, way, from)
    }
}

/// If the value is read wrong, so is the field after it.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    id: u64,
    #[serde(with = "held")]
    value: Held,
    last: String,
}

impl CacheEntity for Kept {
    type Key = u64;

    fn cache_key(&self) -> u64 {
        self.id
    }

    fn cache_prefix() -> &'static str {
        "kept"
    }
}

/// Reads the value twice: in a process that has it in its database, and in one that has nothing but the
/// store.
async fn fate(name: &'static str, way: Way) -> Fate {
    NOW.set((name, way));
    let value = rows::value(name);
    let store = MapStore::default();
    let metrics = RecordingMetrics::new();
    let expander = CacheExpander::new(Encoded::over(store.clone())).with_metrics(metrics.boxed());
    let rows = InMemoryRepository::new();
    let entity = Kept {
        id: 7,
        value: value.clone(),
        last: "last".to_owned(),
    };
    rows.insert(7, entity);
    let first = CacheService::from(expander).repository(rows);
    let (_, loaded) = first.get(&7).with_outcome().await.unwrap();
    assert_eq!(loaded.source(), Source::Repository);

    let second = CacheService::new(Encoded::over(store)).repository(InMemoryRepository::new());
    let (back, outcome): (Option<Arc<Kept>>, _) = second.get(&7).with_outcome().await.unwrap();
    let events = metrics.events();
    let refusal = events.iter().find_map(|(_, event)| match event {
        CacheEvent::Unstorable { reason, .. } => Some(reason),
        _ => None,
    });
    match (loaded.store(), back, refusal) {
        (StoreResult::Stored, Some(back), None) => {
            assert!(outcome.is_hit());
            assert_eq!(back.last, "last");
            if rows::is_same(name, &value, &back.value) {
                Fate::Hit
            } else {
                Fate::Other
            }
        }
        (StoreResult::Failed, None, Some(reason)) => {
            // A type that skips a field on one side is found out when its bytes are read, and those say
            // only which entity it was.
            let is_said = reason.contains("field `value") || reason.contains("skipped on one side");
            assert!(is_said, "{name}: {reason}");
            Fate::Refused
        }
        (stored, back, refusal) => {
            unreachable!("{name}: {stored:?}, read: {}, {refusal:?}", back.is_some())
        }
    }
}
