//! What a service's log shows: a subscriber that keeps every line and every span.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

thread_local! {
    /// Who listens on this thread, and up to which level.
    static LISTENS: RefCell<Option<(Traced, LevelFilter)>> = const { RefCell::new(None) };
}

/// Lines and spans of this thread, until the guard is dropped. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Traced(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    spans: Vec<TracedSpan>,
}

/// A span that was seen.
#[derive(Debug, Clone, Default)]
pub struct TracedSpan {
    /// Its name: `cache.get`.
    pub name: String,
    /// The name of the span around it, if there is one.
    pub parent: Option<String>,
    /// What it says, as `name=value` in the order in which it was recorded.
    pub fields: String,
    /// Whether it has been closed.
    pub closed: bool,
    id: u64,
}

impl TracedSpan {
    /// Whether it says `name=value`.
    pub fn says(&self, name: &str, value: &str) -> bool {
        self.fields.contains(&format!(" {name}={value} "))
    }
}

/// Ends the listening when it is dropped.
#[derive(Debug)]
pub struct Listening(());

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENS.set(None);
    }
}

/// Listens on this thread, to levels up to `level`.
///
/// One subscriber serves the whole process and asks each thread: with one for each thread, a span that
/// another thread meets first may be off for all of them.
pub fn trace(level: LevelFilter) -> (Traced, Listening) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let wanted = dynamic_filter_fn(|metadata, _| {
            LISTENS.with_borrow(|listens| {
                (listens.as_ref()).is_some_and(|(_, level)| metadata.level() <= level)
            })
        });
        let subscriber = Registry::default().with(Router.with_filter(wanted));
        let set = tracing::subscriber::set_global_default(subscriber);
        assert!(set.is_ok(), "no test sets a subscriber of its own");
    });
    let traced = Traced::default();
    LISTENS.set(Some((traced.clone(), level)));
    (traced, Listening(()))
}

/// Hands everything to who listens on the thread.
struct Router;

impl Router {
    fn with(&self, tell: impl FnOnce(&Traced)) {
        let listens =
            LISTENS.with_borrow(|listens| listens.as_ref().map(|(traced, _)| traced.clone()));
        if let Some(traced) = listens {
            tell(&traced);
        }
    }
}

impl Traced {
    /// Every line: `WARN cache_kit: message cache.node=…`.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The lines that contain `part`.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines.filter(|line| line.contains(part)).collect()
    }

    /// Every span, in the order in which they began.
    pub fn spans(&self) -> Vec<TracedSpan> {
        self.lock().spans.clone()
    }

    /// The spans with this name.
    pub fn spans_of(&self, name: &str) -> Vec<TracedSpan> {
        let spans = self.spans().into_iter();
        spans.filter(|span| span.name == name).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_span(&self, id: &Id, change: impl FnOnce(&mut TracedSpan)) {
        let mut inner = self.lock();
        let mut spans = inner.spans.iter_mut().rev();
        if let Some(span) = spans.find(|span| span.id == id.into_u64() && !span.closed) {
            change(span);
        }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Router {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent());
        let mut span = TracedSpan {
            name: attributes.metadata().name().to_owned(),
            parent: parent.map(|parent| parent.name().to_owned()),
            fields: " ".to_owned(),
            closed: false,
            id: id.into_u64(),
        };
        attributes.record(&mut Written(&mut span.fields));
        self.with(|traced| traced.lock().spans.push(span));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.with(|traced| {
            traced.with_span(id, |span| values.record(&mut Written(&mut span.fields)));
        });
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = format!("{} {}: ", metadata.level(), metadata.target());
        event.record(&mut Written(&mut line));
        self.with(|traced| traced.lock().lines.push(line));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.with(|traced| traced.with_span(&id, |span| span.closed = true));
    }
}

struct Written<'w>(&'w mut String);

impl Written<'_> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = match field.name() {
            "message" => write!(self.0, "{value} "),
            name => write!(self.0, "{name}={value} "),
        };
        debug_assert!(written.is_ok(), "a string takes everything");
    }
}

impl Visit for Written<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}
