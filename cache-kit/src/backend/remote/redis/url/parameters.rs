//! [`Parameters`]: what follows the question mark of a URL.

use ::redis::ProtocolVersion;

use super::{Form, Kind, decoded, refused};
use crate::error::{Error, Result};

/// What follows the question mark, decoded.
pub(super) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    pub(super) fn of(query: &str, form: Form) -> Result<Self> {
        let allowed = form.parameters();
        let mut seen: Vec<(&'static str, String)> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let Some(name) = allowed.iter().find(|known| **known == name) else {
                return Err(unknown(name, query, &allowed, form));
            };
            if seen.iter().any(|(known, _)| known == name) {
                return Err(refused(&format!("parameter `{name}` is given twice")));
            }
            let is_path = matches!(
                *name,
                "ca" | "cert" | "key" | "pass_file" | "sentinel_pass_file"
            );
            let value = decoded(value)?;
            match *name {
                "db" if value.is_empty() => {
                    return Err(refused("parameter `db` is the number of a database"));
                }
                name if is_path && value.is_empty() => {
                    return Err(refused(&format!(
                        "parameter `{name}` is the path of a file"
                    )));
                }
                _ => seen.push((name, value)),
            }
        }
        Ok(Self(seen))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    pub(super) fn protocol(&mut self) -> Result<Option<ProtocolVersion>> {
        match self.take("protocol").as_deref() {
            None => Ok(None),
            Some("resp2" | "2") => Ok(Some(ProtocolVersion::RESP2)),
            Some("resp3" | "3") => Ok(Some(ProtocolVersion::RESP3)),
            Some(_) => Err(refused("parameter `protocol` is resp2 or resp3")),
        }
    }
}

fn unknown(name: &str, query: &str, allowed: &[&str], form: Form) -> Error {
    // If the question mark belongs to a password, the rest of the password follows it.
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let named = !query.contains('@') && !name.is_empty() && name.bytes().all(is_word);
    let hint = match name {
        "db" if form.kind == Kind::Single => {
            "; the database stands in the path, as in redis://host/5"
        }
        "ca" | "cert" | "key" if form.kind != Kind::Unix => "; TLS begins with rediss",
        _ => "",
    };
    let name = match named {
        true => format!(" `{name}`"),
        false => String::new(),
    };
    let allowed = allowed.join(", ");
    refused(&format!(
        "unknown parameter{name}; allowed: {allowed}{hint}"
    ))
}
