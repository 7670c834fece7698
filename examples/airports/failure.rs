//! [`Failure`]: why the program could not do its job.

use std::fmt;

/// What was being done, and what went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    doing: &'static str,
    cause: String,
}

impl Failure {
    /// For `map_err`: `open(path).map_err(Failure::when("open the database"))`.
    pub(crate) fn when<E: fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self {
            doing,
            cause: error.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.doing, self.cause)
    }
}

impl std::error::Error for Failure {}
