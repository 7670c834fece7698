//! The results.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_kit::backend::Invalidated;
use cache_kit::{Error, Outcome};

/// How many violations of a kind are reported in full.
const TOLD: usize = 5;

/// The counters of a run.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Report>);

/// The result of a run.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Answers by source.
    pub answers: BTreeMap<String, usize>,
    /// Errors by kind.
    pub errors: BTreeMap<String, usize>,
    /// The trouble that was made.
    pub weather: BTreeMap<&'static str, usize>,
    /// Calls that their callers gave up.
    pub given_up: usize,
    /// Invalidations that were acknowledged, and those that were queued.
    pub invalidations: [usize; 2],
    /// Loads that began.
    pub loads: usize,
    /// How often the cache recovered, and the longest time until all callers hit.
    pub healed: usize,
    /// The longest time from the end of trouble until all callers hit again.
    pub slowest_healing: Duration,
    /// Reads older than an acknowledged version.
    pub stale: Vec<String>,
    /// Calls that were not answered within all of their deadlines.
    pub unanswered: Vec<String>,
    /// What did not recover, or did not end.
    pub broken: Vec<String>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answered(&self, outcome: &Outcome) {
        let stale = if outcome.is_stale() { " (stale)" } else { "" };
        let source = format!("{}{stale}", outcome.source());
        *self.lock().answers.entry(source).or_default() += 1;
    }

    pub(super) fn failed(&self, error: &Error) {
        let kind = format!("{:?}", error.kind());
        *self.lock().errors.entry(kind).or_default() += 1;
    }

    pub(super) fn gave_up(&self) {
        self.lock().given_up += 1;
    }

    pub(super) fn invalidated(&self, done: Invalidated) {
        let at = usize::from(done != Invalidated::Done);
        self.lock().invalidations[at] += 1;
    }

    pub(super) fn weather(&self, what: &'static str) {
        *self.lock().weather.entry(what).or_default() += 1;
    }

    pub(super) fn stale(&self, what: String) {
        self.lock().stale.push(what);
    }

    pub(super) fn unanswered(&self, what: String) {
        self.lock().unanswered.push(what);
    }

    pub(super) fn broken(&self, what: String) {
        self.lock().broken.push(what);
    }

    pub(super) fn healed(&self, after: Duration) {
        let mut report = self.lock();
        report.healed += 1;
        report.slowest_healing = report.slowest_healing.max(after);
    }

    pub(super) fn report(&self, loads: usize) -> Report {
        let mut report = self.lock().clone();
        report.loads = loads;
        report
    }
}

impl Report {
    /// Whether all promises were kept.
    pub fn is_well(&self) -> bool {
        self.stale.is_empty() && self.unanswered.is_empty() && self.broken.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "answers        {:?}", self.answers)?;
        writeln!(f, "errors         {:?}", self.errors)?;
        writeln!(f, "given up       {}", self.given_up)?;
        let [done, pending] = self.invalidations;
        writeln!(f, "invalidations  {done} done, {pending} pending")?;
        writeln!(f, "loads          {}", self.loads)?;
        writeln!(f, "weather        {:?}", self.weather)?;
        writeln!(
            f,
            "healed         {} times, the slowest after {:?}",
            self.healed, self.slowest_healing
        )?;
        for (what, all) in [
            ("stale", &self.stale),
            ("unanswered", &self.unanswered),
            ("broken", &self.broken),
        ] {
            writeln!(f, "{what:14} {}", all.len())?;
            for one in all.iter().take(TOLD) {
                writeln!(f, "    {one}")?;
            }
        }
        Ok(())
    }
}
