//! `"2.5%"`: the percentage of a `jitter`.

/// Reads a percentage above zero and up to 100 as a fraction of one, or says how to write one.
///
/// A number in decimal notation and `%`, nothing in between.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let malformed = || {
        format!(
            "`{}` is not a percentage: write a number and `%`, as in `10%` or `2.5%`",
            text.escape_debug()
        )
    };
    let number = text.strip_suffix('%').ok_or_else(malformed)?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if ![whole, decimals].into_iter().all(is_digits) {
        return Err(malformed());
    }
    // The exponent and not a division by 100, which would round a second time.
    let fraction: f64 = format!("{number}e-2").parse().map_err(|_| malformed())?;
    if fraction > 1.0 {
        return Err(format!(
            "`{text}` is too large a percentage: at most `100%` is allowed"
        ));
    }
    if fraction <= 0.0 {
        return Err(
            "the percentage must be above zero: write a larger one, or leave it out".to_owned(),
        );
    }
    Ok(fraction)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_the_nearest_fraction() {
        for (text, fraction) in [
            ("10%", 0.1),
            ("2.5%", 0.025),
            ("100%", 1.0),
            ("100.00%", 1.0),
            ("1%", 0.01),
            ("0.1%", 0.001),
            ("007%", 0.07),
            ("00.50%", 0.005),
            // Divided by 100, it would be another number.
            ("12.3%", 0.123),
            ("0.7%", 0.007),
        ] {
            assert_eq!(parse(text), Ok(fraction), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_fix() {
        for text in [
            "", "%", "10", "0.1", "10 %", " 10%", "10% ", "10%%", "%10", ".5%", "5.%", ".%",
            "1.2.3%", "-1%", "+1%", "1e1%", "1_0%", "1,5%", "inf%", "NaN%", "ten%", "１０%",
            "10％", "10‰", "\u{0}%",
        ] {
            let message = parse(text).err().unwrap_or_default();
            assert!(message.contains("is not a percentage"), "{text}: {message}");
            assert!(message.contains("`10%` or `2.5%`"), "{text}: {message}");
        }
    }

    #[test]
    fn zero_and_too_large_say_so() {
        let vanishing = format!("0.{}1%", "0".repeat(400));
        for text in ["0%", "0.0%", "000%", &vanishing] {
            assert!(parse(text).is_err_and(|m| m.contains("zero")), "{text}");
        }
        let huge = format!("{}%", "9".repeat(400));
        for text in ["100.1%", "101%", "1000%", &huge] {
            assert!(
                parse(text).is_err_and(|m| m.contains("too large")),
                "{text}"
            );
        }
    }
}
