//! `"64 KiB"`: the number of bytes of a `max_bytes`.

const UNITS: [(&str, u32); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a number of bytes, or says how to write one.
///
/// A whole number and a unit, with at most one space between them.
pub(crate) fn parse(text: &str) -> Result<u32, String> {
    let malformed = || {
        format!(
            "`{}` is not a size: write a whole number with `B`, `KiB`, `MiB` or `GiB`, as in \
             `64 KiB`",
            text.escape_debug()
        )
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, unit) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .filter(|_| !number.is_empty())
        .ok_or_else(malformed)?;
    // Only a number of too many digits fails to parse here.
    let bytes = number.parse().ok().and_then(|n: u32| n.checked_mul(unit));
    match bytes {
        Some(0) => Err(
            "a size of zero means that nothing is ever stored: write a larger one, or \
                        leave it out"
                .to_owned(),
        ),
        Some(bytes) => Ok(bytes),
        None => Err(format!(
            "`{}` is too large a size: less than 4 GiB is allowed",
            text.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_with_and_without_a_blank() {
        for (text, bytes) in [
            ("1B", 1),
            ("512 B", 512),
            ("64 KiB", 65_536),
            ("64KiB", 65_536),
            ("1 MiB", 1_048_576),
            ("3 GiB", 3_221_225_472),
            ("007 KiB", 7_168),
            ("4294967295 B", u32::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_fix() {
        for text in [
            "",
            " ",
            "64",
            "KiB",
            "64 kib",
            "64 KB",
            "64K",
            "1.5 MiB",
            "-1 B",
            "64  KiB",
            "64 KiB ",
            " 64 KiB",
            "1 MiB 1 B",
            "６４ KiB",
        ] {
            let message = parse(text).err().unwrap_or_default();
            assert!(message.contains("is not a size"), "{text}: {message}");
            assert!(message.contains("64 KiB"), "{text}: {message}");
        }
        assert!(parse("0 KiB").is_err_and(|m| m.contains("zero")));
        for text in ["4 GiB", "4294967296 B", "99999999999999999999 B"] {
            assert!(
                parse(text).is_err_and(|m| m.contains("too large")),
                "{text}"
            );
        }
    }
}
