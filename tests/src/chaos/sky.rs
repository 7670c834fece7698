//! What happens to the wires and the servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cache_kit::backend::InMemoryBackend;
use cache_kit::testing::{Fault, FaultyBackend};
use fastrand::Rng;

use crate::servers::{
    Command, MemcachedServer, Proxy, RedisCluster, RedisServer, Server, Trap, Trick,
};

/// The source of trouble.
pub(super) trait Sky {
    /// Makes trouble for a while, and returns its name. Some of it outlasts the turn.
    fn turn(&mut self, rng: &mut Rng) -> &'static str;

    /// Ends all trouble.
    fn clear(&mut self);
}

/// A store in this process that fails.
pub(super) struct Inside(pub(super) FaultyBackend<InMemoryBackend>);

impl Sky for Inside {
    fn turn(&mut self, rng: &mut Rng) -> &'static str {
        let (fault, name) = match rng.u8(..6) {
            0 => (Fault::Down, "down"),
            1 => (Fault::Reads, "no reads"),
            2 => (Fault::Leases, "no leases"),
            3 => (Fault::Stores, "no stores"),
            _ => {
                pause(rng, 50..300);
                return "calm";
            }
        };
        self.0.fail(fault);
        pause(rng, 5..200);
        self.0.recover();
        name
    }

    fn clear(&mut self) {
        self.0.recover();
    }
}

/// A server that takes permissions of its user away.
pub(super) trait Restrict: Server {
    /// Revokes permissions of the caches' user.
    fn restrict(&self, rng: &mut Rng);
    /// Grants them again.
    fn allow(&self);
}

/// The user of the caches, and its password.
pub(super) const USER: (&str, &str) = ("cache", "sesame");

impl Restrict for RedisServer {
    fn restrict(&self, rng: &mut Rng) {
        let rights: &[&str] = match rng.u8(..9) {
            0 => &["-del"],
            1 => &["-eval", "-evalsha"],
            2 => &["-mget"],
            3 => &["-get"],
            4 => &["-getrange"],
            5 => &["-set"],
            6 => &["resetkeys", "~lasting:*"],
            7 => &["resetkeys", "%R~*"],
            _ => &["resetpass", ">changed"],
        };
        let login = rights[0] == "resetpass";
        self.command(&[&["ACL", "SETUSER", USER.0], rights].concat());
        if login {
            self.command(&["CLIENT", "KILL", "USER", USER.0]);
        }
    }

    fn allow(&self) {
        let password = format!(">{}", USER.1);
        let all = ["resetpass", &password, "allkeys", "+@all"];
        self.command(&[&["ACL", "SETUSER", USER.0], &all[..]].concat());
    }
}

impl Restrict for MemcachedServer {
    /// It has no users; it evicts everything.
    fn restrict(&self, _: &mut Rng) {
        self.ask(b"flush_all\r\n", "OK");
    }

    fn allow(&self) {}
}

/// A server, and the wires to it.
pub(super) struct Outside<S> {
    pub(super) server: S,
    pub(super) proxies: Vec<Proxy>,
    pub(super) traps: Vec<Trap>,
}

