//! `1h30m`: a duration in a URL, written as in the attributes of the derives.

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The milliseconds of a duration: whole numbers, each with a unit, the larger unit first, each unit
/// once. `None` for anything else, for zero, and for more milliseconds than can be counted.
pub(super) fn millis(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split(tail, |c| c.is_ascii_alphabetic());
        // Units before this one are used up.
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        // A sign is no digit, so it never gets here.
        let part = number.parse::<u64>().ok()?.checked_mul(*millis)?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (total > 0).then_some(total)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_alone_and_together() {
        for (text, expected) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("007s", 7_000),
            ("18446744073709551615ms", u64::MAX),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "5",
            "m",
            "0s",
            "0ms",
            "-5m",
            "+5m",
            "1.5h",
            "5 m",
            " 5m",
            "5M",
            "1w",
            "5min",
            "30m1h",
            "1s1s",
            "1ms1s",
            "１s",
            "1µs",
            "18446744073709551616ms",
            "213503982335d",
            "1h30",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
