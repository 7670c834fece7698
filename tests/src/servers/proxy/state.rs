//! The shared state of a proxy's threads: the script, and what is in flight on every connection.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::protocol::Protocol;
use super::super::resp::{Command, Reply};
use super::Trick;

/// The state, and a signal for its changes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) protocol: Protocol,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// The server for new connections.
    pub(super) server: SocketAddr,
    pub(super) listening: bool,
    pub(super) delay: Duration,
    pub(super) hold: bool,
    pub(super) black_hole: bool,
    pub(super) rules: Vec<Rule>,
    pub(super) translation: Option<Translation>,
    pub(super) traps: Vec<TrapState>,
    pub(super) links: BTreeMap<usize, Link>,
    /// Connections that have ended for their clients. What those had sent is still on its way.
    late: BTreeMap<usize, Link>,
    pub(super) seen: BTreeMap<String, usize>,
    pub(super) accepted: usize,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// Errors that the proxy could not handle.
    pub(super) complaint: Option<String>,
}

pub(super) struct Rule {
    pub(super) matching: Box<dyn Fn(&Command) -> bool + Send>,
    pub(super) trick: Trick,
    pub(super) trap: usize,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("trick", &self.trick)
            .finish_non_exhaustive()
    }
}

/// What the server gets instead of a command; `None` if it gets the command.
pub(super) struct Translation(pub(super) Box<Translate>);

type Translate = dyn Fn(&Command) -> Option<Vec<u8>> + Send;

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translation").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct TrapState {
    pub(super) sprung: bool,
    pub(super) released: bool,
    /// The connection of the command that is held.
    pub(super) link: Option<usize>,
    /// Whether the server has answered the command that was held.
    pub(super) answered: bool,
}

/// One connection through the proxy.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: TcpStream,
    /// None in a black hole.
    pub(super) server: Option<TcpStream>,
    /// The commands that the server has not answered.
    expected: VecDeque<Expected>,
    /// What the server has sent and the client does not have yet.
    parcels: VecDeque<Parcel>,
    loses_commands: bool,
    loses_answers: bool,
    subscribed: bool,
}

#[derive(Debug, Default)]
struct Expected {
    /// Its answer is the first confirmation, which comes as a push.
    subscription: bool,
    trick: Option<(Trick, usize)>,
}

/// Something on its way to the client.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    /// Whether the connection ends after it.
    pub(super) last: bool,
    due: Instant,
    held_by: Option<usize>,
}

/// The fate of a command.
pub(super) enum Way {
    Server,
    Nowhere,
    /// The connection is gone.
    Gone,
}

