//! The scripts of the fence protocol. Each sees one key, so each works in a cluster.

use ::redis::Script;

use super::said::NOT_DONE;
use crate::backend::remote::byte_store::{HEAD_BYTES, HEAD_PREFIXES};

pub(super) struct Scripts {
    /// Sets a placeholder unless the key has a value with a head; answers with that head, or with
    /// nothing.
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
        let script = |body: &str| Script::new(&format!("{}{body}", prelude(last)));
        Self {
            claim: script(&format!(
                "if head then
                   local prefix = string.sub(head, 1, {prefix})
                   if prefix == ARGV[3] or prefix == ARGV[4] then return head end
                 end
                 local done = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
                 if done.err then return refused('SET', done) end
                 return false"
            )),
            // An empty head is never passed: it would match a missing key. If the current head is
            // that of the new value, an earlier copy of the command stored it.
            swap: script(&format!(
                "if head == string.sub(ARGV[2], 1, {HEAD_BYTES}) then return 1 end
                 if ARGV[1] == '' or head ~= ARGV[1] then return 0 end
                 local done
                 if ARGV[3] == '0' then
                   done = redis.pcall('SET', KEYS[1], ARGV[2])
                 else
                   done = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
                 end
                 if done.err then return refused('SET', done) end
                 return 1"
            )),
            remove: script(
                "if ARGV[1] == '' or head ~= ARGV[1] then return 0 end
                 local done = redis.pcall('DEL', KEYS[1])
                 if type(done) == 'table' then return refused('DEL', done) end
                 return done",
            ),
        }
    }
}

/// The beginning of every script: it gets the head. A key of another Redis type has none, and `SET`
/// replaces it. Every other error is returned, with its command.
fn prelude(last: usize) -> String {
    format!(
        "local function refused(command, answer)
           local code = string.match(answer.err, '^%-?(%u+) ') or 'ERR'
           if string.find(answer.err, 'user executing the script', 1, true) then code = 'NOPERM' end
           return redis.error_reply('{NOT_DONE} ' .. command .. ' ' .. code)
         end
         local head = redis.pcall('GETRANGE', KEYS[1], 0, {last})
         if type(head) == 'table' then
           if not string.find(head.err, 'WRONGTYPE', 1, true) then
             return refused('GETRANGE', head)
           end
           head = false
         end
         "
    )
}
