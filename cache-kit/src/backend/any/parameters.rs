//! The parameters of a URL and the settings of a file: which there are, and what each wants.

use super::duration::millis;
use crate::backend::value::{Value, is_word};
use crate::error::{Error, Result};

/// A setting that can stand in a URL and in a file.
struct Parameter {
    /// What it is called in a URL.
    name: &'static str,
    /// What it is called in a file, where the unit of a duration is part of the name.
    setting: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Milliseconds in a file; a number with a unit in a URL.
    Duration,
    /// A whole number up to this one.
    Number(u64),
    #[cfg_attr(
        not(any(feature = "redis", feature = "memcached")),
        allow(dead_code, reason = "only remote stores have one")
    )]
    Flag,
    Word(&'static str),
}

/// The parameters of one kind of backend.
pub(super) struct Parameters {
    /// The kind, for messages.
    of: &'static str,
    tables: &'static [&'static [Parameter]],
    /// Whether the configuration of the store judges what the tables do not have.
    open: bool,
}

const fn duration(name: &'static str, setting: &'static str) -> Parameter {
    Parameter {
        name,
        setting,
        kind: Kind::Duration,
    }
}

const fn plain(name: &'static str, kind: Kind) -> Parameter {
    Parameter {
        name,
        setting: name,
        kind,
    }
}

const ANY_NUMBER: Kind = Kind::Number(u64::MAX);

#[cfg(any(feature = "redis", feature = "memcached"))]
const U32: Kind = Kind::Number(0xffff_ffff);

/// A number that a `usize` of this machine can hold.
#[cfg(any(feature = "redis", feature = "memcached"))]
const ANY_SIZE: Kind = if usize::BITS < u64::BITS {
    U32
} else {
    ANY_NUMBER
};

pub(super) const MEMORY: Parameters = Parameters {
    of: "memory",
    tables: &[&[
        plain("capacity", ANY_NUMBER),
        duration("ttl", "default_ttl_ms"),
        plain("engine", Kind::Word("quick_cache or moka")),
        duration("time_to_idle", "time_to_idle_ms"),
    ]],
    open: false,
};

/// What every remote store has: the settings of `FileSettings`, and a deadline for connecting.
#[cfg(any(feature = "redis", feature = "memcached"))]
const REMOTE: &[Parameter] = &[
    duration("ttl", "default_ttl_ms"),
    duration("operation_deadline", "operation_deadline_ms"),
    duration("connect_deadline", "connect_deadline_ms"),
    duration("lease_lifetime", "lease_lifetime_ms"),
    plain("max_value_bytes", ANY_SIZE),
    plain("store_proof", Kind::Flag),
    plain("pending_invalidations", ANY_SIZE),
    duration("refused_invalidations", "refused_invalidations_ms"),
    plain("breaker_failures", U32),
    duration("breaker_first_pause", "breaker_first_pause_ms"),
    duration("breaker_longest_pause", "breaker_longest_pause_ms"),
];

#[cfg(feature = "redis")]
pub(super) const REDIS: Parameters = Parameters {
    of: "redis",
    tables: &[REMOTE],
    open: true,
};

#[cfg(feature = "memcached")]
pub(super) const MEMCACHED: Parameters = Parameters {
    of: "memcached",
    tables: &[REMOTE, &[plain("max_connections", ANY_SIZE)]],
    open: false,
};

impl Parameters {
    fn all(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        self.tables.iter().copied().flatten()
    }

