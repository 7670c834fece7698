//! The scripts of the fence protocol, for servers that have no command for it. Each sees one key, so
//! each works in a cluster. A key of another Redis type has no head, and `SET` replaces it.

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
        let refused = refused();
        let there = there();
        Self {
            claim: Script::new(&format!(
                "local there = redis.pcall('GETRANGE', KEYS[1], 0, {last})
                 local command = 'GETRANGE'
                 if type(there) == 'string' then
                   local prefix = string.sub(there, 1, {prefix})
                   if prefix == ARGV[3] or prefix == ARGV[4] then return there end
                 end
                 if type(there) == 'string' or string.find(there.err, 'WRONGTYPE', 1, true) then
                   command = 'SET'
                   there = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
                   if there.ok then return false end
                 end
                 {refused}"
            )),
            // An empty head is never passed: it would match an empty value. If the current head is
            // that of the new value, an earlier copy of the command stored it.
            swap: Script::new(&format!(
                "local key, token, value, lifetime = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
                 {there}
                 if there == token and token ~= '' then
                   command = 'SET'
                   if lifetime == '0' then
                     there = redis.pcall('SET', key, value)
                   else
                     there = redis.pcall('SET', key, value, 'PX', lifetime)
                   end
                   if there.ok then return 1 end
                 elseif type(there) == 'string' then
                   if string.sub(there, 1, {HEAD_BYTES}) == string.sub(value, 1, {HEAD_BYTES}) then
                     return 1
                   end
                   return 0
                 elseif not there or string.find(there.err, 'WRONGTYPE', 1, true) then
                   return 0
                 end
                 {refused}"
            )),
            remove: Script::new(&format!(
                "local key, token = KEYS[1], ARGV[1]
                 {there}
                 if there == token and token ~= '' then
                   command = 'DEL'
                   there = redis.pcall('DEL', key)
                   if type(there) == 'number' then return there end
                 elseif type(there) ~= 'table' or string.find(there.err, 'WRONGTYPE', 1, true) then
                   return 0
                 end
                 {refused}"
            )),
        }
    }
}

/// Gets what is to be compared with the token: the value, if the token is shorter than a head and so
/// a whole value, or else the head. `GET` is the cheaper command.
fn there() -> String {
    let last = HEAD_BYTES - 1;
    format!(
        "local command, there = 'GET', nil
         if #token < {HEAD_BYTES} then
           there = redis.pcall('GET', key)
         else
           command = 'GETRANGE'
           there = redis.pcall('GETRANGE', key, 0, {last})
         end"
    )
}

/// The end of every script: answers with the error in `there`, and the command that failed.
fn refused() -> String {
    format!(
        "local code = string.match(there.err, '^%-?(%u+) ') or 'ERR'
         if string.find(there.err, 'user executing the script', 1, true) then code = 'NOPERM' end
         return redis.error_reply('{NOT_DONE} ' .. command .. ' ' .. code)"
    )
}
