//! [`Dialect`]: which of the newer commands the server behind a connection knows.

use ::redis::RedisError;

use super::said::has_code;

/// A command that only newer servers know. A script does the same everywhere, for more of the
/// server's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// `SET … NX GET`: a claim. Redis 7.
    Claim,
    /// `SET … IFEQ … GET`: a store. Redis 8.4 and Valkey 8.1.
    Swap,
    /// `DELEX … IFEQ`: a release. Redis 8.4.
    Delex,
    /// `DELIFEQ`: a release. Valkey 9.
    Delifeq,
}

impl Plain {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Claim | Self::Swap => "SET",
            Self::Delex => "DELEX",
            Self::Delifeq => "DELIFEQ",
        }
    }

    /// Whether the script needs other rights than the command. Both set the key by `SET`, but the
    /// script removes it by `DEL`.
    pub(super) fn has_rights_of_its_own(self) -> bool {
        matches!(self, Self::Delex | Self::Delifeq)
    }
}

/// What the server behind one connection has shown to know. It belongs to the connection: another
/// server may be behind the next one, and a user's rights may differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dialect {
    claim: Known,
    swap: Known,
    delex: Known,
    delifeq: Known,
    /// Whether the last script ran. A placeholder that only a script can replace is not put under a
    /// key before one has run: a user without the right to run scripts could neither replace nor
    /// remove it.
    scripts: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Known {
    #[default]
    Untried,
    Yes,
    No,
}

impl Dialect {
    /// Whether a claim is sent as a command. Something must be able to replace its placeholder.
    pub(super) fn claims(&self) -> bool {
        self.claim != Known::No && (self.scripts || self.swap == Known::Yes)
    }

    /// Whether a store is sent as a command.
    pub(super) fn swaps(&self) -> bool {
        self.swap != Known::No
    }

    /// The command for a release, and whether the server is known to know it. It is newer than
    /// `SET … IFEQ`, so `None` where that is not known.
    pub(super) fn removal(&self) -> Option<(Plain, bool)> {
        let known = |known| known == Known::Yes;
        match (self.swap, self.delex, self.delifeq) {
            (Known::Yes, Known::No, Known::No) => None,
            (Known::Yes, Known::No, delifeq) => Some((Plain::Delifeq, known(delifeq))),
            (Known::Yes, delex, _) => Some((Plain::Delex, known(delex))),
            _ => None,
        }
    }

    /// The same, with what the answer to a command shows.
    pub(super) fn with(mut self, command: Plain, known: bool) -> Self {
        let place = match command {
            Plain::Claim => &mut self.claim,
            Plain::Swap => &mut self.swap,
            Plain::Delex => &mut self.delex,
            Plain::Delifeq => &mut self.delifeq,
        };
        *place = if known { Known::Yes } else { Known::No };
        self
    }

    /// The same, with whether a script has run or was refused.
    pub(super) fn with_scripts(self, scripts: bool) -> Self {
        Self { scripts, ..self }
    }
}

/// Whether the server does not know one of a command's options, in the words of Redis or of one of
/// its relatives. It has not done it then; after another error it may have, and nothing is sent
/// again.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    let words = ["syntax error", "unsupported", "not supported", "unknown"];
    words.iter().any(|words| says(error, words)) || misses_arguments(error)
}

/// Whether the server knows the command that it was sent without arguments. It looks for those
/// before it looks for rights.
///
/// A command that may be unknown is first sent like this: the error quotes the beginning of the
/// arguments, and the client takes an error that is not UTF-8 for the end of the connection.
pub(super) fn misses_arguments(error: &RedisError) -> bool {
    says(error, "wrong number of arguments")
}

fn says(error: &RedisError, words: &str) -> bool {
    let detail = error.detail().unwrap_or_default();
    has_code(error, "ERR") && detail.to_ascii_lowercase().contains(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_command_once_its_placeholder_can_be_replaced() {
        let fresh = Dialect::default();
        assert!(!fresh.claims());
        assert!(fresh.with_scripts(true).claims());
        assert!(!fresh.with_scripts(true).with_scripts(false).claims());
        assert!(fresh.with(Plain::Swap, true).claims());
        assert!(!fresh.with(Plain::Swap, false).claims());
        assert!(!fresh.with_scripts(true).with(Plain::Claim, false).claims());
    }

    #[test]
    fn a_removal_is_tried_where_a_store_was_a_command() {
        let fresh = Dialect::default();
        assert_eq!(fresh.removal(), None);
        assert_eq!(fresh.with(Plain::Swap, false).removal(), None);
        let newer = fresh.with(Plain::Swap, true);
        assert_eq!(newer.removal(), Some((Plain::Delex, false)));
        let redis = newer.with(Plain::Delex, true);
        assert_eq!(redis.removal(), Some((Plain::Delex, true)));
        let valkey = newer.with(Plain::Delex, false);
        assert_eq!(valkey.removal(), Some((Plain::Delifeq, false)));
        let newest = valkey.with(Plain::Delifeq, true);
        assert_eq!(newest.removal(), Some((Plain::Delifeq, true)));
        assert_eq!(valkey.with(Plain::Delifeq, false).removal(), None);
    }
}
