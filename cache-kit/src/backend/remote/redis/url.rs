//! What a URL may contain. Whatever is not understood is an error: a parameter that is silently
//! ignored would select the wrong database. No message repeats the URL.

mod parameters;

use std::net::Ipv6Addr;

use ::redis::ProtocolVersion;

use super::address::{Address, Host, Sentinels, Topology};
use super::login::{Login, Password};
use crate::error::{Error, Result};
use parameters::Parameters;

pub(super) const REDIS_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

/// What a URL says.
pub(super) struct Parsed {
    pub(super) topology: Topology,
    pub(super) login: Login,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: Option<super::tls::RedisTls>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Unix,
    Cluster,
    Sentinel,
}

/// What a scheme stands for.
#[derive(Clone, Copy)]
struct Form {
    kind: Kind,
    encrypted: bool,
}

impl Form {
    fn of(scheme: &str) -> Option<Self> {
        let (server, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let encrypted = match server {
            "unix" if kind.is_empty() => {
                return Some(Self {
                    kind: Kind::Unix,
                    encrypted: false,
                });
            }
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return None,
        };
        let kind = match kind {
            "" if !scheme.contains('+') => Kind::Single,
            "unix" if !encrypted => Kind::Unix,
            "cluster" => Kind::Cluster,
            "sentinel" => Kind::Sentinel,
            _ => return None,
        };
        Some(Self { kind, encrypted })
    }

    /// What a URL of this form looks like.
    fn shape(self) -> &'static str {
        match self.kind {
            Kind::Single => "wants redis://[user][:password@]host[:port][/db] or unix:///path",
            Kind::Unix => "wants unix:///path",
            Kind::Cluster => "wants redis+cluster://[user][:password@]host[:port],host[:port]",
            Kind::Sentinel => {
                "wants redis+sentinel://[user][:password@]host[:port],host[:port]/master-name[/db]"
            }
        }
    }

    /// The feature that the form needs, if this build is without it.
    fn lacks(self) -> Option<&'static str> {
        match self.kind {
            _ if self.encrypted && !cfg!(feature = "redis-tls") => Some("redis-tls"),
            Kind::Cluster if !cfg!(feature = "redis-cluster") => Some("redis-cluster"),
            Kind::Sentinel if !cfg!(feature = "redis-sentinel") => Some("redis-sentinel"),
            _ => None,
        }
    }

    fn parameters(self) -> Vec<&'static str> {
        let mut allowed = match self.kind {
            Kind::Unix => vec!["db", "user", "pass"],
            Kind::Single | Kind::Cluster => vec![],
            Kind::Sentinel => vec!["sentinel_user", "sentinel_pass", "sentinel_pass_file"],
        };
        allowed.extend(["pass_file", "protocol"]);
        if self.encrypted {
            allowed.extend(["ca", "cert", "key"]);
        }
        allowed
    }
}

pub(super) fn parse(url: &str) -> Result<Parsed> {
    let shape = "wants redis://[user][:password@]host[:port][/db] or unix:///path";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| refused(shape))?;
    let form = Form::of(&scheme.to_ascii_lowercase()).ok_or_else(|| refused(shape))?;
    if let Some(feature) = form.lacks() {
        return Err(refused(&format!(
            "this build has no TLS, cluster or sentinel by this name; it needs the feature `{feature}`"
        )));
    }
    if let Some((_, fragment)) = rest.split_once('#') {
        let hint = match fragment {
            "insecure" => ": certificates are always verified",
            fragment if fragment.contains('@') => ": is it part of a password? write it as %23",
            _ => "",
        };
        return Err(refused(&format!("it has a fragment (#){hint}")));
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match before.find('/') {
        Some(slash) => before.split_at(slash),
        None => (before, ""),
    };
    // A password that is not percent-encoded is found before its parts are taken for parameters.
    let (credentials, hosts) = match form.kind {
        Kind::Unix if !authority.is_empty() || path.len() < 2 => {
            return Err(refused(form.shape()));
        }
        Kind::Unix => (None, Vec::new()),
        _ => {
            let (credentials, list) = match authority.rsplit_once('@') {
                Some((credentials, list)) => (Some(credentials), list),
                None => (None, authority),
            };
            (credentials, host_list(list, form)?)
        }
    };
    let mut parameters = Parameters::of(query, form)?;
    let mut login = Login {
        protocol: parameters.protocol()?,
        ..Login::default()
    };
    match credentials {
        Some(credentials) => set_credentials(&mut login, credentials)?,
        None => {
            login.user = parameters.take("user").filter(|user| !user.is_empty());
            if let Some(password) = parameters.take("pass") {
                login.password = Password::Text(password);
            }
        }
    }
    set_file(&mut login, &mut parameters, "pass_file")?;
    #[cfg(feature = "redis-tls")]
    let tls = tls(form, &mut parameters)?;
    let topology = match form.kind {
        Kind::Unix => {
            login.db = number(&parameters.take("db").unwrap_or_default())
                .ok_or_else(|| refused("parameter `db` is the number of a database"))?;
            Topology::Single(Address::Unix(decoded(path)?))
        }
        Kind::Single => {
            login.db = db(path, form)?;
            let mut hosts = hosts.into_iter();
            match (hosts.next(), hosts.next()) {
                (Some((host, port)), None) => Topology::Single(Address::Tcp(host, port)),
                _ => {
                    return Err(refused(
                        "one host; several are redis+cluster:// or redis+sentinel://",
                    ));
                }
            }
        }
        Kind::Cluster => {
            if db(path, form)? != 0 {
                return Err(refused("a cluster has no database but 0"));
            }
            Topology::Cluster(hosts)
        }
        Kind::Sentinel => {
            let path = path.strip_prefix('/').unwrap_or(path);
            let (master, rest) = match path.find('/') {
                Some(slash) => path.split_at(slash),
                None => (path, ""),
            };
            let master = decoded(master)?;
            if master.is_empty() {
                return Err(refused(form.shape()));
            }
            login.db = db(rest, form)?;
            Topology::Sentinel(Sentinels {
                hosts,
                master,
                login: sentinel_login(&mut parameters)?,
            })
        }
    };
    Ok(Parsed {
        topology,
        login,
        #[cfg(feature = "redis-tls")]
        tls,
    })
}

