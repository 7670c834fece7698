//! The results of many cases.

use std::collections::BTreeMap;

use super::{Case, Scene};
use crate::servers::Server;

/// The results of many cases.
#[derive(Debug, Default)]
pub struct Tally {
    tried: usize,
    /// By late commands: whether all of them were sent in some case.
    sent: BTreeMap<String, bool>,
    failed: Vec<String>,
}

impl Tally {
    /// Runs `case` in `scene`.
    pub async fn play<S: Server>(&mut self, scene: Scene<'_, S>, case: Case<'_>) {
        self.tried += 1;
        let names: Vec<_> = case.late.iter().map(|(name, _)| *name).collect();
        let sent = self.sent.entry(names.join(" and ")).or_default();
        match scene.play(case).await {
            Ok(all) => *sent |= all,
            Err(why) => {
                *sent = true;
                self.failed.push(format!("{case:?}: {why}"));
            }
        }
    }

    /// Counts a case that was run without [`play`](Self::play).
    pub fn note(&mut self, case: &str, played: Result<(), String>) {
        self.tried += 1;
        if let Err(why) = played {
            self.failed.push(format!("{case}: {why}"));
        }
    }

    /// Ends the test if any case failed, and says which.
    ///
    /// # Panics
    ///
    /// When one failed, or there were none.
    pub fn report(self) {
        let (tried, failed) = (self.tried, &self.failed);
        assert!(tried > 0, "nothing was tried");
        let never: Vec<_> = self.sent.iter().filter(|(_, sent)| !**sent).collect();
        assert!(never.is_empty(), "never sent: {never:?}");
        let some: Vec<_> = failed.iter().take(12).collect();
        assert!(
            failed.is_empty(),
            "{} of {tried} cases: {some:#?}",
            failed.len()
        );
    }
}