impl<S: Restrict> Sky for Outside<S> {
    fn turn(&mut self, rng: &mut Rng) -> &'static str {
        if rng.u8(..4) == 0 {
            self.traps.drain(..).for_each(|trap| trap.release());
        }
        let proxy = &self.proxies[rng.usize(..self.proxies.len())];
        match rng.u8(..24) {
            0..3 => {
                proxy.cut();
                pause(rng, 1..50);
                "cut"
            }
            3..8 => {
                for _ in 0..rng.u8(1..6) {
                    self.traps
                        .push(proxy.on_next(soon(rng), Trick::LateCommand));
                }
                pause(rng, 5..200);
                "late"
            }
            8..10 => {
                let held = proxy.on_next(soon(rng), Trick::HoldCommand);
                pause(rng, 5..400);
                if held.has_sprung() && rng.bool() {
                    held.cut_client();
                    pause(rng, 1..300);
                }
                held.release();
                "held"
            }
            10..13 => {
                let trick = match rng.u8(..4) {
                    0 => Trick::DropCommand,
                    1 => Trick::DropAnswer,
                    2 => Trick::CutCommand,
                    _ => Trick::CutAnswer(rng.usize(..40)),
                };
                proxy.on_next(soon(rng), trick);
                pause(rng, 5..100);
                "lost"
            }
            13 => {
                proxy.black_hole();
                pause(rng, 100..1_500);
                proxy.pass();
                "black hole"
            }
            14 => {
                proxy.refuse();
                proxy.cut();
                pause(rng, 50..1_000);
                proxy.pass();
                "refused"
            }
            15..17 => {
                proxy.delay(Duration::from_millis(rng.u64(1..150)));
                pause(rng, 100..800);
                proxy.delay(Duration::ZERO);
                "slow"
            }
            17 => {
                proxy.hold();
                pause(rng, 50..900);
                proxy.release();
                "stalled"
            }
            18..20 => {
                self.server.stop();
                pause(rng, 50..1_200);
                self.server.cont();
                "stopped"
            }
            20 => {
                self.server.kill();
                pause(rng, 1..900);
                self.server.restart();
                "killed"
            }
            21 => {
                self.server.restrict(rng);
                pause(rng, 100..1_200);
                self.server.allow();
                "restricted"
            }
            _ => {
                pause(rng, 50..300);
                "calm"
            }
        }
    }

    fn clear(&mut self) {
        self.traps.clear();
        for proxy in &self.proxies {
            proxy.pass();
        }
    }
}

/// The nodes of a cluster.
pub(super) struct Nodes(pub(super) RedisCluster);

impl Sky for Nodes {
    fn turn(&mut self, rng: &mut Rng) -> &'static str {
        let nodes = self.0.nodes();
        let node = &nodes[rng.usize(..nodes.len())];
        match rng.u8(..14) {
            0..2 => {
                node.command(&["CLIENT", "KILL", "TYPE", "normal"]);
                pause(rng, 1..50);
                "cut"
            }
            2 => {
                let millis = rng.u64(50..900).to_string();
                node.command(&["CLIENT", "PAUSE", &millis]);
                pause(rng, 50..900);
                "stalled"
            }
            3..5 => {
                node.stop();
                pause(rng, 50..1_200);
                node.cont();
                "stopped"
            }
            5 => {
                node.kill();
                pause(rng, 1..900);
                node.restart();
                "killed"
            }
            6 => {
                nodes.iter().for_each(RedisServer::kill);
                pause(rng, 1..300);
                nodes.iter().for_each(RedisServer::restart);
                "all killed"
            }
            7..12 => {
                self.0.wait_until_whole();
                let row = rng.u8(..24);
                let prefix = if row.is_multiple_of(2) {
                    "brief"
                } else {
                    "lasting"
                };
                let key = format!("{prefix}:{row}");
                let from = self.0.node_of(&key).port();
                let to = rng.usize(..nodes.len());
                if nodes[to].port() == from {
                    return "calm";
                }
                let moved = self.0.begin_move(&key, to);
                pause(rng, 1..200);
                moved.keys();
                pause(rng, 1..200);
                moved.end();
                "moved"
            }
            _ => {
                pause(rng, 50..300);
                "calm"
            }
        }
    }

    fn clear(&mut self) {
        self.0.wait_until_whole();
    }
}

/// One of the next commands.
fn soon(rng: &mut Rng) -> impl Fn(&Command) -> bool + Send + 'static {
    let (nth, seen) = (rng.usize(..20), AtomicUsize::new(0));
    move |_| seen.fetch_add(1, Ordering::Relaxed) == nth
}

/// Lets the trouble last.
fn pause(rng: &mut Rng, millis: std::ops::Range<u64>) {
    thread::sleep(Duration::from_millis(rng.u64(millis)));
}
