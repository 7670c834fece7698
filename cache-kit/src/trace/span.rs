//! [`Span`]: a call of the cache, or a step of one, as tracing shows it.

use std::future::poll_fn;
use std::pin::Pin;

use tracing::field::{Empty, display};
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::span::Entered;

use crate::error::{Error, Result};
use crate::lease::Invalidated;
use crate::observability::{Outcome, Source, StoreResult};
use crate::strategy::CacheStrategy;

/// A span, unless nothing listens at its level: then it costs one load of a global.
pub(crate) struct Span(Option<Box<tracing::Span>>);

/// Whether anything listens to spans.
#[inline]
fn enabled() -> bool {
    STATIC_MAX_LEVEL >= LevelFilter::DEBUG && LevelFilter::current() >= LevelFilter::DEBUG
}

/// The steps are alike, but a span's name must be static.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $step(keys: usize) -> Self {
            Self::new(|| tracing::debug_span!(target: "cache_kit", $name, cache.keys = keys))
        }
    )*};
}

impl Span {
    /// A call for one key. `key` only where keys may be shown.
    pub(crate) fn get(prefix: &'static str, strategy: CacheStrategy, key: Option<&str>) -> Self {
        Self::new(|| {
            tracing::debug_span!(
                target: "cache_kit",
                "cache.get",
                otel.name = %format_args!("cache.get {prefix}"),
                cache.entity = prefix,
                cache.strategy = %strategy,
                cache.key = key,
                cache.hit = Empty,
                cache.source = Empty,
                cache.age_ms = Empty,
                cache.stale = Empty,
                cache.stored = Empty,
                error.kind = Empty,
            )
        })
    }

    /// A call for several keys.
    pub(crate) fn get_many(prefix: &'static str, strategy: CacheStrategy, keys: usize) -> Self {
        Self::new(|| {
            tracing::debug_span!(
                target: "cache_kit",
                "cache.get_many",
                otel.name = %format_args!("cache.get_many {prefix}"),
                cache.entity = prefix,
                cache.strategy = %strategy,
                cache.keys = keys,
                cache.hits = Empty,
                cache.loaded = Empty,
                cache.shared = Empty,
                error.kind = Empty,
            )
        })
    }

    /// An invalidation. `prefix` is unknown where keys come as text.
    pub(crate) fn invalidate(prefix: Option<&'static str>, keys: usize, key: Option<&str>) -> Self {
        Self::new(|| {
            let entity = prefix.unwrap_or("(text)");
            tracing::debug_span!(
                target: "cache_kit",
                "cache.invalidate",
                otel.name = %format_args!("cache.invalidate {entity}"),
                cache.entity = prefix,
                cache.keys = keys,
                cache.key = key,
                cache.invalidated = Empty,
                error.kind = Empty,
            )
        })
    }

    /// A refresh in the background, after the call that is the current span. It is not inside of it:
    /// that call is over long before.
    pub(crate) fn refresh(prefix: &'static str, keys: usize) -> Self {
        Self::new(|| {
            let span = tracing::debug_span!(
                target: "cache_kit",
                parent: None,
                "cache.refresh",
                otel.name = %format_args!("cache.refresh {prefix}"),
                cache.entity = prefix,
                cache.keys = keys,
            );
            span.follows_from(tracing::Span::current());
            span
        })
    }

    steps! {
        /// A look-up that awaits.
        look_up = "cache.look_up";
        /// A request for leases.
        lease = "cache.lease";
        /// A load from the repository.
        load = "cache.load";
        /// A store.
        store = "cache.store";
    }

    fn new(make: impl FnOnce() -> tracing::Span) -> Self {
        Self(enabled().then(|| Box::new(make())))
    }

    /// Runs `work` inside the span.
    pub(crate) fn around<'s, F: Future>(
        &'s self,
        mut work: Pin<&'s mut F>,
    ) -> impl Future<Output = F::Output> + use<'s, F> {
        poll_fn(move |cx| {
            let _within = self.enter();
            work.as_mut().poll(cx)
        })
    }

    fn enter(&self) -> Option<Entered<'_>> {
        self.0.as_ref().map(|span| span.enter())
    }

    /// Says how a call for one key ended.
    pub(crate) fn ended(&self, answer: &Result<Outcome>) {
        let Some(span) = &self.0 else { return };
        let outcome = match answer {
            Ok(outcome) => outcome,
            Err(error) => return failed(span, error),
        };
        span.record("cache.hit", outcome.is_hit());
        span.record("cache.source", outcome.source().as_str());
        if let Some(age) = outcome.age() {
            let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            span.record("cache.age_ms", millis);
        }
        span.record("cache.stale", outcome.is_stale());
        span.record("cache.stored", outcome.store() == StoreResult::Stored);
    }

    /// Says how a call for several keys ended.
    pub(crate) fn all_ended(&self, answer: &Result<Vec<Outcome>>) {
        let Some(span) = &self.0 else { return };
        let outcomes = match answer {
            Ok(outcomes) => outcomes,
            Err(error) => return failed(span, error),
        };
        let of = |source| {
            let of_source = |outcome: &&Outcome| outcome.source() == source;
            outcomes.iter().filter(of_source).count()
        };
        span.record("cache.hits", of(Source::Cache));
        span.record("cache.loaded", of(Source::Repository));
        span.record("cache.shared", of(Source::Shared));
    }

    /// Says how an invalidation ended.
    pub(crate) fn invalidated(&self, answer: &Result<Invalidated>) {
        let Some(span) = &self.0 else { return };
        match answer {
            Ok(Invalidated::Done | Invalidated::DoneHere { .. }) => {
                span.record("cache.invalidated", "done");
            }
            Ok(Invalidated::Pending) => {
                span.record("cache.invalidated", "pending");
            }
            Err(error) => failed(span, error),
        }
    }
}

fn failed(span: &tracing::Span, error: &Error) {
    span.record("error.kind", display(error.kind()));
}

/// The span of a hit that awaited nothing, after the fact. `key` is asked for where keys may be shown.
#[inline]
pub(crate) fn hit(
    prefix: &'static str,
    strategy: CacheStrategy,
    outcome: &Outcome,
    key: impl FnOnce() -> Option<String>,
) {
    if enabled() {
        let key = key();
        Span::get(prefix, strategy, key.as_deref()).ended(&Ok(*outcome));
    }
}

/// `task` within the span that is the current one now, for a task that is spawned.
pub(crate) fn in_current<F: Future>(task: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument;

    task.in_current_span()
}
