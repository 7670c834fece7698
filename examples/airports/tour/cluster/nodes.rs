//! [`Nodes`]: a Redis Cluster for the tour alone, gone when the tour ends.

use std::collections::BTreeSet;
use std::io;
use std::ops::AsyncFnMut;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::tour::redis_server::{RedisServer, free_port, new_password};

/// How many nodes keep slots. Each has one replica.
pub(super) const PRIMARIES: usize = 3;

const SLOTS: usize = 16_384;

/// How many slots a primary keeps; the last one keeps a few less.
const SHARE: usize = SLOTS.div_ceil(PRIMARIES);

/// A new cluster agrees by gossip.
const PATIENCE: Duration = Duration::from_secs(30);

/// Six servers: the primaries, then their replicas in the same order. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Nodes {
    servers: Vec<RedisServer>,
    password: String,
    /// Those that were killed.
    dead: BTreeSet<usize>,
}

impl Nodes {
    /// Starts the servers and waits until they agree; `None` if `program` is no Redis 7 or newer.
    pub(super) async fn start(program: &'static str) -> Result<Option<Self>, Failure> {
        if !is_new_enough(program) {
            return Ok(None);
        }
        let password = new_password();
        let mut nodes = Self {
            servers: Vec::new(),
            password,
            dead: BTreeSet::new(),
        };
        let mut buses = Vec::new();
        for _ in 0..2 * PRIMARIES {
            let Some((server, bus)) = node(program, &nodes.password).await? else {
                return Ok(None);
            };
            nodes.servers.push(server);
            buses.push(bus);
        }
        nodes.join(&buses).await?;
        Ok(Some(nodes))
    }

    async fn join(&self, buses: &[u16]) -> Result<(), Failure> {
        for place in 0..self.servers.len() {
            // Without epochs of their own, the nodes would have to settle that first.
            self.tell(place, &format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1))
                .await?;
        }
        for place in 0..PRIMARIES {
            let (first, end) = (place * SHARE, ((place + 1) * SHARE).min(SLOTS));
            self.tell(place, &format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))
                .await?;
        }
        for (server, bus) in self.servers.iter().zip(buses).skip(1) {
            self.tell(
                0,
                &format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port()),
            )
            .await?;
        }
        let count = self.servers.len();
        self.eventually("know each other", async |nodes: &Self, place| {
            nodes.lines(place).await.len() == count
        })
        .await?;
        for place in PRIMARIES..count {
            let primary = self.id(place - PRIMARIES).await?;
            self.tell(place, &format!("CLUSTER REPLICATE {primary}"))
                .await?;
        }
        // A primary votes only for a replica that it knows as one.
        self.eventually("know the replicas", async |nodes: &Self, place| {
            let lines = nodes.lines(place).await;
            lines.iter().filter(|line| line.contains("slave")).count() == count - PRIMARIES
        })
        .await?;
        self.eventually("are in order", async |nodes: &Self, place| {
            let state = nodes.info(place, "CLUSTER INFO", "cluster_state").await;
            let link = nodes.info(place, "INFO replication", "master_link_status");
            state.as_deref() == Some("ok")
                && (place < PRIMARIES || link.await.as_deref() == Some("up"))
        })
        .await
    }

    /// `redis+cluster://`, with the password in it.
    pub(super) fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(RedisServer::address).collect();
        format!("redis+cluster://:{}@{}", self.password, hosts.join(","))
    }

    /// The place of the primary that keeps a slot at first.
    pub(super) fn keeper_of(slot: u16) -> usize {
        usize::from(slot) / SHARE
    }

    /// The place of a primary's replica.
    pub(super) fn replica_of(primary: usize) -> usize {
        PRIMARIES + primary
    }

    /// Host and port of a node.
    pub(super) fn address(&self, place: usize) -> String {
        self.servers[place].address()
    }

    /// Kills a node as `kill -9` does.
    pub(super) fn kill(&mut self, place: usize) -> Result<(), Failure> {
        self.dead.insert(place);
        self.servers[place].kill()
    }

    /// Waits until a replica has become a primary.
    pub(super) async fn promoted(&self, place: usize) -> Result<(), Failure> {
        wait("see a replica take over", || async {
            self.info(place, "INFO replication", "role")
                .await
                .as_deref()
                == Some("master")
        })
        .await
    }

    /// Moves a slot with its keys, one after the other, and calls `between` after each of them and
    /// when all are gone.
    pub(super) async fn move_slot(
        &self,
        slot: u16,
        from: usize,
        to: usize,
        mut between: impl AsyncFnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (source, target) = (self.id(from).await?, self.id(to).await?);
        let slot_command = |rest: &str| format!("CLUSTER SETSLOT {slot} {rest}");
        self.tell(to, &slot_command(&format!("IMPORTING {source}")))
            .await?;
        self.tell(from, &slot_command(&format!("MIGRATING {target}")))
            .await?;
        between().await?;
        let (port, password) = (self.servers[to].port(), &self.password);
        loop {
            let keys = self
                .tell(from, &format!("CLUSTER GETKEYSINSLOT {slot} 1"))
                .await?;
            let Some(key) = keys.first() else { break };
            // A key that has gone since is no error.
            let migrate = format!("MIGRATE 127.0.0.1 {port} {key} 0 5000 AUTH {password}");
            self.tell(from, &migrate).await?;
            between().await?;
        }
        // The new keeper first: nobody may be told of a node that does not know of it.
        let others = (0..PRIMARIES).filter(|place| *place != from && *place != to);
        for place in [to, from].into_iter().chain(others) {
            self.tell(place, &slot_command(&format!("NODE {target}")))
                .await?;
        }
        // With equal epochs, the next move could be given up by one node and not taken by another.
        wait("let all nodes know of a moved slot", || async {
            let mut known = BTreeSet::new();
            for place in 0..self.servers.len() {
                known.insert(self.epochs(place).await);
            }
            known.len() == 1
        })
        .await?;
        between().await
    }

    /// Kills all of them and removes their files.
    pub(super) fn stop(self) -> Result<(), Failure> {
        let stopped = self.servers.into_iter().map(RedisServer::stop);
        // Each is stopped, also after a failure.
        stopped.collect::<Vec<_>>().into_iter().collect()
    }

    /// Sends a command that must not fail.
    async fn tell(&self, place: usize, command: &str) -> Result<Vec<String>, Failure> {
        let reply = self.servers[place].command(command).await;
        reply.map_err(Failure::when("command a node of the cluster"))
    }

    async fn id(&self, place: usize) -> Result<String, Failure> {
        let id = self.tell(place, "CLUSTER MYID").await?;
        Ok(id.concat())
    }

    /// What a node knows of all nodes: a line for each.
    async fn lines(&self, place: usize) -> Vec<String> {
        let nodes = self.servers[place].command("CLUSTER NODES").await;
        let text = nodes.unwrap_or_default().concat();
        text.lines().map(str::to_owned).collect()
    }

    /// The id and the epoch of each node, as one of them knows them.
    async fn epochs(&self, place: usize) -> Vec<(String, String)> {
        let lines = self.lines(place).await;
        let words = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        let mut epochs: Vec<_> = words
            .filter_map(|words| Some(((*words.first()?).into(), (*words.get(6)?).into())))
            .collect();
        epochs.sort();
        epochs
    }

    /// One line of an `INFO`.
    async fn info(&self, place: usize, command: &str, name: &str) -> Option<String> {
        let text = self.servers[place].command(command).await.ok()?.concat();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim_end().to_owned())
    }

    /// Waits until `holds` for every node.
    async fn eventually(
        &self,
        what: &'static str,
        holds: impl AsyncFn(&Self, usize) -> bool,
    ) -> Result<(), Failure> {
        for place in 0..self.servers.len() {
            let waited = wait("start a cluster", || holds(self, place)).await;
            waited.map_err(|_| {
                Failure::when("start a cluster")(format!("its nodes do not {what} in time"))
            })?;
        }
        Ok(())
    }
}

