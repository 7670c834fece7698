//! Payloads: an entity in postcard.

use std::cell::Cell;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::unwind::caught;

use super::bounds::{EMPTY_ELEMENTS, MAX_DEPTH, Within, max_elements};
use super::strict::{Strict, Watch};
use super::{AS_JSON, Encoding};

/// Appends `value` to `buffer`, which may grow to `max_bytes`.
pub(super) fn append<T: Serialize>(
    buffer: &mut Vec<u8>,
    max_bytes: usize,
    value: &T,
) -> Result<Encoding> {
    let start = buffer.len();
    let mut serializer = postcard::Serializer {
        output: Bounded {
            buffer,
            max_bytes,
            full: false,
        },
    };
    let watch = Watch::new(max_elements(max_bytes));
    // After a panic the contents of the buffer are useless, and the caller empties it.
    let written = caught(|| value.serialize(Strict::new(&mut serializer, &watch)));
    let refused = |reason: String| Err(Error::SerializationError(reason));
    let Some(written) = written else {
        return refused("its `Serialize` panicked".to_owned());
    };
    // The notes are checked whatever `written` says: the type may have swallowed an error, and
    // postcard may have replaced it.
    if let Some(field) = watch.skipped.get() {
        return refused(format!(
            "field `{}` is skipped for some values, and postcard reads every field back: remove its \
             `skip_serializing_if`, or put {AS_JSON} on a field around it",
            watch.path(Some(field))
        ));
    }
    if watch.too_deep.get() {
        return refused(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    if serializer.output.full || watch.is_too_long() {
        return Ok(Encoding::TooLarge);
    }
    if let Err(error) = written {
        let why = if watch.no_json.get() {
            "it is kept as JSON, and has none, as a map whose keys are neither texts nor numbers"
                .to_owned()
        } else {
            reason(&error)
        };
        return refused(match watch.path(None) {
            path if path.is_empty() => why,
            path => format!("field `{path}`: {why}"),
        });
    }
    if watch.elements.get() > max_elements(buffer.len() - start) {
        return refused(format!(
            "more than {EMPTY_ELEMENTS} elements of a sequence take no bytes"
        ));
    }
    Ok(Encoding::Complete)
}

/// Decodes `payload`, if it is exactly one value. A type that panics while decoding does not accept
/// it.
#[inline]
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    let elements = Cell::new(max_elements(payload.len()));
    let mut deserializer = postcard::Deserializer::from_bytes(payload);
    let value = caught(|| T::deserialize(Within::new(&mut deserializer, &elements)))?.ok()?;
    match deserializer.finalize() {
        Ok([]) => Some(value),
        _ => None,
    }
}

/// Why a type could not be serialized. Postcard drops the type's own message, and with it any value
/// that the message may contain.
fn reason(error: &postcard::Error) -> String {
    let why = match error {
        postcard::Error::SerializeSeqLengthUnknown => {
            return format!(
                "a sequence or map does not know its length, such as one of `#[serde(flatten)]`: keep \
                 the type in a field with {AS_JSON}"
            );
        }
        postcard::Error::CollectStrError => "a `Display` failed",
        postcard::Error::SerdeSerCustom => "the type refused",
        _ => "postcard cannot carry the type",
    };
    why.to_owned()
}

/// Appends to a vector, up to a limit, and notes when that was reached.
struct Bounded<'a> {
    buffer: &'a mut Vec<u8>,
    max_bytes: usize,
    full: bool,
}

impl Flavor for Bounded<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.max_bytes.saturating_sub(self.buffer.len()) {
            self.full = true;
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::ser::{SerializeSeq, Serializer};
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::error::ErrorKind;

    fn refusal<T: Serialize>(value: &T) -> String {
        let error = append(&mut Vec::new(), usize::MAX, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(!error.is_retryable());
        error.to_string()
    }

    #[test]
    fn what_postcard_cannot_carry_is_refused_with_a_reason() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_seq(None)?.end()
            }
        }
        struct Refusing;
        impl Serialize for Refusing {
            fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("secret"))
            }
        }
        #[derive(Serialize)]
        struct Flat {
            #[serde(flatten)]
            rest: BTreeMap<String, u8>,
        }
        struct Unprintable;
        impl Serialize for Unprintable {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl std::fmt::Display for Unprintable {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                Err(std::fmt::Error)
            }
        }
        assert!(refusal(&Endless).contains("does not know its length"));
        assert!(
            refusal(&Flat {
                rest: BTreeMap::new()
            })
            .contains("flatten")
        );
        assert!(refusal(&Unprintable).contains("Display"));
        assert_eq!(refusal(&Refusing), "not serializable: the type refused");
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Address {
        street: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        line2: Option<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Place {
        Home {
            #[serde(skip_serializing_if = "Vec::is_empty")]
            rooms: Vec<u8>,
        },
        Away(Vec<Address>),
    }

    #[test]
    fn a_skipped_field_is_refused_however_deep_it_stands() {
        let address = |line2: Option<&str>| Address {
            street: "s".to_owned(),
            line2: line2.map(str::to_owned),
        };
        assert!(refusal(&address(None)).contains("`line2`"));
        assert!(refusal(&Place::Home { rooms: vec![] }).contains("`rooms`"));
        let deep: BTreeMap<u8, Option<(u8, Place)>> = [(
            1,
            Some((2, Place::Away(vec![address(Some("x")), address(None)]))),
        )]
        .into();
        assert!(refusal(&deep).contains("`Away.line2`"));

        let whole = (Place::Home { rooms: vec![1] }, address(Some("x")));
        let mut buffer = Vec::new();
        let written = append(&mut buffer, usize::MAX, &whole).unwrap();
        assert_eq!(written, Encoding::Complete);
        assert_eq!(read(&buffer), Some(whole));
    }

    #[test]
    fn a_text_that_outgrows_the_limit_is_too_large_and_no_error() {
        let text = std::net::Ipv6Addr::LOCALHOST;
        struct Text(std::net::Ipv6Addr);
        impl Serialize for Text {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }
        let written = append(&mut Vec::new(), 3, &Text(text)).unwrap();
        assert_eq!(written, Encoding::TooLarge);
        let written = append(&mut Vec::new(), 4, &Text(text)).unwrap();
        assert_eq!(written, Encoding::Complete);
    }

    #[test]
    fn a_type_that_swallows_the_refusal_is_too_large_all_the_same() {
        struct Careless;
        impl Serialize for Careless {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(Some(2))?;
                let _ = seq.serialize_element("longer than the limit");
                let _ = seq.serialize_element(&1_u8);
                seq.end()
            }
        }
        let written = append(&mut Vec::new(), 8, &Careless).unwrap();
        assert_eq!(written, Encoding::TooLarge);
    }
}
