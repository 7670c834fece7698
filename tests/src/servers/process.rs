//! A server process that is never left behind: started, signalled and ended through a watchdog.
//!
//! The watchdog is a small shell script that waits for orders on a pipe from us. When the pipe
//! closes, because the process was dropped or because ours died for whatever reason, it kills the
//! server and removes its directory. Since only the watchdog reaps the server, a signal can't hit
//! another process with the id of a dead one.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::wait::{LIMIT, eventually, within};

// The traps keep the shell alive, and are no `trap ''` because an ignored signal would stay ignored
// in the server: PIPE comes when we die in the middle of an order, HUP when we die while the server
// is stopped (the system wakes an orphaned process group that has a stopped member with HUP and
// CONT).
const WATCHDOG: &str = r#"
trap : HUP INT PIPE TERM
room=$1
shift
server=
end() {
    if [ -n "$server" ]; then
        kill -KILL "$server"
        wait "$server"
    fi
    server=
}
while read -r order; do
    case $order in
        START) end; "$@" </dev/null >&2 & server=$!; echo "$server" ;;
        END) end; echo ended ;;
        CODE) wait "$server"; echo $?; server= ;;
        *) if kill -s "$order" "$server"; then echo sent; else echo failed; fi ;;
    esac
done
end
rm -rf "$room"
"#;

const LOG: &str = "output.log";
const TAIL_LINES: usize = 20;

/// The signals for a process. To end it, use [`Process::end`], which also waits for it.
///
/// Not `non_exhaustive`: every one is matched in this file only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stops it: its sockets stay open, but nothing answers.
    Stop,
    /// Lets it go on.
    Continue,
    /// Asks it to shut down.
    Terminate,
}

/// A program with its directory, its captured output and its watchdog. Dropping it kills the
/// program, stopped or not, and removes the directory.
#[derive(Debug)]
pub struct Process {
    name: String,
    watchdog: Mutex<Watchdog>,
    room: TempDir,
}

#[derive(Debug)]
struct Watchdog {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    server: Option<u32>,
}

impl Process {
    /// Starts `program` in `room`, where its output is kept.
    ///
    /// # Panics
    ///
    /// When there is no shell to run it.
    pub fn start(
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        room: TempDir,
    ) -> Self {
        Self::start_with(program, args, room, |_| {})
    }

