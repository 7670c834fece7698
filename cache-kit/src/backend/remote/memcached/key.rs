//! Cache keys in a form that memcached accepts: at most 250 bytes, no spaces, no control
//! characters.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

const LONGEST: usize = 250;

/// The prefix of a key that replaces a longer or an unsafe one.
const HASHED: &str = "sha256:";

/// `key` itself if memcached accepts it, otherwise a hash of it.
///
/// A key that looks like a hash is hashed, too, so that no two keys ever share a form. Every entry
/// contains its full key as well.
pub(super) fn wire_key(key: &str) -> Cow<'_, str> {
    if is_safe(key) {
        return Cow::Borrowed(key);
    }
    let mut hashed = String::with_capacity(HASHED.len() + 64);
    hashed.push_str(HASHED);
    for byte in Sha256::digest(key.as_bytes()) {
        // Writing into a string never fails.
        let _ = write!(hashed, "{byte:02x}");
    }
    Cow::Owned(hashed)
}

/// Whether `key` is one word of printable ASCII.
fn is_safe(key: &str) -> bool {
    (1..=LONGEST).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        && !key.starts_with(HASHED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_plain_key_is_its_own_form() {
        let longest = format!("user:{}", "k".repeat(LONGEST - 5));
        for key in ["user:42", "a:b:c%20", "~!\"#$&'()*+,-./", longest.as_str()] {
            assert!(
                matches!(wire_key(key), Cow::Borrowed(wire) if wire == key),
                "{key}"
            );
        }
    }

    #[test]
    fn every_other_key_gets_a_form_of_its_own_that_memcached_takes() {
        let mut hostile = vec![
            String::new(),
            " ".into(),
            "a b".into(),
            "a\0b".into(),
            "a\tb".into(),
            "x\r\nset pwned 0 0 3\r\nBAD".into(),
            "x\u{7f}".into(),
            "user:😀".into(),
            "user:é".into(),
            "user:e\u{301}".into(),
            "k".repeat(LONGEST + 1),
            "k".repeat(10_000),
            "k".repeat(10_001),
        ];
        // A key that is the form of another key.
        hostile.push(wire_key("a b").into_owned());
        hostile.push(format!("{HASHED}x"));
        let mut forms = HashMap::new();
        for key in &hostile {
            let form = wire_key(key).into_owned();
            assert!(form.len() <= LONGEST, "{form}");
            assert!(form.bytes().all(|byte| byte.is_ascii_graphic()), "{form}");
            assert!(!hostile.contains(&form) || form != *key, "{key:?}");
            if let Some(other) = forms.insert(form, key) {
                panic!("{key:?} and {other:?} share a form");
            }
        }
    }

    #[test]
    fn the_form_of_a_key_never_changes() {
        assert_eq!(
            wire_key("a b"),
            "sha256:c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"
        );
    }
}
