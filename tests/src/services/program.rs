//! [`Program`]: a built program of an example, as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Database;
use crate::servers::{Process, Signal, eventually, room};

/// Generous: only a failing test waits this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that runs in an empty directory, with these variables: `LISTEN`, a free loopback port,
/// `DATABASE_URL`, and `CACHE_URL` if it is given. Dropping it kills it; so does the end of the test
/// process, for whatever reason.
#[derive(Debug)]
pub struct Program {
    process: Process,
}

impl Program {
    /// Starts the program at the path `binary`.
    ///
    /// # Panics
    ///
    /// When there is no shell to run it.
    pub fn start(binary: &str, database: &Database, cache: Option<&str>) -> Self {
        let room = room("service");
        let directory = room.path().to_owned();
        let none: [&str; 0] = [];
        let process = Process::start_with(Path::new(binary), none, room, |command| {
            command
                .current_dir(directory)
                .env("LISTEN", "127.0.0.1:0")
                .env("DATABASE_URL", database.url())
                .env_remove("CACHE_URL");
            if let Some(url) = cache {
                command.env("CACHE_URL", url);
            }
        });
        Self { process }
    }

    /// Waits for the line with its address.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn address(&self) -> SocketAddr {
        self.says("listening on http://");
        let output = self.output();
        let mut lines = output.lines();
        let address = lines.find_map(|line| line.strip_prefix("listening on http://"));
        address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in\n{output}"))
    }

    /// Waits until `text` is at the beginning of a whole line of its output.
    ///
    /// # Panics
    ///
    /// When it does not come, or the program has ended before.
    pub fn says(&self, text: &str) {
        let mut said = false;
        eventually(&format!("it says {text:?}"), LIMIT, || {
            let running = self.process.is_running();
            let output = self.output();
            let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
            said = whole.lines().any(|line| line.starts_with(text));
            said || !running
        });
        assert!(
            said,
            "it ended and did not say {text:?}:\n{}",
            self.output()
        );
    }

    /// All that it has printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn terminate(&self) {
        self.process.signal(Signal::Terminate);
    }

    /// Waits until it has ended, and asserts that it did so without an error.
    ///
    /// # Panics
    ///
    /// When it does not end, or with an error, or leaves files in its directory.
    pub fn ends_well(&self) {
        let code = self.process.exit_code(LIMIT);
        assert_eq!(code, 0, "{}", self.output());
        let files = std::fs::read_dir(self.process.room()).into_iter().flatten();
        let names: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
        assert_eq!(names, ["output.log"], "left by the program");
    }

    /// Waits until it has ended with an error, and returns its output.
    ///
    /// # Panics
    ///
    /// When it does not end, or with another exit code than 1.
    pub fn fails(&self) -> String {
        let code = self.process.exit_code(LIMIT);
        let output = self.output();
        assert_eq!(code, 1, "{output}");
        output
    }
}
