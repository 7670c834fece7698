//! What a URL means, and what is refused.

use ::redis::ProtocolVersion;

use super::*;

fn parsed(url: &str) -> Parsed {
    parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refusal(url: &str) -> String {
    match parse(url) {
        Err(error) => format!("{error} {error:?}"),
        Ok(parsed) => panic!("{url} is {}", parsed.topology),
    }
}

/// Where a URL leads, and as whom.
fn shown(url: &str) -> (String, Option<String>, String, i64) {
    let Parsed {
        topology, login, ..
    } = parsed(url);
    let password = match login.password {
        Password::None => String::new(),
        Password::Text(password) => password,
        Password::File(path) => format!("in {}", path.display()),
        Password::Asked(_) => panic!("nobody is asked"),
    };
    (topology.to_string(), login.user, password, login.db)
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
        assert_eq!(parsed(url).login.db, number, "{url}");
    }
    for (url, protocol) in [
        ("redis://h?protocol=resp2", Some(ProtocolVersion::RESP2)),
        ("redis://h?protocol=3", Some(ProtocolVersion::RESP3)),
        ("redis://protocol=resp2@h", None),
    ] {
        assert_eq!(parsed(url).login.protocol, protocol, "{url}");
    }
}

#[test]
fn what_is_not_understood_is_an_error_that_says_so() {
    for (url, said) in [
        (
            "redis://h?db=5",
            "unknown parameter `db`; allowed: pass_file, protocol; the database stands in the path",
        ),
        ("redis://h/5?db=5", "unknown parameter `db`"),
        (
            "redis://h?timeout=5",
            "unknown parameter `timeout`; allowed: pass_file, protocol",
        ),
        ("redis://h?Protocol=resp2", "unknown parameter `Protocol`"),
        (
            "unix:///s?database=1",
            "allowed: db, user, pass, pass_file, protocol",
        ),
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
        ("redis://h/1/2", "the database is a number"),
        ("redis://h/99999999999999999999", "the database is a number"),
        ("redis://h#insecure", "fragment"),
        ("http://h", "wants redis://"),
        ("h:6379", "wants redis://"),
        ("", "wants redis://"),
    ] {
        let error = refusal(url);
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
        "unix:///s?pass=p4ss&hunter2",
        "unix:///s?db=1&pass=p4ss&hunter2=&x",
        "redis://h?pass_file=/run/a&hunter2",
        "redis://h/hunter2",
        "redis://:hunter2/x@h",
        "redis://:hunter2%@h",
        "redis://hunter2,hunter2",
        "redis://h?pass_file=",
        "redis://:hunter2@h?pass_file=/hunter2",
    ] {
        let error = refusal(url);
        assert!(!error.contains("hunter"), "{url}: {error}");
    }
}

#[test]
fn every_part_is_found_and_decoded() {
    let user = |user: &str| Some(user.to_owned());
    for (url, host, user, password) in [
        ("redis://h", "h:6379", None, ""),
        ("redis://:p%23%2F@h", "h:6379", None, "p#/"),
        ("redis://ann@h", "h:6379", user("ann"), ""),
        ("redis://ann:a@b:c@h", "h:6379", user("ann"), "a@b:c"),
        ("valkey://[FD00:0::2]:7000", "[fd00::2]:7000", None, ""),
        ("unix:///run/r%20s?pass=a%26+b", "/run/r s", None, "a&+b"),
        (
            "redis://u@h?pass_file=/run/p%20w",
            "h:6379",
            user("u"),
            "in /run/p w",
        ),
    ] {
        let expected = (host.to_owned(), user, password.to_owned(), 0);
        assert_eq!(shown(url), expected, "{url}");
    }
}