    /// The settings that `query` contains, which is what follows the question mark, and the
    /// parameters that are left for the store's own configuration.
    pub(super) fn of_query(&self, query: &str) -> Result<(Vec<(String, Value)>, String)> {
        let mut settings: Vec<(String, Value)> = Vec::new();
        let mut left: Vec<&str> = Vec::new();
        if query.is_empty() {
            return Ok((settings, String::new()));
        }
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(parameter) = self.all().find(|known| known.name == name) else {
                if self.open {
                    left.push(part);
                    continue;
                }
                return Err(self.unknown_parameter(name, query));
            };
            if settings.iter().any(|(known, _)| known == parameter.setting) {
                return Err(self.wrong(&format!("parameter `{name}` is given twice")));
            }
            let Some(value) = parameter.kind.written(value) else {
                let wants = parameter.kind.wants_written();
                return Err(self.wrong(&format!("parameter `{name}` wants {wants}")));
            };
            settings.push((parameter.setting.to_owned(), value));
        }
        Ok((settings, left.join("&")))
    }

    /// Checks the types of the settings of a file. Those that the tables do not have are left to the
    /// store's own configuration, or refused.
    pub(super) fn check(&self, settings: &mut Vec<(String, Value)>) -> Result<()> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &*settings {
            let Some(parameter) = self.all().find(|known| known.setting == name) else {
                if self.open {
                    continue;
                }
                return Err(self.unknown_setting(name));
            };
            if seen.contains(&parameter.setting) {
                return Err(self.wrong(&format!("`{name}` is set twice")));
            }
            seen.push(parameter.setting);
            if *value != Value::Nothing && !parameter.kind.admits(value) {
                let wants = parameter.kind.wants();
                return Err(self.wrong(&format!("`{name}` wants {wants}")));
            }
        }
        // `null` leaves a setting as it is by default.
        let all: Vec<&str> = self.all().map(|known| known.setting).collect();
        settings.retain(|(name, value)| *value != Value::Nothing || !all.contains(&&**name));
        Ok(())
    }

    /// Puts the settings of a URL beside those of a file.
    pub(super) fn merge(
        &self,
        settings: &mut Vec<(String, Value)>,
        of_url: Vec<(String, Value)>,
    ) -> Result<()> {
        for (name, value) in of_url {
            if settings.iter().any(|(known, _)| *known == name) {
                let what = format!("`{name}` is set in the url, too: set it in one place");
                return Err(self.wrong(&what));
            }
            settings.push((name, value));
        }
        Ok(())
    }

    fn unknown_parameter(&self, name: &str, query: &str) -> Error {
        // If the question mark belongs to a password, the rest of the password follows it.
        let named = match is_word(name) && !query.contains('@') {
            true => format!(" `{name}`"),
            false => String::new(),
        };
        let what = format!("unknown parameter{named}; allowed: {}", self.names());
        self.wrong(&what)
    }

    pub(super) fn unknown_setting(&self, name: &str) -> Error {
        let named = match is_word(name) {
            true => format!(" `{name}`"),
            false => String::new(),
        };
        let allowed: Vec<&str> = self.all().map(|known| known.setting).collect();
        let allowed = allowed.join(", ");
        self.wrong(&format!("unknown setting{named}; allowed: url, {allowed}"))
    }

    /// The parameters of a URL.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.all().map(|known| known.name).collect();
        names.join(", ")
    }

    fn wrong(&self, what: &str) -> Error {
        Error::ConfigError(format!("{} settings: {what}", self.of))
    }
}

impl Kind {
    /// The value of a parameter in a URL.
    fn written(self, text: &str) -> Option<Value> {
        match self {
            Self::Duration => millis(text).map(Value::Number),
            Self::Number(most) => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|number| digits && *number <= most);
                number.map(Value::Number)
            }
            Self::Flag => text.parse().ok().map(Value::Bool),
            Self::Word(_) => (!text.is_empty()).then(|| Value::Text(text.to_owned())),
        }
    }

    fn wants_written(self) -> String {
        match self {
            Self::Duration => "a duration above zero, as 500ms, 30s, 5m, 1h30m or 1d".into(),
            _ => self.wants(),
        }
    }

    /// Whether a value of a file is of this kind.
    fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Duration, Value::Number(_))
            | (Self::Flag, Value::Bool(_))
            | (Self::Word(_), Value::Text(_)) => true,
            (Self::Number(most), Value::Number(number)) => *number <= most,
            _ => false,
        }
    }

    fn wants(self) -> String {
        match self {
            Self::Duration => "a whole number of milliseconds".into(),
            Self::Number(u64::MAX) => "a whole number".into(),
            Self::Number(most) => format!("a whole number up to {most}"),
            Self::Flag => "true or false".into(),
            Self::Word(words) => words.into(),
        }
    }
}
