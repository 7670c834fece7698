//! The scripts of the fence protocol. Each sees one key, so each works in a cluster.

use ::redis::Script;

use crate::backend::bytes::{HEAD_BYTES, HEAD_PREFIXES};

pub(super) struct Scripts {
    /// Sets a placeholder unless a head stands there; answers with that head, or with nothing.
    ///
    /// `KEYS` key; `ARGV` placeholder, its lifetime in milliseconds, the two prefixes of a head.
    pub(super) claim: Script,
    /// Sets a value if the head is the one given; answers 1 or 0.
    ///
    /// `KEYS` key; `ARGV` head, value, its lifetime in milliseconds or 0.
    pub(super) swap: Script,
    /// Deletes the key if the head is the one given; answers 1 or 0.
    ///
    /// `KEYS` key; `ARGV` head.
    pub(super) remove: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let last = HEAD_BYTES - 1;
        let prefix = HEAD_PREFIXES[0].len();
        // `pcall`: a key of another type has no head, and `SET` replaces it.
        Self {
            claim: Script::new(&format!(
                "local head = redis.pcall('GETRANGE', KEYS[1], 0, {last})
                 if type(head) == 'string' then
                   local prefix = string.sub(head, 1, {prefix})
                   if prefix == ARGV[3] or prefix == ARGV[4] then return head end
                 end
                 redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
                 return false"
            )),
            // An empty head is never given: it would match a missing key.
            swap: Script::new(&format!(
                "local head = redis.pcall('GETRANGE', KEYS[1], 0, {last})
                 if ARGV[1] == '' or head ~= ARGV[1] then return 0 end
                 if ARGV[3] == '0' then
                   redis.call('SET', KEYS[1], ARGV[2])
                 else
                   redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
                 end
                 return 1"
            )),
            remove: Script::new(&format!(
                "local head = redis.pcall('GETRANGE', KEYS[1], 0, {last})
                 if ARGV[1] == '' or head ~= ARGV[1] then return 0 end
                 return redis.call('DEL', KEYS[1])"
            )),
        }
    }
}
