//! [`Parameters`]: what follows the question mark of a URL.

use ::redis::ProtocolVersion;

use super::{Form, Kind, decoded, refused};
use crate::backend::value::is_word;
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
                // A password that is not percent-encoded goes on in what looks like a parameter.
                let is_secret =
                    query.contains('@') || seen.iter().any(|(known, _)| known.contains("pass"));
                let named = Some(name).filter(|name| !is_secret && is_word(name));
                return Err(unknown(named, &allowed, form));
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

fn unknown(name: Option<&str>, allowed: &[&str], form: Form) -> Error {
    let hint = match name {
        Some("db") if form.kind == Kind::Single => {
            "; the database stands in the path, as in redis://host/5"
        }
        Some("ca" | "cert" | "key") if form.kind != Kind::Unix => "; TLS begins with rediss",
        _ => "",
    };
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    let allowed = allowed.join(", ");
    refused(&format!(
        "unknown parameter{name}; allowed: {allowed}{hint}"
    ))
}
