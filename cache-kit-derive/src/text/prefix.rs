//! The prefix that all cache keys of an entity share.

/// The longest prefix, in bytes. It is part of every key, and a memcached key has at most 250.
pub(crate) const MAX_BYTES: usize = 64;

/// Says what is wrong with a prefix, and how to fix it.
pub(crate) fn check(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Err(
            "the prefix is empty: name the entity, as in `prefix = \"user\"`, or leave `prefix` out"
                .to_owned(),
        );
    }
    if let Some(refused) = prefix.chars().find(|c| is_refused(*c)) {
        let mended: String = prefix
            .chars()
            .map(|c| if is_refused(c) { '_' } else { c })
            .collect();
        let what = match refused {
            ':' => "a colon, which separates the prefix from the key".to_owned(),
            c if c.is_whitespace() => "a blank".to_owned(),
            c => format!("the control character {}", c.escape_unicode()),
        };
        return Err(format!("the prefix holds {what}: write `{mended}`"));
    }
    if prefix.len() > MAX_BYTES {
        return Err(format!(
            "the prefix has {} bytes, at most {MAX_BYTES} are allowed: shorten it",
            prefix.len()
        ));
    }
    Ok(())
}

/// The prefix of a type that states none: `OrderItem` becomes `order_item`.
pub(crate) fn of_type(name: &str) -> String {
    let name: Vec<char> = name.chars().collect();
    let mut prefix = String::new();
    for (i, c) in name.iter().enumerate() {
        let starts_word = c.is_uppercase()
            && i > 0
            && name[i - 1] != '_'
            && (!name[i - 1].is_uppercase() || name.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if starts_word {
            prefix.push('_');
        }
        prefix.extend(c.to_lowercase());
    }
    prefix
}

fn is_refused(c: char) -> bool {
    c == ':' || c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_stand_in_a_key_is_taken() {
        for prefix in [
            "user",
            "order_item",
            "v2.user",
            "a/b-c",
            "größe",
            "🦀",
            "%",
            &"x".repeat(64),
        ] {
            assert_eq!(check(prefix), Ok(()), "{prefix}");
        }
    }

    #[test]
    fn what_cannot_is_refused_with_the_fix() {
        for (prefix, part) in [
            ("", "is empty"),
            ("a:b", "write `a_b`"),
            (":", "write `_`"),
            ("a b", "a blank: write `a_b`"),
            ("a\tb", "write `a_b`"),
            ("a\u{a0}b", "a blank"),
            ("a\u{0}", "\\u{0}: write `a_`"),
            ("a\u{7f}", "control character"),
            (&"x".repeat(65), "65 bytes"),
            (&"ä".repeat(33), "66 bytes"),
        ] {
            assert!(check(prefix).is_err_and(|m| m.contains(part)), "{prefix:?}");
        }
    }

    #[test]
    fn a_type_name_becomes_snake_case() {
        for (name, prefix) in [
            ("User", "user"),
            ("OrderItem", "order_item"),
            ("HTTPServer", "http_server"),
            ("UserV2", "user_v2"),
            ("Sha256Sum", "sha256_sum"),
            ("Foo_Bar", "foo_bar"),
            ("A", "a"),
            ("AB", "ab"),
            ("already_snake", "already_snake"),
            ("ÄrgerListe", "ärger_liste"),
            ("", ""),
        ] {
            assert_eq!(of_type(name), prefix, "{name}");
        }
    }
}
