//! [`Error`]: what can go wrong, and whether trying again may help.

mod macros;
pub(crate) mod sql_code;
#[cfg(feature = "sqlx")]
mod sqlx;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// It is `Clone` because a load that many callers share hands its error to every one of them. A
/// call adds the operation and the key to the message (`load user:42: connection refused`). None of
/// our messages contains a value or a password. `Display` leaves out the
/// [`source`](StdError::source), as an error report that prints the whole chain expects. To log in
/// one line, print with `{:?}`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// The repository failed; only a text is known. Retryable. To keep the original error, use
    /// [`Error::repository`].
    RepositoryError(String),
    /// The repository failed; made by [`Error::repository`] and [`Error::repository_permanent`].
    Repository(RepositoryFailure),
    /// The cache store failed or could not be reached. Retryable.
    BackendError(String),
    /// The connection to the cache store was lost while a command was in flight, which may or may
    /// not have been done. Retryable. A `ByteStore` that answers with it gets the command once
    /// more.
    ConnectionLost(String),
    /// The cache store answered, but did not do the command: it is out of memory, for example, or
    /// the user lacks a permission. Retryable.
    BackendRefused(String),
    /// The cache store answered that a value is larger than it takes. Not retryable. It may have dropped the old
    /// value.
    TooLarge(String),
    /// Something took longer than its deadline. Retryable.
    Timeout(String),
    /// The feeder refused the request, or an entity failed its validation.
    ValidationError(String),
    /// A setting is not valid.
    ConfigError(String),
    /// An entity could not be turned into bytes. Other entities of its type may succeed.
    SerializationError(String),
    /// The repository panicked; the text is the panic message.
    Panicked(String),
    /// cache-kit is in a state that it should never be in. Not retryable; please report it.
    Internal(String),
}

/// What went wrong, without the details: see [`Error::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The repository failed.
    Repository,
    /// The cache store failed.
    Backend,
    /// A deadline passed.
    Timeout,
    /// A request or an entity was refused.
    Validation,
    /// A setting is not valid.
    Config,
    /// An entity could not be turned into bytes.
    Serialization,
    /// The repository panicked.
    Panicked,
    /// cache-kit has a bug.
    Internal,
}

impl ErrorKind {
    /// Its name in lower case, for a log or a label: `repository`, `backend`, `timeout`,
    /// `validation`, `config`, `serialization`, `panicked`, `internal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Backend => "backend",
            Self::Timeout => "timeout",
            Self::Validation => "validation",
            Self::Config => "config",
            Self::Serialization => "serialization",
            Self::Panicked => "panicked",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// A repository's error that keeps the original reachable through
    /// [`source`](StdError::source). Retryable.
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// let original = std::io::Error::other("connection refused");
    /// let error = cache_kit::Error::repository(original);
    /// assert!(error.source().is_some_and(|source| source.is::<std::io::Error>()));
    /// ```
    pub fn repository(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::repository_if(true, error)
    }

    /// Like [`Error::repository`], for an error that a retry cannot fix, such as a row that does
    /// not decode: [`OperationConfig::with_retry`](crate::OperationConfig::with_retry) does not
    /// retry it.
    pub fn repository_permanent(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::repository_if(false, error)
    }

    /// [`Error::repository`] if trying again may help, [`Error::repository_permanent`] otherwise: for a
    /// function that knows the errors of a client.
    ///
    /// ```
    /// use std::io;
    ///
    /// use cache_kit::Error;
    ///
    /// fn failed(error: io::Error) -> Error {
    ///     Error::repository_if(error.kind() != io::ErrorKind::InvalidData, error)
    /// }
    ///
    /// assert!(failed(io::ErrorKind::ConnectionReset.into()).is_retryable());
    /// assert!(!failed(io::ErrorKind::InvalidData.into()).is_retryable());
    /// ```
    pub fn repository_if(retryable: bool, error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Repository(RepositoryFailure {
            context: None,
            retryable,
            source: Arc::new(error),
        })
    }

    /// What went wrong, without the details.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::RepositoryError(_) | Self::Repository(_) => ErrorKind::Repository,
            Self::BackendError(_)
            | Self::ConnectionLost(_)
            | Self::BackendRefused(_)
            | Self::TooLarge(_) => ErrorKind::Backend,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::ValidationError(_) => ErrorKind::Validation,
            Self::ConfigError(_) => ErrorKind::Config,
            Self::SerializationError(_) => ErrorKind::Serialization,
            Self::Panicked(_) => ErrorKind::Panicked,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Whether the same call may succeed if it is made again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RepositoryError(_)
            | Self::BackendError(_)
            | Self::ConnectionLost(_)
            | Self::BackendRefused(_)
            | Self::Timeout(_) => true,
            Self::Repository(failure) => failure.retryable,
            Self::TooLarge(_)
            | Self::ValidationError(_)
            | Self::ConfigError(_)
            | Self::SerializationError(_)
            | Self::Panicked(_)
            | Self::Internal(_) => false,
        }
    }

    /// Says which operation on which key failed.
    pub(crate) fn during(mut self, operation: &str, key: &str) -> Self {
        match &mut self {
            Self::Repository(failure) => {
                failure.context = Some(format!("{operation} {key}").into())
            }
            Self::RepositoryError(text)
            | Self::BackendError(text)
            | Self::ConnectionLost(text)
            | Self::BackendRefused(text)
            | Self::TooLarge(text)
            | Self::Timeout(text)
            | Self::ValidationError(text)
            | Self::ConfigError(text)
            | Self::SerializationError(text)
            | Self::Panicked(text)
            | Self::Internal(text) => *text = format!("{operation} {key}: {text}"),
        }
        self
    }
}

