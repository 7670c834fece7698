//! What an error of the client means, in our own words: the server's message may quote a command or
//! a password.

use ::redis::{ErrorKind, RedisError};

use crate::error::Error;

/// The code of an error from one of our scripts. It is followed by the command that failed, and the
/// server's code for it.
pub(super) const NOT_DONE: &str = "NOTDONE";

/// The code of a server's error, and the command that it is for.
fn code_of<'a>(error: &'a RedisError, command: &'a str) -> Option<(&'a str, &'a str)> {
    if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
        return None;
    }
    let code = error.code()?;
    if code == NOT_DONE
        && let Some((command, code)) = error.detail()?.split_once(' ')
    {
        return Some((clean(code), clean(command)));
    }
    Some((clean(code), command))
}

/// A word that is one of the protocol's, or a neutral one.
fn clean(word: &str) -> &str {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=32).contains(&word.len()) && word.bytes().all(fits) {
        word
    } else {
        "ERR"
    }
}

/// Whether the server has answered with this code.
pub(super) fn has_code(error: &RedisError, code: &str) -> bool {
    code_of(error, "").is_some_and(|(known, _)| known == code)
}

/// Whether the server refuses the login, so that no command on the connection can succeed.
pub(super) fn is_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(code_of(error, ""), Some(("WRONGPASS" | "NOAUTH", _)))
}

/// Whether the connection is lost, so that only a new one can answer.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_io_error() || error.kind() == ErrorKind::Parse
}

/// Whether the server no longer takes writes. It would go on answering on this connection, but
/// refuse every invalidation.
pub(super) fn is_demoted(error: &RedisError) -> bool {
    matches!(code_of(error, ""), Some(("READONLY" | "MASTERDOWN", _)))
}

/// Whether another server keeps the key: this one is a node of a cluster.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    matches!(code_of(error, ""), Some(("MOVED" | "ASK", _)))
}

/// The error of `command`.
pub(super) fn said_of(error: &RedisError, command: &str) -> Error {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return Error::BackendError("redis: the user name or the password is refused".into());
    }
    if let Some((code, command)) = code_of(error, command) {
        let text = format!("redis: {code} for {command}");
        return match code {
            "WRONGPASS" => {
                Error::BackendError(format!("{text}: the user name or the password is refused"))
            }
            "NOAUTH" => Error::BackendError(format!("{text}: the server asks for a password")),
            "READONLY" | "MASTERDOWN" => Error::BackendError(format!(
                "{text}: the server is a replica and takes no writes"
            )),
            "MOVED" | "ASK" => Error::BackendError(format!(
                "{text}: another server keeps this key; the URL of a cluster begins with \
                 redis+cluster://"
            )),
            // A later try may succeed.
            "LOADING" | "CLUSTERDOWN" | "BUSY" | "TRYAGAIN" | "UNKILLABLE" => {
                Error::BackendError(text)
            }
            _ => Error::BackendRefused(text),
        };
    }
    match error.kind() {
        _ if is_lost(error) => Error::ConnectionLost(match error.kind() {
            ErrorKind::Io => format!("redis: {error}"),
            _ => format!("redis: {}", error.category()),
        }),
        ErrorKind::Io => Error::BackendError(format!("redis: {error}")),
        _ => Error::BackendError(format!("redis: {}", error.category())),
    }
}