#[test]
fn a_form_without_its_feature_names_the_feature() {
    for (url, feature, there) in [
        ("rediss://h", "redis-tls", cfg!(feature = "redis-tls")),
        ("valkeys://h", "redis-tls", cfg!(feature = "redis-tls")),
        (
            "redis+cluster://h",
            "redis-cluster",
            cfg!(feature = "redis-cluster"),
        ),
        (
            "redis+sentinel://h/m",
            "redis-sentinel",
            cfg!(feature = "redis-sentinel"),
        ),
    ] {
        match parse(url) {
            Ok(_) => assert!(there, "{url}"),
            Err(error) => assert!(
                !there && error.to_string().contains(feature),
                "{url}: {error}"
            ),
        }
    }
}

#[cfg(feature = "redis-cluster")]
#[test]
fn a_cluster_is_some_of_its_nodes() {
    let url = "redis+cluster://u:p@a,b:7000,[::1]:7001/0?protocol=resp2";
    let expected = ("a:6379,b:7000,[::1]:7001", Some("u".to_owned()), "p", 0);
    let (hosts, user, password, db) = shown(url);
    assert_eq!((&*hosts, user, &*password, db), expected);
    assert!(matches!(
        parsed("valkey+cluster://a").topology,
        Topology::Cluster(_)
    ));
    for (url, said) in [
        ("redis+cluster://a/1", "no database but 0"),
        ("redis+cluster://a,a:6379", "listed twice"),
        ("redis+cluster://a,", "wants redis+cluster://"),
        ("redis+cluster://", "wants redis+cluster://"),
        ("redis+cluster://a?db=1", "unknown parameter `db`"),
        ("redis+clusters://a", "wants redis://"),
        ("unix+cluster:///a", "wants redis://"),
    ] {
        let error = refusal(url);
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[cfg(feature = "redis-sentinel")]
#[test]
fn a_master_has_a_name_and_its_sentinels_a_login() {
    let url = "redis+sentinel://u:p@a,b:7000/my%20master/3?sentinel_user=s&sentinel_pass=t%26";
    let expected = ("my master of a:26379,b:7000", Some("u".to_owned()), "p", 3);
    let (hosts, user, password, db) = shown(url);
    assert_eq!((&*hosts, user, &*password, db), expected);
    let Topology::Sentinel(sentinels) = parsed(url).topology else {
        panic!("{url}");
    };
    assert_eq!(sentinels.login.user.as_deref(), Some("s"));
    assert!(matches!(sentinels.login.password, Password::Text(text) if text == "t&"));
    for (url, said) in [
        ("redis+sentinel://a", "/master-name"),
        ("redis+sentinel://a/", "/master-name"),
        ("redis+sentinel://a//1", "/master-name"),
        (
            "redis+sentinel://a/m/n",
            "redis+sentinel://host/master-name/5",
        ),
        (
            "redis+sentinel://a/m?sentinel_pass=p4ss&w0rd",
            "unknown parameter; allowed: sentinel_user",
        ),
        (
            "redis+sentinel://a/m?sentinel_pass=p4ss&key",
            "pass_file, protocol ",
        ),
        (
            "redis+sentinel://a/m?sentinel_passw=1",
            "allowed: sentinel_user",
        ),
        (
            "redis+sentinel://a/m?sentinel_pass=1&sentinel_pass_file=/f",
            "parameter `sentinel_pass_file` as well",
        ),
        ("redis://a,b", "redis+cluster:// or redis+sentinel://"),
    ] {
        let error = refusal(url);
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[cfg(feature = "redis-tls")]
#[test]
fn certificates_are_always_verified() {
    assert!(parsed("rediss://h").tls.is_some());
    assert!(parsed("valkeys://h?ca=/a&cert=/b&key=/c").tls.is_some());
    assert!(parsed("redis://h").tls.is_none());
    for (url, said) in [
        ("rediss://h#insecure", "certificates are always verified"),
        ("rediss://h?insecure=1", "unknown parameter `insecure`"),
        ("rediss://h?cert=/b", "`cert` and `key` belong together"),
        ("rediss://h?ca=", "`ca` is the path of a file"),
        ("redis://h?ca=/a", "TLS begins with rediss"),
        ("rediss+unix:///s", "wants redis://"),
    ] {
        let error = refusal(url);
        assert!(error.contains(said), "{url}: {error}");
    }
}
