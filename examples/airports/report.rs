//! [`Report`]: the results of the tour, for a person to read.

use std::fmt;
use std::time::Duration;

use crate::tour::Tally;

const INTRODUCTION: &str = "\
The airports of the world behind an HTTP service, client and server in one process: first
one service with a cache in its memory, then two that share a cache in Redis, and two that
share one in a Redis Cluster. The database is an embedded SQLite file: no query crosses a
network, so the time that the cache saves here is less than it would be. All times were
measured in this run.

";

const HEADER: [&str; 2] = [
    "                                                        request             lookup",
    "phase                       requests  queries    hits       p50     p99       p50     p99",
];

const LEGEND: &str = "
queries: statements to the database, updates included. hits: answers out of the cache.
request: as a client sees it, over loopback HTTP. lookup: the service's call of the cache
alone, with the query if it takes one.

";

/// The phases and the promises that were checked.
#[derive(Debug, Default)]
pub(crate) struct Report {
    phases: Vec<Phase>,
    promises: Vec<Promise>,
    left_out: Vec<&'static str>,
    took: Duration,
}

#[derive(Debug)]
struct Phase {
    name: &'static str,
    tally: Tally,
    queries: u64,
}

#[derive(Debug)]
struct Promise {
    kept: bool,
    text: String,
}

impl Report {
    /// Adds a line to the table. `queries` are the statements to the database.
    pub(crate) fn phase(&mut self, name: &'static str, tally: Tally, queries: u64) {
        self.phases.push(Phase {
            name,
            tally,
            queries,
        });
    }

    /// Notes that a promise was checked. The text says what was observed, so that it explains a
    /// broken promise as well.
    pub(crate) fn promise(&mut self, kept: bool, text: impl Into<String>) {
        self.promises.push(Promise {
            kept,
            text: text.into(),
        });
    }

    /// Notes what could not be shown, and what it needs.
    pub(crate) fn left_out(&mut self, text: &'static str) {
        self.left_out.push(text);
    }

    pub(crate) fn ended_after(&mut self, took: Duration) {
        self.took = took;
    }

    /// Whether promises were checked and all of them kept.
    pub(crate) fn all_kept(&self) -> bool {
        !self.promises.is_empty() && self.promises.iter().all(|promise| promise.kept)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INTRODUCTION)?;
        for line in HEADER {
            writeln!(f, "{line}")?;
        }
        for phase in &self.phases {
            writeln!(f, "{phase}")?;
        }
        f.write_str(LEGEND)?;
        for Promise { kept, text } in &self.promises {
            writeln!(f, "{} {text}", if *kept { "ok:    " } else { "BROKEN:" })?;
        }
        for text in &self.left_out {
            writeln!(f, "left out: {text}")?;
        }
        let broken = self.promises.iter().filter(|promise| !promise.kept).count();
        writeln!(f)?;
        write!(f, "{} promises checked, ", self.promises.len())?;
        match broken {
            0 => write!(f, "all kept")?,
            _ => write!(f, "{broken} BROKEN")?,
        }
        writeln!(f, ", in {:.1} s", self.took.as_secs_f64())
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let requests = tally.requests();
        let hits = match requests {
            0 => "–".into(),
            _ => format!("{:.1} %", 100.0 * tally.hits as f64 / requests as f64),
        };
        write!(
            f,
            "{:<27} {:>8} {:>8} {:>7}   {:>7} {:>7}   {:>7} {:>7}",
            self.name,
            grouped(requests),
            grouped(self.queries),
            hits,
            short(tally.took(0.5)),
            short(tally.took(0.99)),
            short(tally.lookup(0.5)),
            short(tally.lookup(0.99)),
        )
    }
}

/// `12345` as `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in at most seven columns.
fn short(duration: Option<Duration>) -> String {
    let Some(duration) = duration else {
        return "–".into();
    };
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..10.0 => format!("{micros:.1} µs"),
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.0} ms", micros / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_durations_short() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(short(None), "–");
        assert_eq!(short(Some(Duration::from_nanos(1_540))), "1.5 µs");
        assert_eq!(short(Some(Duration::from_micros(80))), "80 µs");
        assert_eq!(short(Some(Duration::from_micros(1_540))), "1.5 ms");
        assert_eq!(short(Some(Duration::from_millis(154))), "154 ms");
    }

    #[test]
    fn one_broken_promise_breaks_the_report_and_is_named() {
        let mut report = Report::default();
        assert!(!report.all_kept(), "nothing was checked");
        report.promise(true, "one load");
        assert!(report.all_kept());
        report.promise(false, "no stale read: 3 seen");
        assert!(!report.all_kept());
        let text = report.to_string();
        assert!(
            text.contains("ok:     one load\nBROKEN: no stale read: 3 seen\n"),
            "{text}"
        );
        assert!(text.contains("2 promises checked, 1 BROKEN"), "{text}");
    }

    #[test]
    fn the_table_fits_a_narrow_terminal() {
        let mut report = Report::default();
        report.phase("the longest name of a phas", Tally::default(), 1_000_000);
        let widest = report
            .to_string()
            .lines()
            .map(|line| line.chars().count())
            .max();
        assert!(widest.is_some_and(|width| width <= 90), "{widest:?}");
    }
}
