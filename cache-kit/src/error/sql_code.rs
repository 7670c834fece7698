//! Which states of a database pass by themselves, by the codes that SQLx reports.

/// Whether the state of this code may pass: a SQLSTATE, which has five characters, or a code of SQLite.
pub fn code_may_pass(code: &str) -> bool {
    if let Ok(sqlite) = code.parse::<u16>()
        && code.len() < 5
    {
        // An extended code has more in its high bits. PERM to CANTOPEN that pass: ABORT, BUSY, LOCKED,
        // NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN; and PROTOCOL.
        return matches!(sqlite & 0xff, 4 | 5 | 6 | 7 | 9 | 10 | 13 | 14 | 15);
    }
    let class = code.get(..2).unwrap_or_default();
    match class {
        // Connection, rollback of a transaction, resources, intervention of an operator, system; and
        // MySQL's own class for everything without a code, a lock that was waited for too long among it.
        "08" | "40" | "53" | "57" | "58" | "HY" => true,
        // A lock that is not available.
        _ => code == "55P03",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retryable() {
        for code in [
            "40001", "40P01", "08006", "08S01", "53300", "57014", "57P01", "57P03", "58030",
            "55P03", "HY000", "5", "6", "261", "517", "522", "10", "266", "13", "14",
        ] {
            assert!(code_may_pass(code), "{code}");
        }
        for code in [
            "23505", "42601", "42P01", "42S02", "22003", "22P02", "0A000", "28P01", "3D000",
            "25006", "1", "8", "19", "2067", "1555", "20", "26", "", "x", "äöü",
        ] {
            assert!(!code_may_pass(code), "{code}");
        }
    }
}
