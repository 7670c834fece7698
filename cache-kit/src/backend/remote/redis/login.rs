//! [`Login`]: as whom a connection is made. A password may change while the service runs, so it is
//! asked for at every connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ::redis::{ProtocolVersion, RedisConnectionInfo};

use super::aside::Aside;
use crate::error::{Error, Result};

/// What is said to a server first.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Password,
    /// How the password is asked for.
    pub(super) aside: Aside,
    pub(super) db: i64,
    /// RESP3 if the server speaks it, where it is not chosen.
    pub(super) protocol: Option<ProtocolVersion>,
}

/// Where the password comes from.
#[derive(Clone, Default)]
pub(super) enum Password {
    #[default]
    None,
    Text(String),
    File(PathBuf),
    Asked(Arc<dyn Fn() -> Result<String> + Send + Sync>),
}

impl Login {
    /// The same on a node of a cluster, which has no other databases.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn without_db(&self) -> Self {
        Self {
            db: 0,
            ..self.clone()
        }
    }

    /// The protocols to try, the preferred one first.
    pub(super) fn protocols(&self) -> &[ProtocolVersion] {
        match self.protocol {
            None => &[ProtocolVersion::RESP3, ProtocolVersion::RESP2],
            Some(ProtocolVersion::RESP3) => &[ProtocolVersion::RESP3],
            Some(_) => &[ProtocolVersion::RESP2],
        }
    }

    /// The login as the client takes it, with the password of now. The protocol is RESP2.
    pub(super) async fn now(&self) -> Result<RedisConnectionInfo> {
        let mut info = RedisConnectionInfo::default()
            .set_db(self.db)
            .set_protocol(ProtocolVersion::RESP2);
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        // The client sends a user only with a password. The server takes any if it asks for none.
        let password = match self.password.now(&self.aside).await? {
            None if self.user.is_some() => Some(String::new()),
            password => password,
        };
        Ok(match password {
            Some(password) => info.set_password(password),
            None => info,
        })
    }
}

impl Password {
    async fn now(&self, aside: &Aside) -> Result<Option<String>> {
        match self {
            Self::None => Ok(None),
            Self::Text(password) => Ok(Some(password.clone())),
            Self::File(path) => {
                let path = path.clone();
                let read = aside.run("the password file", move || {
                    std::fs::read_to_string(path).map_err(|error| unreadable("pass_file", &error))
                });
                let text = read.await?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                if line.is_empty() {
                    return Err(Error::BackendError(
                        "redis: the file of `pass_file` is empty".into(),
                    ));
                }
                Ok(Some(line.to_owned()))
            }
            Self::Asked(ask) => {
                let ask = Arc::clone(ask);
                let asked = move || ask().map_err(|error| not_told(&error));
                aside.run("the password", asked).await.map(Some)
            }
        }
    }
}

/// The user's function has failed. Its kind of error says nothing of the server, which has neither
/// refused anything nor is set up wrongly.
fn not_told(error: &Error) -> Error {
    let text = match error {
        Error::BackendError(text)
        | Error::ConnectionLost(text)
        | Error::BackendRefused(text)
        | Error::ConfigError(text)
        | Error::Timeout(text) => text.clone(),
        error => error.to_string(),
    };
    Error::BackendError(format!("redis: the password: {text}"))
}

/// The file of a parameter cannot be read. Its path may be a secret that was put into the wrong
/// place, and is not named.
pub(super) fn unreadable(parameter: &str, error: &std::io::Error) -> Error {
    Error::BackendError(format!(
        "redis: the file of `{parameter}` cannot be read: {}",
        error.kind()
    ))
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Text(_) => "…",
            Self::File(_) => "from a file",
            Self::Asked(_) => "asked for",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_error_of_a_function_is_one_of_the_server() {
        let text = || "no token".to_owned();
        for error in [
            Error::BackendError(text()),
            Error::BackendRefused(text()),
            Error::ConnectionLost(text()),
            Error::ConfigError(text()),
            Error::Timeout(text()),
            Error::RepositoryError(text()),
        ] {
            let login = Login {
                password: Password::Asked(Arc::new(move || Err(error.clone()))),
                ..Login::default()
            };
            let Err(Error::BackendError(said)) = login.now().await.map(|_| ()) else {
                panic!("a failure of connecting");
            };
            assert!(said.starts_with("redis: the password: "), "{said}");
            assert!(said.ends_with("no token"), "{said}");
        }
    }
}