/// For `?` in a repository; the same as [`Error::repository`]. The errors of SQLx have `?`, too, with the
/// feature `sqlx`; for those of SeaORM and Diesel see [`repository_error!`](crate::repository_error), and
/// for those of other clients [`Error::repository`] and [`Error::repository_if`].
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::repository(error)
    }
}

/// For `?` on boxed errors; the same as [`Error::repository`].
impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self::Repository(RepositoryFailure {
            context: None,
            retryable: true,
            source: Arc::from(error),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepositoryError(message) => write!(f, "repository failed: {message}"),
            Self::Repository(failure) => match &failure.context {
                Some(context) => write!(f, "repository failed: {context}"),
                None => write!(f, "repository failed"),
            },
            Self::BackendError(message) => write!(f, "cache backend failed: {message}"),
            Self::ConnectionLost(message) => {
                write!(f, "connection to the cache backend lost: {message}")
            }
            Self::BackendRefused(message) => write!(f, "cache backend refused: {message}"),
            Self::TooLarge(message) => {
                write!(f, "value too large for the cache backend: {message}")
            }
            Self::Timeout(message) => write!(f, "deadline passed: {message}"),
            Self::ValidationError(message) => write!(f, "request refused: {message}"),
            Self::ConfigError(message) => write!(f, "bad setting: {message}"),
            Self::SerializationError(message) => write!(f, "not serializable: {message}"),
            Self::Panicked(message) => write!(f, "repository panicked: {message}"),
            Self::Internal(message) => write!(f, "bug in cache-kit: {message}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Repository(failure) => Some(&*failure.source),
            _ => None,
        }
    }
}

/// A repository's own error, kept inside [`Error::Repository`].
#[derive(Clone)]
pub struct RepositoryFailure {
    context: Option<Arc<str>>,
    retryable: bool,
    source: Arc<dyn StdError + Send + Sync>,
}

impl RepositoryFailure {
    /// The error as the repository raised it.
    pub fn original(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl fmt::Debug for RepositoryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_variant_and_names_operation_and_key() {
        let error = Error::RepositoryError("connection refused".into()).during("load", "user:42");
        assert!(
            matches!(&error, Error::RepositoryError(m) if m == "load user:42: connection refused")
        );
        assert_eq!(
            error.to_string(),
            "repository failed: load user:42: connection refused"
        );
    }

    #[test]
    fn the_opaque_form_keeps_its_source_through_context_and_clone() {
        let error = Error::repository(std::io::Error::other("boom")).during("load", "user:42");
        let error = error.clone();
        assert_eq!(error.to_string(), "repository failed: load user:42");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("boom")
        );
        assert!(error.is_retryable());
        assert!(!Error::repository_permanent(std::io::Error::other("bad row")).is_retryable());
        assert_eq!(
            format!("{error:?}"),
            "Repository: repository failed: load user:42: boom"
        );
    }

    #[test]
    fn only_what_may_pass_is_retryable() {
        assert!(Error::RepositoryError(String::new()).is_retryable());
        assert!(Error::BackendError(String::new()).is_retryable());
        assert!(Error::ConnectionLost(String::new()).is_retryable());
        assert!(Error::Timeout(String::new()).is_retryable());
        assert!(!Error::ValidationError(String::new()).is_retryable());
        assert!(!Error::ConfigError(String::new()).is_retryable());
        assert!(!Error::SerializationError(String::new()).is_retryable());
        assert!(!Error::Panicked(String::new()).is_retryable());
        assert!(!Error::Internal(String::new()).is_retryable());
    }

    #[test]
    fn what_a_question_mark_meets_is_a_failure_of_the_repository_with_its_source() {
        fn io() -> Result<()> {
            Err(std::io::Error::other("refused"))?
        }
        fn boxed() -> Result<()> {
            let error: Box<dyn StdError + Send + Sync> = "refused".into();
            Err(error)?
        }
        for failed in [io(), boxed()] {
            let error = failed.map_err(|error| error.during("load", "user:1"));
            let error = error.expect_err("it failed");
            assert_eq!(error.kind(), ErrorKind::Repository);
            assert!(error.is_retryable());
            assert_eq!(
                format!("{error:?}"),
                "Repository: repository failed: load user:1: refused"
            );
        }
    }
}
