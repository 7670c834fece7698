//! Raises the soft limit of open files: both ends of every connection are in this process.

/// Open files besides the connections: the databases, the other clients, the runtime.
const OTHERS: u64 = 100;

/// Makes room for `wanted` connections with both ends in this process if it can, and says how many
/// of them there may be.
pub(super) fn allow_connections(wanted: u64) -> u64 {
    let files = allow(2 * wanted + OTHERS);
    wanted.min(files.saturating_sub(OTHERS) / 2)
}

/// Makes room for `wanted` open files if it can, and says how many there may be.
#[cfg(unix)]
fn allow(wanted: u64) -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    let allowed = limit.current.unwrap_or(u64::MAX);
    if allowed >= wanted {
        return allowed;
    }
    let raised = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    limit.current = Some(raised);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => raised,
        Err(_) => allowed,
    }
}

/// Elsewhere there is no such limit to raise.
#[cfg(not(unix))]
fn allow(_wanted: u64) -> u64 {
    u64::MAX
}