#[cfg(feature = "redis-tls")]
fn tls(form: Form, parameters: &mut Parameters) -> Result<Option<super::tls::RedisTls>> {
    if !form.encrypted {
        return Ok(None);
    }
    let mut tls = super::tls::RedisTls::new();
    if let Some(path) = parameters.take("ca") {
        tls = tls.with_ca_file(path);
    }
    match (parameters.take("cert"), parameters.take("key")) {
        (None, None) => Ok(Some(tls)),
        (Some(certificate), Some(key)) => Ok(Some(tls.with_client_files(certificate, key))),
        _ => Err(refused("parameters `cert` and `key` belong together")),
    }
}

/// The sentinels have a login of their own; none by default.
fn sentinel_login(parameters: &mut Parameters) -> Result<Login> {
    let mut login = Login {
        // What is asked of them is the same in both.
        protocol: Some(ProtocolVersion::RESP2),
        user: parameters.take("sentinel_user"),
        ..Login::default()
    };
    if let Some(password) = parameters.take("sentinel_pass") {
        login.password = Password::Text(password);
    }
    set_file(&mut login, parameters, "sentinel_pass_file")?;
    Ok(login)
}

fn set_credentials(login: &mut Login, credentials: &str) -> Result<()> {
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    let user = decoded(user)?;
    login.user = Some(user).filter(|user| !user.is_empty());
    if let Some(password) = password {
        login.password = Password::Text(decoded(password)?);
    }
    Ok(())
}

fn set_file(login: &mut Login, parameters: &mut Parameters, name: &'static str) -> Result<()> {
    if let Some(path) = parameters.take(name) {
        if !matches!(login.password, Password::None) {
            return Err(refused(&format!(
                "it has a password, and parameter `{name}` as well"
            )));
        }
        login.password = Password::File(path.into());
    }
    Ok(())
}

fn host_list(list: &str, form: Form) -> Result<Vec<Host>> {
    let port = match form.kind {
        Kind::Sentinel => SENTINEL_PORT,
        _ => REDIS_PORT,
    };
    let mut hosts = Vec::new();
    for one in list.split(',') {
        let host = host(one, port).ok_or_else(|| refused(form.shape()))?;
        if hosts.contains(&host) {
            return Err(refused("a host is listed twice"));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

fn host(text: &str, default: u16) -> Option<Host> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = host.parse().ok()?;
        (
            address.to_string(),
            rest.strip_prefix(':')
                .or_else(|| rest.is_empty().then_some(""))?,
        )
    } else {
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = !host.is_empty() && host.bytes().all(plain);
        (fits.then(|| host.to_ascii_lowercase())?, port)
    };
    if port.is_empty() {
        return Some((host, default));
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some((host, port))
}

/// The database of a path: empty, `/`, `/5` or `/5/`.
fn db(path: &str, form: Form) -> Result<i64> {
    let db = path.strip_prefix('/').unwrap_or(path);
    let db = db.strip_suffix('/').unwrap_or(db);
    let words = match form.kind {
        Kind::Sentinel => "the database is a number, as in redis+sentinel://host/master-name/5",
        _ => "the database is a number, as in redis://host/5",
    };
    number(db).ok_or_else(|| refused(words))
}

/// A number, where nothing is 0.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Adds a parameter to `url`.
pub(super) fn add(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(name);
    url.push('=');
    for byte in value.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => url.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Decodes `%23` and its like.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let byte = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok();
                let hex = digits.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())
            }
            (b'%', _) => None,
            (byte, _) => Some(*byte),
        };
        let words = "a % is not followed by two digits; write it as %25";
        bytes.push(byte.ok_or_else(|| refused(words))?);
    }
    String::from_utf8(bytes).map_err(|_| refused("what is percent-encoded is not UTF-8"))
}

fn refused(why: &str) -> Error {
    Error::ConfigError(format!("redis url: {why}"))
}

#[cfg(test)]
mod tests;
