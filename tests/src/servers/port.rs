//! Free ports.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range from which systems take the ports of outgoing connections (Linux from 32768,
/// others from 49152), above the servers' default ports. Any connection could take a port of that
/// range while its server is down, and a client that dials such a port on loopback can even be
/// connected to itself.
const RANGE: Range<u16> = 20_000..32_000;

const TRIES: usize = 200;

/// A listener on a free loopback port.
///
/// # Panics
///
/// When no port of the range is free.
pub(super) fn listen() -> (TcpListener, u16) {
    let mut last = None;
    for _ in 0..TRIES {
        let port = fastrand::u16(RANGE);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return (listener, port),
            Err(error) => last = Some(error),
        }
    }
    panic!("no free port of {TRIES} tried in {RANGE:?}: {last:?}");
}

/// A loopback port that was free a moment ago. Another process may take it first, so the start of a
/// server retries with a new port.
///
/// # Panics
///
/// When no port of the range is free.
pub fn free_port() -> u16 {
    listen().1
}