    /// [`start`](Self::start), with the environment and the working directory that `set` gives to the
    /// command.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        room: TempDir,
        set: impl FnOnce(&mut Command),
    ) -> Self {
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        let log = room.path().join(LOG);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap_or_else(|error| panic!("no file {log:?} for the output of {name}: {error}"));
        let mut shell = Command::new("sh");
        set(&mut shell);
        let mut shell = shell
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(room.path())
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // A signal to our process group must not kill the process that cleans up after us.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("no shell to watch over {name}: {error}"));
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            panic!("the watchdog of {name} has no pipes");
        };
        let process = Self {
            name,
            watchdog: Mutex::new(Watchdog {
                shell,
                orders: Some(orders),
                answers: BufReader::new(answers),
                server: None,
            }),
            room,
        };
        process.restart();
        process
    }

    /// Kills the program if it runs, and starts it again with the same arguments in the same
    /// directory.
    ///
    /// # Panics
    ///
    /// When the watchdog is gone.
    pub fn restart(&self) {
        let mut watchdog = self.lock();
        let answer = self.order(&mut watchdog, "START");
        watchdog.server = Some(answer.parse().unwrap_or_else(|error| {
            panic!("the watchdog of {} says {answer:?}: {error}", self.name)
        }));
    }

    /// Kills the program and waits until it is gone, together with its ports.
    ///
    /// # Panics
    ///
    /// When the watchdog is gone.
    pub fn end(&self) {
        let mut watchdog = self.lock();
        self.order(&mut watchdog, "END");
        watchdog.server = None;
    }

    /// Sends a signal. After [`Signal::Stop`] it returns when the program stands still.
    ///
    /// # Panics
    ///
    /// When the program does not run, or does not stop.
    pub fn signal(&self, signal: Signal) {
        let mut watchdog = self.lock();
        let Some(pid) = watchdog.server else {
            panic!("{} was ended: nothing to send {signal:?} to", self.name);
        };
        let order = match signal {
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
            Signal::Terminate => "TERM",
        };
        let answer = self.order(&mut watchdog, order);
        assert_eq!(
            answer,
            "sent",
            "{signal:?} to {}: {}",
            self.name,
            self.tail()
        );
        if signal == Signal::Stop {
            eventually(&format!("{} stops", self.name), LIMIT, || {
                matches!(state(pid), None | Some('T' | 'Z'))
            });
        }
    }

    /// Waits until the program has ended by itself, and returns its exit code: 128 and the number of the
    /// signal, if one ended it.
    ///
    /// # Panics
    ///
    /// When it does not end within `limit`, or was ended before.
    pub fn exit_code(&self, limit: Duration) -> i32 {
        let ended = within(limit, || !self.is_running());
        assert!(
            ended,
            "{} does not end within {limit:?}; its output ends with\n{}",
            self.name,
            self.tail()
        );
        let mut watchdog = self.lock();
        let Some(_) = watchdog.server.take() else {
            panic!("{} was ended: it has no exit code", self.name);
        };
        let answer = self.order(&mut watchdog, "CODE");
        answer
            .parse()
            .unwrap_or_else(|error| panic!("the exit code of {}: {answer:?}: {error}", self.name))
    }

    /// Everything that it has printed so far.
    pub fn output(&self) -> String {
        let output = fs::read(self.room.path().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The number of the program's process, if it was not ended. It may have ended by itself.
    pub fn pid(&self) -> Option<u32> {
        self.lock().server
    }

    /// Whether it runs or is stopped.
    pub fn is_running(&self) -> bool {
        self.pid().is_some_and(is_alive)
    }

    /// Its directory.
    pub fn room(&self) -> &Path {
        self.room.path()
    }

    /// The last lines of what it printed.
    pub fn tail(&self) -> String {
        let path = self.room.path().join(LOG);
        match fs::read(&path) {
            Ok(output) => {
                let output = String::from_utf8_lossy(&output);
                let lines: Vec<&str> = output.lines().collect();
                lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
            }
            Err(error) => format!("(no output in {path:?}: {error})"),
        }
    }

    fn order(&self, watchdog: &mut Watchdog, order: &str) -> String {
        let mut answer = String::new();
        let told = match &mut watchdog.orders {
            Some(orders) => writeln!(orders, "{order}"),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        let heard = told.and_then(|()| watchdog.answers.read_line(&mut answer));
        match heard {
            Ok(length) if length > 0 => answer.trim_end().to_owned(),
            other => panic!(
                "the watchdog of {} did not do {order} ({other:?}); its output ends with\n{}",
                self.name,
                self.tail()
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watchdog> {
        self.watchdog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut watchdog = self.lock();
        watchdog.orders = None;
        // The directory must not be removed before the program that works in it. No panic here: the
        // test may be failing already, and its own message is more important.
        let ended = within(LIMIT, || !matches!(watchdog.shell.try_wait(), Ok(None)));
        if !ended {
            eprintln!("the watchdog of {} does not end", self.name);
        }
    }
}

/// A fresh directory for the program `name`.
///
/// # Panics
///
/// When it can't be made.
pub fn room(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("cache-kit-{name}-"))
        .tempdir()
        .unwrap_or_else(|error| panic!("no directory for {name}: {error}"))
}

/// Where `binary` is on PATH.
///
/// # Panics
///
/// When it isn't: a test that needs it fails, and says which `package` to install.
pub fn find_on_path(binary: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(binary))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{binary} is not on PATH: apt-get install {package}"))
}

/// Whether the process `pid` runs or is stopped. A process that has ended and waits to be reaped is
/// not alive. Needs `/proc`; without it every process counts as alive.
pub fn is_alive(pid: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return true;
    }
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The letter for the state of a process.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program comes before it in parentheses, and may contain parentheses itself.
    stat.rsplit_once(") ")?.1.chars().next()
}
