//! Nothing outlives a test process, however it dies.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use cache_kit_tests::servers::{
    Process, RedisServer, Signal, eventually, find_on_path, is_alive, room,
};

const LIMIT: Duration = Duration::from_secs(10);
const ROLE: &str = "CACHE_KIT_TEST_VICTIM";
const MARK: &str = "victim's server:";

/// This test's binary, run again as a process that starts a server and waits for its end.
struct Victim {
    child: Child,
    /// Kept open, so that the child can go on printing.
    _output: BufReader<ChildStdout>,
    server: u32,
    room: PathBuf,
}

impl Victim {
    fn start(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let told = output
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .find_map(|line| {
                let (_, told) = line.split_once(MARK)?;
                let (server, room) = told.trim().split_once(' ')?;
                Some((server.parse().unwrap(), PathBuf::from(room)))
            });
        let (server, room) = told.unwrap();
        assert!(is_alive(server));
        assert!(room.exists());
        Self {
            child,
            _output: output,
            server,
            room,
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.leaves_nothing();
    }

    fn leaves_nothing(&self) {
        eventually("the server is gone", LIMIT, || !is_alive(self.server));
        eventually("its directory is gone", LIMIT, || !self.room.exists());
    }
}

/// The victim: prints what it started, and waits until its input ends.
fn wait_for_the_end(redis: &RedisServer) {
    let pid = redis.process().pid().unwrap();
    println!("{MARK} {pid} {}", redis.process().room().display());
    assert!(std::io::stdin().lines().next().is_none());
}

fn is_victim() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn a_server_ends_with_its_killed_test_process() {
    if is_victim() {
        return wait_for_the_end(&RedisServer::start());
    }
    Victim::start("watchdog::a_server_ends_with_its_killed_test_process").kill();
}

#[test]
fn a_stopped_server_ends_with_its_killed_test_process() {
    if is_victim() {
        let redis = RedisServer::start();
        redis.stop();
        return wait_for_the_end(&redis);
    }
    Victim::start("watchdog::a_stopped_server_ends_with_its_killed_test_process").kill();
}

#[test]
fn a_server_in_a_static_ends_with_its_test_process() {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    if is_victim() {
        return wait_for_the_end(SERVER.get_or_init(RedisServer::start));
    }
    let mut victim = Victim::start("watchdog::a_server_in_a_static_ends_with_its_test_process");
    // Its input ends, so it exits in the usual way, in which a static is never dropped.
    drop(victim.child.stdin.take());
    assert!(victim.child.wait().unwrap().success());
    victim.leaves_nothing();
}

#[test]
fn any_program_can_be_watched() {
    let program = find_on_path("sh", "dash");
    let script =
        "trap 'echo asked; exit' TERM; echo \"begins $1\"; while :; do read line; done <&-";
    let process = Process::start(&program, ["-c", script, "sh", "a  b'"], room("any"));
    eventually("it begins", LIMIT, || process.tail() == "begins a  b'");
    assert!(process.is_running());
    process.signal(Signal::Terminate);
    eventually("it ends in its own way", LIMIT, || !process.is_running());
    assert_eq!(process.tail(), "begins a  b'\nasked");
    process.end();
    assert_eq!(process.pid(), None);
    process.restart();
    assert!(process.is_running());
}

#[test]
fn a_missing_binary_is_a_panic_that_names_the_package() {
    let missing = std::panic::catch_unwind(|| find_on_path("no-such-server", "some-package"));
    let message = missing.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert_eq!(
        message,
        "no-such-server is not on PATH: apt-get install some-package"
    );
}
