//! [`Topology`]: which servers there are, and where.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::login::Login;

/// A host and its port. An IPv6 address stands without brackets.
pub(super) type Host = (String, u16);

/// What a configuration names.
#[derive(Clone)]
pub(super) enum Topology {
    Single(Address),
    /// A cluster, by some of its nodes.
    Cluster(Vec<Host>),
    Sentinel(Sentinels),
}

/// A master, and the sentinels that know where it is.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) hosts: Vec<Host>,
    pub(super) master: String,
    /// For the sentinels themselves; the master has its own.
    pub(super) login: Login,
}

/// Where one server is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(String, u16),
    /// The path of a socket.
    Unix(String),
}

impl Address {
    /// The addresses to try, one after the other. `localhost` is tried as both, whatever a hosts
    /// file says.
    pub(super) fn each(&self) -> Vec<Self> {
        match self {
            Self::Tcp(host, port) if host.eq_ignore_ascii_case("localhost") => {
                let loopback = [
                    Ipv4Addr::LOCALHOST.to_string(),
                    Ipv6Addr::LOCALHOST.to_string(),
                ];
                loopback.map(|host| Self::Tcp(host, *port)).into()
            }
            address => vec![address.clone()],
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write_host(f, host, *port),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(address) => fmt::Display::fmt(address, f),
            Self::Cluster(hosts) => write_hosts(f, hosts),
            Self::Sentinel(sentinels) => {
                write!(f, "{} of ", sentinels.master)?;
                write_hosts(f, &sentinels.hosts)
            }
        }
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self {
            Self::Sentinel(sentinels) => write!(f, " (as {:?})", sentinels.login),
            _ => Ok(()),
        }
    }
}

fn write_hosts(f: &mut fmt::Formatter<'_>, hosts: &[Host]) -> fmt::Result {
    for (place, (host, port)) in hosts.iter().enumerate() {
        if place > 0 {
            f.write_str(",")?;
        }
        write_host(f, host, *port)?;
    }
    Ok(())
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    match host.contains(':') {
        true => write!(f, "[{host}]:{port}"),
        false => write!(f, "{host}:{port}"),
    }
}
