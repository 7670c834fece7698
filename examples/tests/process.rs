//! The built binary from a user's view: signals, exit codes, and leftovers.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cache_kit_tests::servers::eventually;
use rustix::process::{Pid, Signal, kill_process};

fn airports(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airports"));
    command
        .env("TMPDIR", temporary)
        .env_remove("DATABASE_URL")
        .env_remove("CACHE_URL");
    command
}

fn start(temporary: &Path) -> (Child, String) {
    let mut child = airports(temporary)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    child.stdout = Some(stdout.into_inner());
    let address = line
        .trim()
        .strip_prefix("listening on http://")
        .unwrap()
        .to_owned();
    (child, address)
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[test]
fn a_signal_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let temporary = tempfile::tempdir().unwrap();
        let (mut child, address) = start(temporary.path());
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);

        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /airports/EDDF HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-cache: loaded\r\n"), "{answer}");

        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal:?}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{signal:?}");
    }
}

#[test]
fn a_signal_ends_the_tour_and_nothing_of_it_is_left() {
    for signal in [Signal::TERM, Signal::INT] {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = airports(temporary.path())
            .arg("--tour")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        eventually("it has begun", Duration::from_secs(30), || {
            fs::read_dir(&temporary).unwrap().count() > 0
        });
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{signal:?}");
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert!(said.contains("told to stop"), "{said}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{signal:?}");
    }
}

#[test]
fn help_is_no_error_and_a_wrong_argument_is_one() {
    let temporary = tempfile::tempdir().unwrap();
    let help = run(airports(temporary.path()).arg("--help"));
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(
        text.contains("--tour") && text.contains("GET /airports/{icao}"),
        "{text}"
    );

    let wrong = run(airports(temporary.path()).arg("--tuor"));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("--tuor"));
}

#[test]
fn what_it_cannot_start_with_is_said_without_a_password() {
    let temporary = tempfile::tempdir().unwrap();
    let url = "postgres://user:hunter2@localhost/airports";
    let cache = "redis://:hunter2@localhost:port";
    for (variable, url, named) in [
        ("DATABASE_URL", url, "DATABASE_URL"),
        ("CACHE_URL", cache, "the cache's URL: bad setting"),
    ] {
        let refused = run(airports(temporary.path())
            .args(["--listen", "127.0.0.1:0"])
            .env(variable, url));
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(text.contains(named) && !text.contains("hunter2"), "{text}");
    }
}
