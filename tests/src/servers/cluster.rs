//! A Redis Cluster for one test.

use std::collections::BTreeSet;
use std::time::Duration;

use super::redis::{RedisOptions, RedisServer};
use super::resp::Reply;
use super::wait::{eventually, within};

/// A new cluster agrees on its state by gossip.
const LIMIT: Duration = Duration::from_secs(30);

/// A failover that takes longer was lost.
const PROMOTION: Duration = Duration::from_secs(6);

/// After how many milliseconds without an answer a node is taken for dead, while the cluster forms and
/// fails over: it gossips as fast as that.
const QUICK: &str = "1000";

/// The same at any other time, since a busy machine may stand still for a second.
const PATIENT: &str = "15000";

const SLOTS: u16 = 16_384;

/// Several [`RedisServer`]s as one cluster, without persistence. Ends like each of them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    primaries: usize,
}

impl RedisCluster {
    /// Starts three primaries with a replica each, and waits until all agree.
    ///
    /// # Panics
    ///
    /// As [`RedisOptions::start`], or when they do not agree within 30 seconds.
    pub fn start() -> Self {
        Self::with(3, 1, &RedisServer::options())
    }

    /// Starts `primaries`, each with `replicas`, all with `options`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn with(primaries: usize, replicas: usize, options: &RedisOptions) -> Self {
        let nodes: Vec<RedisServer> = std::thread::scope(|scope| {
            let count = primaries * (1 + replicas);
            let starting: Vec<_> = (0..count)
                .map(|_| scope.spawn(|| node(options.clone())))
                .collect();
            let started = starting.into_iter().map(|node| node.join());
            started
                .map(|node| node.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let cluster = Self { nodes, primaries };
        cluster.join();
        cluster
    }

    fn join(&self) {
        for (place, node) in self.nodes.iter().enumerate() {
            must(
                node,
                &["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()],
            );
        }
        let share = usize::from(SLOTS).div_ceil(self.primaries);
        for (place, node) in self.primaries().iter().enumerate() {
            let first = place * share;
            let last = (first + share).min(usize::from(SLOTS)) - 1;
            let (first, last) = (first.to_string(), last.to_string());
            must(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        let first = &self.nodes[0];
        for node in &self.nodes[1..] {
            let (port, bus) = (node.link_port().to_string(), node.bus_port().to_string());
            must(first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let count = self.nodes.len().to_string();
        eventually("all nodes know each other", LIMIT, || {
            let known = |node| field(node, "cluster_known_nodes").as_ref() == Some(&count);
            self.nodes.iter().all(known)
        });
        for (place, replica) in self.nodes[self.primaries..].iter().enumerate() {
            let of = id(&self.nodes[place % self.primaries]);
            eventually("a replica knows its primary", LIMIT, || {
                replica.command(&["CLUSTER", "REPLICATE", &of]).is_ok()
            });
        }
        // Without that, a primary neither names a replica nor votes for it.
        let replicas = self.nodes.len() - self.primaries;
        eventually("all nodes know the replicas", LIMIT, || {
            let known = |node: &RedisServer| {
                lines(node).matches(" slave ").count() + lines(node).matches(",slave ").count()
            };
            self.nodes.iter().all(|node| known(node) == replicas)
        });
        self.wait_until_whole();
        self.set_timeout(PATIENT);
    }

    /// From now on, a node that does not answer is soon taken for dead.
    pub fn notice_failures(&self) {
        self.set_timeout(QUICK);
    }

    fn set_timeout(&self, millis: &str) {
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            must(node, &["CONFIG", "SET", "cluster-node-timeout", millis]);
        }
    }

    /// Waits until every running node says that the cluster is in order, and every replica has its
    /// primary's keys.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 seconds.
    pub fn wait_until_whole(&self) {
        eventually("the cluster is in order", LIMIT, || {
            let running = self.nodes.iter().filter(|node| node.is_up());
            running.into_iter().all(|node| {
                let in_order = field(node, "cluster_state").as_deref() == Some("ok");
                in_order && (is_primary(node) || is_linked(node))
            })
        });
    }

    /// `redis+cluster://` with the addresses of all nodes.
    pub fn url(&self) -> String {
        let nodes = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", nodes.collect::<Vec<_>>().join(","))
    }

    /// `rediss+cluster://` with the ports for TLS of all nodes, and the authority to trust.
    ///
    /// # Panics
    ///
    /// When they were started without TLS.
    pub fn tls_url(&self) -> String {
        let urls = self.nodes.iter().map(RedisServer::tls_url);
        let urls: Vec<_> = urls.collect();
        let parts = urls.iter().filter_map(|url| url.strip_prefix("rediss://"));
        let (hosts, parameters): (Vec<_>, Vec<_>) =
            parts.filter_map(|part| part.split_once('?')).unzip();
        format!("rediss+cluster://{}?{}", hosts.join(","), parameters[0])
    }

    /// All nodes: first those that were started as primaries, then the replicas, in the same order.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The nodes that were started as primaries.
    pub fn primaries(&self) -> &[RedisServer] {
        &self.nodes[..self.primaries]
    }

    /// The running node that keeps `key`, by the word of the nodes themselves.
    ///
    /// # Panics
    ///
    /// When none says so.
    pub fn node_of(&self, key: &str) -> &RedisServer {
        let slot = slot_of(&self.nodes[0], key);
        let keeper = self.nodes.iter().find(|node| {
            node.process().is_running() && is_primary(node) && {
                let range = |text: &str| match text.split_once('-') {
                    Some((first, last)) => (first.parse().ok(), last.parse().ok()),
                    None => (text.parse().ok(), text.parse().ok()),
                };
                slots_of(node).iter().any(|slots| {
                    let (first, last): (Option<u16>, Option<u16>) = range(slots);
                    first.is_some_and(|first| first <= slot)
                        && last.is_some_and(|last| slot <= last)
                })
            }
        });
        keeper.unwrap_or_else(|| panic!("no running node keeps slot {slot} of {key}"))
    }

    /// The replica that was started for a primary of this index.
    pub fn replica_of(&self, primary: usize) -> &RedisServer {
        &self.nodes[self.primaries + primary]
    }

    /// Makes a replica the primary, without losing anything. From then on,
    /// [failures are noticed](Self::notice_failures).
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 seconds.
    pub fn fail_over_to(&self, replica: &RedisServer) {
        self.notice_failures();
        let start = std::time::Instant::now();
        while !is_primary(replica) {
            assert!(start.elapsed() < LIMIT, "{}", replica.process().tail());
            // Refused while one is under way, and given up after five seconds if a message is lost.
            let _ = replica.command(&["CLUSTER", "FAILOVER"]);
            within(PROMOTION, || is_primary(replica));
        }
    }

    /// [Notices failures](Self::notice_failures), and waits until `node` has become a primary.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 seconds.
    pub fn wait_until_promoted(&self, node: &RedisServer) {
        self.notice_failures();
        let promoted = within(LIMIT, || is_primary(node));
        assert!(
            promoted,
            "the replica is not promoted; its output ends with\n{}",
            node.process().tail()
        );
    }

    /// Begins to move the slot of `key` to the primary of index `to`: from then on, keys that are not
    /// there any more are answered with `ASK`.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub fn begin_move(&self, key: &str, to: usize) -> Move<'_> {
        let from = self.node_of(key);
        let to = &self.nodes[to];
        let slot = slot_of(from, key).to_string();
        must(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        must(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        Move {
            cluster: self,
            from,
            to,
            slot,
        }
    }
}

/// A slot on its way to another node.
#[derive(Debug)]
pub struct Move<'c> {
    cluster: &'c RedisCluster,
    from: &'c RedisServer,
    to: &'c RedisServer,
    slot: String,
}

impl Move<'_> {
    /// Moves the keys of the slot that are there now.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub fn keys(&self) {
        let port = self.to.port().to_string();
        loop {
            let keys = self
                .from
                .command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "100"]);
            let Reply::Array(keys) = keys else {
                panic!("no keys: {keys:?}")
            };
            if keys.is_empty() {
                return;
            }
            let mut migrate: Vec<String> = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"]
                .map(str::to_owned)
                .into();
            migrate.extend(keys.iter().filter_map(Reply::text));
            // A key that has gone since is no error.
            let _ = self.from.command(&migrate);
        }
    }

    /// Moves the keys, and tells all nodes that the slot is there.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub fn end(self) {
        self.keys();
        let to = id(self.to);
        let told = [self.to, self.from];
        let others = self.cluster.nodes.iter().filter(|node| {
            node.is_up() && is_primary(node) && !told.iter().any(|told| told.port() == node.port())
        });
        for node in told.into_iter().chain(others) {
            must(node, &["CLUSTER", "SETSLOT", &self.slot, "NODE", &to]);
        }
        // The next move may only begin when all know the new epoch of this one: with equal epochs, a
        // slot could be given back by the one and not taken by the other.
        eventually("all nodes know the slot's new node", LIMIT, || {
            let running = |node: &&RedisServer| node.process().is_running();
            let mut epochs = self.cluster.nodes.iter().filter(running).map(epochs_of);
            let first = epochs.next();
            epochs.all(|epochs| Some(epochs) == first)
        });
    }
}

fn node(options: RedisOptions) -> RedisServer {
    #[rustfmt::skip]
    let options = options.in_cluster().args([
        "--cluster-enabled", "yes", "--cluster-node-timeout", QUICK,
        "--cluster-config-file", "nodes.conf", "--cluster-require-full-coverage", "no",
        // A replica of an empty primary is promoted, however long ago it heard of it.
        "--cluster-replica-validity-factor", "0",
    ]);
    options.start()
}

fn must(node: &RedisServer, words: &[&str]) {
    let reply = node.command(words);
    assert!(reply.is_ok(), "{words:?}: {reply:?}");
}

fn id(node: &RedisServer) -> String {
    let reply = node.command(&["CLUSTER", "MYID"]);
    reply.text().unwrap_or_else(|| panic!("no id: {reply:?}"))
}

fn slot_of(node: &RedisServer, key: &str) -> u16 {
    let reply = node.command(&["CLUSTER", "KEYSLOT", key]);
    let slot = reply.integer().and_then(|slot| u16::try_from(slot).ok());
    slot.unwrap_or_else(|| panic!("no slot for {key}: {reply:?}"))
}

/// The slots of a node, such as `0-5461` and `7000`, by its own word.
fn slots_of(node: &RedisServer) -> Vec<String> {
    let nodes = lines(node);
    let own = nodes.lines().find(|line| line.contains("myself"));
    let words = own.unwrap_or_default().split_whitespace().skip(8);
    words
        .filter(|word| !word.starts_with('['))
        .map(str::to_owned)
        .collect()
}

/// The id and the epoch of each node that is not known to have failed, as one of them knows them.
fn epochs_of(node: &RedisServer) -> BTreeSet<(String, String)> {
    let lines = lines(node);
    let known = lines.lines().filter(|line| !line.contains("fail"));
    let words = known.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter_map(|words| Some(((*words.first()?).to_owned(), (*words.get(6)?).to_owned())))
        .collect()
}

/// What a node knows of all nodes: a line for each.
fn lines(node: &RedisServer) -> String {
    let nodes = node.command(&["CLUSTER", "NODES"]);
    nodes.text().unwrap_or_default()
}

fn is_primary(node: &RedisServer) -> bool {
    role(node).as_deref() == Some("master")
}

fn is_linked(node: &RedisServer) -> bool {
    let info = node.command(&["INFO", "replication"]).text();
    info.is_some_and(|info| info.contains("master_link_status:up"))
}

fn role(node: &RedisServer) -> Option<String> {
    let info = node.command(&["INFO", "replication"]).text()?;
    let role = info.lines().find_map(|line| line.strip_prefix("role:"))?;
    Some(role.trim_end().to_owned())
}

fn field(node: &RedisServer, name: &str) -> Option<String> {
    let info = node.command(&["CLUSTER", "INFO"]).text()?;
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim_end().to_owned())
}