/// Asks again every few milliseconds, for [`PATIENCE`].
async fn wait(doing: &'static str, mut holds: impl AsyncFnMut() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        if Instant::now() > deadline {
            return Err(Failure::when(doing)("it takes too long"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The options for the port of the bus and for ranges of slots came with Redis 7.
fn is_new_enough(program: &str) -> bool {
    let Ok(said) = Command::new(program).arg("--version").output() else {
        return false;
    };
    major(&String::from_utf8_lossy(&said.stdout)).is_some_and(|major| major >= 7)
}

/// The major version in `Redis server v=7.0.15 sha=…`.
fn major(said: &str) -> Option<u32> {
    let (_, version) = said.split_once(" v=")?;
    version.split('.').next()?.parse().ok()
}

/// Starts one node, and says the port of its bus.
async fn node(
    program: &'static str,
    password: &str,
) -> Result<Option<(RedisServer, u16)>, Failure> {
    let mut tries = 0;
    loop {
        let bus: io::Result<u16> = free_port();
        let bus = bus.map_err(Failure::when("find a free port"))?;
        let lines = format!(
            "masterauth {password}\ncluster-enabled yes\ncluster-config-file nodes.conf\n\
             cluster-port {bus}\ncluster-node-timeout 1000\ncluster-require-full-coverage no\n\
             cluster-replica-validity-factor 0\n"
        );
        tries += 1;
        match RedisServer::start_with(program, password, &lines).await {
            Ok(server) => return Ok(server.map(|server| (server, bus))),
            // Another program may have taken one of its ports since it was found free.
            Err(_) if tries < 3 => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// The slot of a key, as all clients of a cluster compute it.
pub(super) fn slot_of(key: &str) -> u16 {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let carried = if crc & 0x8000 == 0 { 0 } else { 0x1021 };
            (crc << 1) ^ carried
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn nothing_is_left_of_a_cluster_that_is_dropped() {
        let nodes = Nodes::start("redis-server").await.unwrap().unwrap();
        let addresses: Vec<_> = (0..2 * PRIMARIES)
            .map(|place| nodes.address(place))
            .collect();
        let connects = |address: &String| TcpStream::connect(address).is_ok();
        assert!(addresses.iter().all(connects));
        drop(nodes);
        assert!(!addresses.iter().any(connects));
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of("123456789"), 0x31c3);
        assert_eq!(slot_of("foo"), 12_182);
    }

    #[test]
    fn the_version_decides() {
        let said = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(major(said), Some(7));
        assert_eq!(major("Valkey server v=8.1.0 sha=0"), Some(8));
        assert_eq!(major("cat (GNU coreutils) 9.1"), None);
        assert!(!is_new_enough("no-such-server"));
    }
}
