//! `"1h30m"`: the duration of a `ttl`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration, or says how to write one.
///
/// Numbers with a unit, the larger unit first, each unit once, nothing in between.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let millis = millis(text)?;
    if millis == 0 {
        return Err(
            "the duration must be longer than zero: write a longer one, or leave it out".to_owned(),
        );
    }
    Ok(Duration::from_millis(millis))
}

fn millis(text: &str) -> Result<u64, String> {
    let malformed = || {
        format!(
            "`{}` is not a duration: write whole numbers with `d`, `h`, `m`, `s` or `ms`, the \
             larger unit first, as in `30s`, `1h30m` or `500ms`",
            text.escape_debug()
        )
    };
    let too_long = || format!("`{}` is too long a duration", text.escape_debug());

    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(malformed());
        }
        let position = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .filter(|position| *position >= next_unit)
            .ok_or_else(malformed)?;
        // Only a number of too many digits fails to parse here.
        let number: u64 = number.parse().map_err(|_| too_long())?;
        total = number
            .checked_mul(UNITS[position].1)
            .and_then(|millis| total.checked_add(millis))
            .ok_or_else(too_long)?;
        next_unit = position + 1;
        rest = tail;
    }
    if next_unit == 0 {
        return Err(malformed());
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_alone_and_together() {
        for (text, millis) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("2d", 172_800_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("1s500ms", 1_500),
            ("1h0m", 3_600_000),
            ("007s", 7_000),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_fix() {
        for text in [
            "", "s", "30", "30 s", " 30s", "30s ", "1.5h", "-1s", "+1s", "30m1h", "1h1h", "1s1ms1",
            "1w", "1H", "1sec", "1h,30m", "１s", "1µs", "1ms1s", "ms", "\u{0}",
        ] {
            let message = parse(text).err().unwrap_or_default();
            assert!(message.contains("is not a duration"), "{text}: {message}");
            assert!(message.contains("1h30m"), "{text}: {message}");
        }
    }

    #[test]
    fn zero_and_too_long_say_so() {
        for text in ["0s", "0ms", "0h0m", "000d"] {
            assert!(parse(text).is_err_and(|m| m.contains("zero")), "{text}");
        }
        for text in [
            "18446744073709551616ms",
            "213503982335d",
            "99999999999999999999999s",
        ] {
            assert!(parse(text).is_err_and(|m| m.contains("too long")), "{text}");
        }
        assert!(parse("18446744073709551615ms").is_ok());
    }
}
