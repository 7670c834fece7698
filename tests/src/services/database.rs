//! [`Database`]: the SQLite file of one test.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, fcntl_lock};
use tempfile::TempDir;

use crate::servers::room;

const FILE: &str = "rows.sqlite";

/// A SQLite file that services share, in a directory of its own, which is removed when this is dropped.
#[derive(Debug)]
pub struct Database {
    room: TempDir,
}

/// Holds a lock on a [`Database`] until it is dropped.
#[derive(Debug)]
pub struct Locked {
    _file: File,
}

impl Database {
    /// A file that does not exist yet.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self {
            room: room("database"),
        }
    }

    /// As the services take it.
    pub fn url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.path().display())
    }

    /// Lets no other process read or write the file: statements wait, for 5 s at most, as behind a
    /// writer that takes its time. The test itself must not have the file open, since closing it once
    /// ends the lock.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    pub fn lock(&self) -> Locked {
        let path = self.path();
        let open = File::options().read(true).write(true).open(&path);
        let file = open.unwrap_or_else(|error| panic!("no database at {path:?}: {error}"));
        fcntl_lock(&file, FlockOperation::LockExclusive)
            .unwrap_or_else(|error| panic!("no lock on {path:?}: {error}"));
        Locked { _file: file }
    }

    /// Asserts that nothing but the database itself is left.
    ///
    /// # Panics
    ///
    /// When there is more.
    pub fn is_alone(&self) {
        let files = fs::read_dir(self.room.path()).into_iter().flatten();
        let names: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
        assert_eq!(names, [FILE], "left beside the database");
    }

    fn path(&self) -> PathBuf {
        self.room.path().join(FILE)
    }
}
