//! What a URL may contain. The client's own parser silently ignores what it does not know:
//! `redis://h?db=5` would select database 0.

use ::redis::{ConnectionInfo, IntoConnectionInfo};

use crate::error::{Error, Result};

/// The server that `url` names, and whether it chose the protocol. No message repeats the URL.
pub(super) fn parse(url: &str) -> Result<(ConnectionInfo, bool)> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let scheme = scheme.to_ascii_lowercase();
    if matches!(&*scheme, "rediss" | "valkeys") {
        return Err(refused("this build has no TLS"));
    }
    let is_unix = matches!(&*scheme, "unix" | "redis+unix" | "valkey+unix");
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    // The client's own parser rejects what is not a URL, such as a password that is not
    // percent-encoded. Its message is not passed on, because it could repeat the URL.
    let parsed = |url: &str| {
        let words = "wants redis://[user][:password@]host[:port][/db] or unix:///path";
        url.into_connection_info().map_err(|_| refused(words))
    };
    parsed(url.split(['?', '#']).next().unwrap_or(url))?;
    if rest.contains('#') {
        let hint = match fragment.contains('@') {
            true => ": is it part of a password? write it as %23",
            false => "",
        };
        return Err(refused(&format!("it has a fragment (#){hint}")));
    }
    let chosen = parameters(query, is_unix)?;
    if !is_unix {
        let path = before.trim_start_matches("//");
        let db = path.split_once('/').map_or("", |(_, db)| db);
        let db = db.strip_suffix('/').unwrap_or(db);
        if !db.is_empty() && !is_number(db) {
            return Err(refused("the database is a number, as in redis://host/5"));
        }
    }
    Ok((parsed(url)?, chosen))
}

/// Checks what follows the question mark; tells whether it chooses a protocol.
fn parameters(query: &str, is_unix: bool) -> Result<bool> {
    let allowed: &[&str] = match is_unix {
        true => &["db", "user", "pass", "protocol"],
        false => &["protocol"],
    };
    let mut seen: Vec<&str> = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(name) = allowed.iter().find(|known| **known == name) else {
            return Err(unknown(name, query, allowed, is_unix));
        };
        if seen.contains(name) {
            return Err(refused(&format!("parameter `{name}` is given twice")));
        }
        seen.push(name);
        match *name {
            "db" if !is_number(value) => {
                return Err(refused("parameter `db` is the number of a database"));
            }
            "protocol" if !matches!(value, "resp2" | "resp3" | "2" | "3") => {
                return Err(refused("parameter `protocol` is resp2 or resp3"));
            }
            _ => {}
        }
    }
    Ok(seen.contains(&"protocol"))
}

fn unknown(name: &str, query: &str, allowed: &[&str], is_unix: bool) -> Error {
    // If the question mark belongs to a password, the rest of the password follows it.
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let named = !query.contains('@') && !name.is_empty() && name.bytes().all(is_word);
    let name = match named {
        true => format!(" `{name}`"),
        false => String::new(),
    };
    let hint = match name.as_str() {
        " `db`" if !is_unix => "; the database stands in the path, as in redis://host/5",
        _ => "",
    };
    let allowed = allowed.join(", ");
    refused(&format!(
        "unknown parameter{name}; allowed: {allowed}{hint}"
    ))
}

fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<i64>().is_ok()
}

fn refused(why: &str) -> Error {
    Error::ConfigError(format!("redis url: {why}"))
}

#[cfg(test)]
mod tests {
    use ::redis::ProtocolVersion;

    use super::*;

    fn db(url: &str) -> i64 {
        parse(url).unwrap().0.redis_settings().db()
    }

    #[test]
    fn what_is_meant_is_understood() {
        for (url, number) in [
            ("redis://h", 0),
            ("redis://h/", 0),
            ("redis://h:7000/3", 3),
            ("redis://h/3/", 3),
            ("valkey://u:p%3Fq@h/15?protocol=resp3", 15),
            ("redis://[::1]:6379/2", 2),
            ("unix:///run/redis.sock", 0),
            ("unix:///run/redis.sock?db=4&user=u&pass=p", 4),
            ("REDIS://h/1", 1),
        ] {
            assert_eq!(db(url), number, "{url}");
        }
        let (info, chosen) = parse("redis://h?protocol=resp2").unwrap();
        assert!(chosen && info.redis_settings().protocol() == ProtocolVersion::RESP2);
        assert!(!parse("redis://protocol=resp2@h").unwrap().1);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_says_so() {
        for (url, said) in [
            (
                "redis://h?db=5",
                "unknown parameter `db`; allowed: protocol; the database stands in the path",
            ),
            ("redis://h/5?db=5", "unknown parameter `db`"),
            (
                "redis://h?timeout=5",
                "unknown parameter `timeout`; allowed: protocol",
            ),
            ("redis://h?Protocol=resp2", "unknown parameter `Protocol`"),
            ("unix:///s?database=1", "allowed: db, user, pass, protocol"),
            ("redis://h?protocol=resp4", "`protocol` is resp2 or resp3"),
            ("redis://h?protocol", "`protocol` is resp2 or resp3"),
            (
                "redis://h?protocol=resp2&protocol=resp3",
                "`protocol` is given twice",
            ),
            ("unix:///s?db=1&db=2", "`db` is given twice"),
            ("unix:///s?db=-1", "`db` is the number of a database"),
            ("unix:///s?db=", "`db` is the number of a database"),
            ("redis://h/-1", "the database is a number"),
            ("redis://h/+1", "the database is a number"),
            ("redis://h//1", "the database is a number"),
            ("redis://h/1/2", "wants redis://"),
            ("redis://h/99999999999999999999", "wants redis://"),
            ("redis://h#insecure", "fragment"),
            ("rediss://h", "no TLS"),
            ("http://h", "wants redis://"),
            ("h:6379", "wants redis://"),
            ("", "wants redis://"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }

    #[test]
    fn no_part_of_a_password_is_repeated() {
        for url in [
            "redis://:hunter2?x@h",
            "redis://hunter?hunter2@h",
            "redis://u:1234?hunter2=hunter2@h",
            "redis://u:1234#hunter2@h",
            "redis://h?pass=hunter2",
            "unix:///s?passw=hunter2",
            "redis://h/hunter2",
        ] {
            let error = parse(url).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("hunter"),
                "{url}: {error}"
            );
        }
    }
}
