//! [`CacheStatus`]: an outcome as the HTTP header `Cache-Status` (RFC 9211).

use std::fmt;

use super::outcome::Forwarded;
use super::{Outcome, Source, StoreResult};

/// An [`Outcome`] as the value of the HTTP header `Cache-Status` (RFC 9211), written by `Display`:
/// `shop; hit`, `shop; fwd=miss; stored`. Made by [`Outcome::cache_status`].
#[derive(Debug, Clone, Copy)]
pub struct CacheStatus<'n> {
    cache: &'n str,
    outcome: Outcome,
}

impl CacheStatus<'_> {
    /// The name of the header, in lower case, as HTTP/2 wants it.
    pub const NAME: &'static str = "cache-status";
}

impl Outcome {
    /// This outcome as the value of the header `Cache-Status`. `cache` names the cache, as the service
    /// likes; characters that the header cannot have are left out.
    ///
    /// | what happened | value |
    /// |---|---|
    /// | a hit | `shop; hit` |
    /// | a hit of a stale entry | `shop; hit; detail=stale` |
    /// | a stale entry in place of a load that failed | `shop; fwd=stale; detail=stale` |
    /// | a miss, loaded and stored | `shop; fwd=miss; stored` |
    /// | the same, after an entry had expired | `shop; fwd=stale; stored` |
    /// | a miss that joined another call's load | `shop; fwd=miss; collapsed` |
    /// | [`CacheStrategy::Bypass`](crate::CacheStrategy::Bypass) | `shop; fwd=bypass; stored` |
    /// | [`CacheStrategy::Invalidate`](crate::CacheStrategy::Invalidate) | `shop; fwd=request; stored` |
    /// | loaded, not stored | `shop; fwd=miss; detail=fenced`, or `too-large`, `store-failed`, `unreachable` |
    /// | the invalidation has not reached the store yet | `shop; fwd=request; detail=invalidation-pending` |
    /// | nothing found, nothing loaded | `shop; detail=nothing` |
    ///
    /// ```
    /// use cache_kit::observability::{CacheStatus, Outcome};
    ///
    /// /// For any web framework whose headers are pairs of texts.
    /// fn header(outcome: &Outcome) -> (&'static str, String) {
    ///     (CacheStatus::NAME, outcome.cache_status("shop").to_string())
    /// }
    /// ```
    pub fn cache_status<'n>(&self, cache: &'n str) -> CacheStatus<'n> {
        CacheStatus {
            cache,
            outcome: *self,
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, self.cache)?;
        let outcome = &self.outcome;
        match outcome.source() {
            // Unless the repository was asked first, and failed.
            Source::Cache if outcome.forwarded() == Forwarded::Miss => f.write_str("; hit")?,
            Source::Cache | Source::Repository | Source::Shared => {
                let reason = match outcome.forwarded() {
                    Forwarded::Miss => "miss",
                    Forwarded::Stale => "stale",
                    Forwarded::Bypass => "bypass",
                    Forwarded::Request => "request",
                };
                write!(f, "; fwd={reason}")?;
            }
            Source::Nothing => {}
        }
        if outcome.store() == StoreResult::Stored {
            f.write_str("; stored")?;
        }
        if outcome.source() == Source::Shared {
            f.write_str("; collapsed")?;
        }
        let degraded = outcome.degraded();
        let detail = match outcome.store() {
            _ if degraded.invalidation_pending => "invalidation-pending",
            StoreResult::Fenced => "fenced",
            StoreResult::TooLarge => "too-large",
            _ if degraded.read => "unreachable",
            StoreResult::Failed => "store-failed",
            _ if degraded.store => "store-failed",
            _ if outcome.is_stale() => "stale",
            _ if outcome.source() == Source::Nothing => "nothing",
            _ => return Ok(()),
        };
        write!(f, "; detail={detail}")
    }
}

/// A token of RFC 8941 as it is; anything else as a string.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    let first = name.bytes().next();
    if first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'*')
        && name.bytes().all(of_token)
    {
        return f.write_str(name);
    }
    f.write_str("\"")?;
    for character in name.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            ' '..='~' => write!(f, "{character}")?,
            _ => {}
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Invalidated;
    use crate::observability::Degraded;

    fn shown(outcome: Outcome) -> String {
        outcome.cache_status("shop").to_string()
    }

    #[test]
    fn each_outcome_has_its_parameters() {
        let loaded = Outcome::of(Source::Repository);
        let unreachable = Degraded {
            read: true,
            store: true,
            ..Degraded::default()
        };
        let not_stored = Degraded {
            store: true,
            ..Degraded::default()
        };
        for (outcome, value) in [
            (Outcome::of(Source::Cache), "shop; hit"),
            (
                Outcome::of(Source::Cache).stale(true),
                "shop; hit; detail=stale",
            ),
            (loaded.stored(StoreResult::Stored), "shop; fwd=miss; stored"),
            (
                loaded
                    .forwarded_for(Forwarded::Stale)
                    .stored(StoreResult::Stored),
                "shop; fwd=stale; stored",
            ),
            (
                Outcome::of(Source::Cache)
                    .stale(true)
                    .forwarded_for(Forwarded::Stale),
                "shop; fwd=stale; detail=stale",
            ),
            (Outcome::of(Source::Shared), "shop; fwd=miss; collapsed"),
            (
                loaded
                    .forwarded_for(Forwarded::Bypass)
                    .stored(StoreResult::Stored),
                "shop; fwd=bypass; stored",
            ),
            (
                loaded
                    .forwarded_for(Forwarded::Request)
                    .stored(StoreResult::Stored),
                "shop; fwd=request; stored",
            ),
            (
                loaded.stored(StoreResult::Fenced),
                "shop; fwd=miss; detail=fenced",
            ),
            (
                loaded.stored(StoreResult::TooLarge),
                "shop; fwd=miss; detail=too-large",
            ),
            (
                loaded.stored(StoreResult::Failed).degraded_by(not_stored),
                "shop; fwd=miss; detail=store-failed",
            ),
            (
                loaded.degraded_by(unreachable),
                "shop; fwd=miss; detail=unreachable",
            ),
            (
                loaded
                    .forwarded_for(Forwarded::Request)
                    .invalidated(Some(Invalidated::Pending)),
                "shop; fwd=request; detail=invalidation-pending",
            ),
            (Outcome::of(Source::Nothing), "shop; detail=nothing"),
        ] {
            assert_eq!(shown(outcome), value);
        }
    }

    #[test]
    fn any_name_makes_a_header() {
        let hit = Outcome::of(Source::Cache);
        for (name, written) in [
            ("shop", "shop"),
            ("*:cache/1.example", "*:cache/1.example"),
            ("my shop", "\"my shop\""),
            ("1st", "\"1st\""),
            ("a \"b\" \\", "\"a \\\"b\\\" \\\\\""),
            ("", "\"\""),
            ("läden\r\nSet-Cookie: x", "\"ldenSet-Cookie: x\""),
        ] {
            assert_eq!(
                hit.cache_status(name).to_string(),
                format!("{written}; hit")
            );
        }
    }
}