impl Shared {
    pub(super) fn new(protocol: Protocol, server: SocketAddr) -> Self {
        Self {
            protocol,
            state: Mutex::new(State::new(server)),
            changed: Condvar::new(),
        }
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Notes a command, and returns its destination once nothing holds it any more.
    pub(super) fn command_arrived(&self, id: usize, command: &Command) -> Way {
        let answered = self.protocol.is_answered(command);
        let (way, held_by) = self.change(|state| state.command_arrived(id, command, answered));
        let Some(trap) = held_by else {
            return way;
        };
        let mut state = self.lock();
        while !state.traps[trap].released {
            if state.link(id).is_none() {
                return Way::Gone;
            }
            state = self.wait(state);
        }
        // A command without an answer has arrived when it is sent.
        state.traps[trap].answered |= !answered;
        // It may have fallen into a black hole meanwhile.
        match state.link(id) {
            Some(link) if link.loses_commands => Way::Nowhere,
            Some(_) => way,
            None => Way::Gone,
        }
    }

    /// The next parcel that may be delivered, as soon as there is one; `None` when the connection
    /// is gone.
    pub(super) fn next_parcel(&self, id: usize) -> Option<Parcel> {
        let mut state = self.lock();
        loop {
            let link = state.links.get(&id)?;
            let ready_in = link.parcels.front().and_then(|parcel| {
                let held = parcel
                    .held_by
                    .is_some_and(|trap| !state.traps[trap].released);
                let now = Instant::now();
                (!held && !state.hold).then(|| parcel.due.saturating_duration_since(now))
            });
            state = match ready_in {
                Some(Duration::ZERO) => return state.links.get_mut(&id)?.parcels.pop_front(),
                Some(wait) => {
                    let woken = self.changed.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.wait(state),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(server: SocketAddr) -> Self {
        Self {
            server,
            listening: false,
            delay: Duration::ZERO,
            hold: false,
            black_hole: false,
            rules: Vec::new(),
            translation: None,
            traps: Vec::new(),
            links: BTreeMap::new(),
            late: BTreeMap::new(),
            seen: BTreeMap::new(),
            accepted: 0,
            threads: Vec::new(),
            complaint: None,
        }
    }

    /// What the server gets instead of `command`.
    pub(super) fn translated(&self, command: &Command) -> Option<Vec<u8>> {
        self.translation
            .as_ref()
            .and_then(|Translation(translate)| translate(command))
    }

    pub(super) fn add_trap(&mut self) -> usize {
        self.traps.push(TrapState::default());
        self.traps.len() - 1
    }

    pub(super) fn release(&mut self, which: impl Fn(&TrapState) -> bool) {
        self.hold = false;
        for trap in &mut self.traps {
            trap.released |= which(trap);
        }
    }

    /// Notes whether a thread of the proxy ended as it should.
    pub(super) fn note_end(&mut self, ended: &thread::Result<()>) {
        if ended.is_err() {
            let complaint = "a thread of it panicked, and said why where it did";
            self.complaint.get_or_insert(complaint.into());
        }
    }

    pub(super) fn cut(&mut self) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.close(id);
        }
    }

    /// A connection that carries commands to the server.
    fn link(&mut self, id: usize) -> Option<&mut Link> {
        self.links.get_mut(&id).or_else(|| self.late.get_mut(&id))
    }

    /// Ends a connection for its client. What the client had sent is still on its way.
    pub(super) fn cut_client(&mut self, id: usize) {
        if let Some(link) = self.links.remove(&id) {
            let _ = link.client.shutdown(Shutdown::Both);
            self.late.insert(id, link);
        }
    }

    /// Drops what is late before it has arrived.
    pub(super) fn forget_late(&mut self) {
        for link in std::mem::take(&mut self.late).into_values() {
            if let Some(server) = link.server {
                let _ = server.shutdown(Shutdown::Both);
            }
        }
    }

    pub(super) fn black_hole(&mut self) {
        self.black_hole = true;
        for link in self.links.values_mut() {
            link.fall_silent();
        }
    }

    pub(super) fn open(&mut self, id: usize, client: TcpStream, server: Option<TcpStream>) {
        let silent = self.black_hole || server.is_none();
        let mut link = Link {
            client,
            server,
            expected: VecDeque::new(),
            parcels: VecDeque::new(),
            loses_commands: false,
            loses_answers: false,
            subscribed: false,
        };
        if silent {
            link.fall_silent();
        }
        self.links.insert(id, link);
    }

    /// Ends a connection on both sides; its threads find it gone.
    pub(super) fn close(&mut self, id: usize) {
        if let Some(link) = self.links.remove(&id) {
            // It is fine if an end is already closed.
            let _ = link.client.shutdown(Shutdown::Both);
            if let Some(server) = link.server {
                let _ = server.shutdown(Shutdown::Both);
            }
        }
    }

    /// Cuts a connection that carries something that the proxy can't follow.
    pub(super) fn complain(&mut self, id: usize, what: String) {
        self.complaint.get_or_insert(what);
        self.close(id);
    }

    /// The client will send nothing more. The server sees that, and ends the connection when it has
    /// answered. If the server cannot end it, the connection ends now.
    pub(super) fn client_ended(&mut self, id: usize) {
        match self.link(id) {
            Some(Link {
                server: Some(server),
                loses_commands: false,
                loses_answers: false,
                ..
            }) => {
                let _ = server.shutdown(Shutdown::Write);
            }
            _ => self.close(id),
        }
    }

    fn command_arrived(
        &mut self,
        id: usize,
        command: &Command,
        answered: bool,
    ) -> (Way, Option<usize>) {
        if let Some(link) = self.late.get_mut(&id) {
            // Its client has gone, and no rule applies to it.
            if answered {
                link.expected.push_back(Expected::default());
            }
            return (Way::Server, None);
        }
        let Some(link) = self.links.get_mut(&id) else {
            return (Way::Gone, None);
        };
        if command.name().is_empty() {
            return (link.way(), None);
        }
        *self.seen.entry(command.name().to_owned()).or_default() += 1;
        if link.loses_commands {
            return (Way::Nowhere, None);
        }
        let rule = self.rules.iter().position(|rule| (rule.matching)(command));
        let rule = rule.map(|rule| self.rules.remove(rule));
        let mut expected = Expected {
            subscription: command.name().ends_with("SUBSCRIBE"),
            trick: None,
        };
        link.subscribed |= expected.subscription;
        let mut held_by = None;
        if let Some(Rule { trick, trap, .. }) = rule {
            match trick {
                Trick::DropCommand => {
                    link.loses_commands = true;
                    self.traps[trap].sprung = true;
                    return (Way::Nowhere, None);
                }
                Trick::CutCommand => {
                    self.traps[trap].sprung = true;
                    self.close(id);
                    return (Way::Gone, None);
                }
                Trick::HoldCommand | Trick::LateCommand => {
                    self.traps[trap].sprung = true;
                    self.traps[trap].link = Some(id);
                    held_by = Some(trap);
                    expected.trick = Some((trick, trap));
                }
                trick => expected.trick = Some((trick, trap)),
            }
        }
        let is_late = matches!(expected.trick, Some((Trick::LateCommand, _)));
        if answered {
            link.expected.push_back(expected);
        }
        if is_late {
            self.cut_client(id);
        }
        (Way::Server, held_by)
    }

    /// Puts a frame from the server on its way to the client.
    pub(super) fn answer_arrived(&mut self, id: usize, reply: &Reply, bytes: Vec<u8>) {
        if let Some(link) = self.late.get_mut(&id) {
            let late = link.pair(reply).and_then(|expected| expected.trick);
            if let Some((_, trap)) = late {
                self.traps[trap].answered = true;
            }
            return;
        }
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let trick = link.pair(reply).and_then(|expected| expected.trick);
        if let Some((_, trap)) = trick {
            self.traps[trap].sprung = true;
            self.traps[trap].answered = true;
        }
        if link.loses_answers {
            return;
        }
        let mut parcel = Parcel {
            bytes,
            last: false,
            due: Instant::now() + self.delay,
            held_by: None,
        };
        match trick {
            Some((Trick::DropAnswer, _)) => {
                link.loses_answers = true;
                return;
            }
            Some((Trick::CutAnswer(after), _)) => {
                parcel.bytes.truncate(after);
                parcel.last = true;
            }
            Some((Trick::HoldAnswer, trap)) => parcel.held_by = Some(trap),
            Some((Trick::DelayAnswer(by), _)) => parcel.due += by,
            Some((Trick::ReplaceAnswer(bytes), _)) => parcel.bytes = bytes,
            // The tricks on commands were played when the command came.
            Some(_) | None => {}
        }
        link.parcels.push_back(parcel);
    }

    /// The server ended the connection; the client sees this after everything that is on its way.
    pub(super) fn server_ended(&mut self, id: usize) {
        self.late.remove(&id);
        if let Some(link) = self.links.get_mut(&id)
            && !link.loses_answers
        {
            link.parcels.push_back(Parcel {
                bytes: Vec::new(),
                last: true,
                due: Instant::now() + self.delay,
                held_by: None,
            });
        }
    }
}

impl Link {
    fn way(&self) -> Way {
        if self.loses_commands {
            Way::Nowhere
        } else {
            Way::Server
        }
    }

    fn fall_silent(&mut self) {
        self.loses_commands = true;
        self.loses_answers = true;
        self.parcels.clear();
    }

    /// The command that this frame answers, if any.
    fn pair(&mut self, reply: &Reply) -> Option<Expected> {
        let kind = match reply {
            Reply::Push(items) => Some(items),
            // Without RESP3 a message looks like an answer, except for its first word.
            Reply::Array(items) if self.subscribed => Some(items),
            _ => None,
        };
        let kind = kind.and_then(|items| items.first()).and_then(Reply::text);
        let kind = kind.unwrap_or_default();
        let confirms = kind.ends_with("subscribe");
        let is_push = matches!(reply, Reply::Push(_)) || confirms || kind.ends_with("message");
        let subscription_next = self.expected.front().is_some_and(|next| next.subscription);
        if !is_push || confirms && subscription_next {
            self.expected.pop_front()
        } else {
            None
        }
    }
}
