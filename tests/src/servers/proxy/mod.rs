//! A proxy between a client and a server, which a test scripts while it runs.
//!
//! TCP loses no bytes in the middle of a connection, so neither does the proxy: together with
//! dropped bytes, everything behind them is lost. A connection that lost a command or an answer
//! stays silent in that direction until one side closes it, as if the network had swallowed the
//! rest.
//!
//! A middlebox has a connection to each side, and may lose the one to the client while the client's
//! bytes are still on their way to the server. [`Trick::LateCommand`] simulates that: the client's
//! connection is closed, and the server gets the command when the test says so.
//!
//! The proxy runs on threads of its own, so a test on a single-threaded runtime may use it. It
//! speaks the protocols of Redis and of Memcached: TLS does not pass.

mod link;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::port;
use super::protocol::Protocol;
use super::resp::Command;
use super::wait::{LIMIT, eventually, eventually_async};
use state::{Rule, Shared, Translation};

/// What happens to one command or its answer.
///
/// Not `non_exhaustive`: only the proxy matches on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trick {
    /// The command never reaches the server, nor does anything behind it on its connection. What
    /// was sent before is still answered.
    DropCommand,
    /// The server gets the command. Its answer never comes, nor does anything behind it on its
    /// connection; later commands still reach the server.
    DropAnswer,
    /// The connection ends when the command arrives; the server does not get it. Answers to what
    /// was sent before may be lost, too.
    CutCommand,
    /// The connection ends after this many bytes of the answer: 0 is none of it.
    CutAnswer(usize),
    /// The command and everything behind it wait in the proxy until it is released.
    HoldCommand,
    /// The connection ends for the client when the command arrives. The command, and everything
    /// that the client had sent behind it, waits in the proxy until it is released. Then the server
    /// gets it, on the original connection. Its answer is dropped.
    LateCommand,
    /// The server gets the command; the answer and everything behind it wait in the proxy until it
    /// is released.
    HoldAnswer,
    /// The answer, and with it everything behind it, comes this much later.
    DelayAnswer(Duration),
    /// The server gets the command; the client gets these bytes as the answer.
    ReplaceAnswer(Vec<u8>),
}

/// A TCP proxy on a free loopback port. Dropping it ends all connections through it.
///
/// # Panics
///
/// When it is dropped after it read something that is not its protocol, or after a predicate
/// panicked: the test can't have tested what it was meant to.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy that passes everything on to `server`, which need not be up yet. While it is down,
    /// connections through the proxy are accepted and closed at once.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn in_front_of(server: SocketAddr) -> Self {
        Self::speaking(Protocol::Resp, server)
    }

    /// [`in_front_of`](Self::in_front_of) a memcached server. The name of a command is its first
    /// word, in capitals; its arguments are the words after it, and its value if it has one.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn in_front_of_memcached(server: SocketAddr) -> Self {
        Self::speaking(Protocol::Memcached, server)
    }

    fn speaking(protocol: Protocol, server: SocketAddr) -> Self {
        let (listener, port) = port::listen();
        let shared = Arc::new(Shared::new(protocol, server));
        let proxy = Self {
            shared,
            port,
            acceptor: Mutex::default(),
        };
        proxy.listen(listener);
        proxy
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that clients connect to.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Plays a trick once, on the next command that `matching` accepts. Of several rules that
    /// match, the oldest is played.
    ///
    /// `matching` is called for every command from then on, on a thread of the proxy, and must not
    /// call the proxy. A command that opens a subscription is answered by pushes: its first
    /// confirmation counts as its answer.
    pub fn on_next(
        &self,
        matching: impl Fn(&Command) -> bool + Send + 'static,
        trick: Trick,
    ) -> Trap {
        let id = self.shared.change(|state| {
            let id = state.add_trap();
            state.rules.push(Rule {
                matching: Box::new(matching),
                trick,
                trap: id,
            });
            id
        });
        Trap {
            shared: Arc::clone(&self.shared),
            id,
        }
    }

    /// Sends the server other bytes for some commands, from now on: exactly one command for each, as
    /// it has one answer. `None` is the command itself. For a server that understands other commands
    /// than the one behind the proxy.
    pub fn translate(&self, translate: impl Fn(&Command) -> Option<Vec<u8>> + Send + 'static) {
        let translation = Translation(Box::new(translate));
        self.shared
            .change(|state| state.translation = Some(translation));
    }

    /// Delays every answer and push by this much, from now on. Answers that arrive together are
    /// delayed together.
    pub fn delay(&self, by: Duration) {
        self.shared.change(|state| state.delay = by);
    }

    /// Holds all answers, and pushes and ends of connections, until [`release`](Self::release).
    /// Commands pass.
    pub fn hold(&self) {
        self.shared.change(|state| state.hold = true);
    }

    /// Releases everything that is held now, by [`hold`](Self::hold) and by tricks that were
    /// played.
    pub fn release(&self) {
        self.shared
            .change(|state| state.release(|trap| trap.sprung));
    }

    /// Ends all connections that are open now. Commands that a [`Trick::LateCommand`] keeps will
    /// still arrive.
    pub fn cut(&self) {
        self.shared.change(state::State::cut);
    }

    /// Swallows everything, on open and on new connections, which are still accepted: to a client
    /// the server is silent. Connections that are open, or opened meanwhile, stay silent for good.
    pub fn black_hole(&self) {
        self.shared.change(state::State::black_hole);
    }

    /// Refuses new connections; open ones go on. When it returns, the port is closed.
    pub fn refuse(&self) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = acceptor.take() else {
            return;
        };
        self.shared.change(|state| state.listening = false);
        // Wakes the thread; if that fails, it is awake for another reason.
        drop(TcpStream::connect(self.addr()));
        let ended = thread.join();
        self.shared.change(|state| state.note_end(&ended));
    }

    /// Directs new connections to another server from now on; open ones stay where they are, as
    /// with an address that moves.
    pub fn redirect(&self, server: SocketAddr) {
        self.shared.change(|state| state.server = server);
    }

    /// Ends every trick: everything passes as at first, and new connections are accepted.
    /// Everything held is released; a connection that lost bytes stays silent.
    ///
    /// # Panics
    ///
    /// When another process took the port while it refused connections.
    pub fn pass(&self) {
        self.shared.change(|state| {
            state.release(|_| true);
            state.rules.clear();
            state.delay = Duration::ZERO;
            state.black_hole = false;
        });
        let refuses = {
            let acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
            acceptor.is_none()
        };
        if refuses {
            let listener = TcpListener::bind(self.addr())
                .unwrap_or_else(|error| panic!("the proxy lost port {}: {error}", self.port));
            self.listen(listener);
        }
    }

    /// How many commands of this name clients have sent, dropped ones included.
    pub fn seen(&self, name: &str) -> usize {
        let name = name.to_ascii_uppercase();
        self.shared
            .look(|state| state.seen.get(&name).copied())
            .unwrap_or(0)
    }

    /// How many commands clients have sent by name, in capitals, dropped ones included.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.shared.look(|state| state.seen.clone())
    }

    /// Counts commands from zero again.
    pub fn reset_counts(&self) {
        self.shared.change(|state| state.seen.clear());
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.look(|state| state.links.len())
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> usize {
        self.shared.look(|state| state.accepted)
    }

    fn listen(&self, listener: TcpListener) {
        self.shared.change(|state| state.listening = true);
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("proxy-accept".into())
            .spawn(move || link::accept(&shared, &listener))
            .unwrap_or_else(|error| panic!("no thread for the proxy: {error}"));
        *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        let threads = self.shared.change(|state| {
            state.cut();
            state.forget_late();
            std::mem::take(&mut state.threads)
        });
        for thread in threads {
            // Not under the lock, which the thread needs in order to end.
            let ended = thread.join();
            self.shared.change(|state| state.note_end(&ended));
        }
        if let Some(wrong) = self.shared.look(|state| state.complaint.clone())
            && !thread::panicking()
        {
            panic!("the proxy on port {} failed: {wrong}", self.port);
        }
    }
}

/// A trick that waits for its command. It stays set when this is dropped.
#[derive(Clone)]
pub struct Trap {
    shared: Arc<Shared>,
    id: usize,
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trap")
            .field("sprung", &self.has_sprung())
            .finish()
    }
}

impl Trap {
    /// Whether the trick was played. One that concerns an answer is played when the server has
    /// answered: the command has had its effect by then.
    pub fn has_sprung(&self) -> bool {
        self.shared.look(|state| state.traps[self.id].sprung)
    }

    /// Waits until the trick was played. Blocks the thread.
    ///
    /// # Panics
    ///
    /// When it is not played within ten seconds.
    #[track_caller]
    pub fn wait(&self) {
        eventually("the trap springs", LIMIT, || self.has_sprung());
    }

    /// [`wait`](Self::wait) for a test on a tokio runtime, whose tasks go on meanwhile.
    ///
    /// # Panics
    ///
    /// When it is not played within ten seconds.
    pub async fn sprung(&self) {
        eventually_async("the trap springs", LIMIT, || self.has_sprung()).await;
    }

    /// Ends the connection of the client whose command is held by [`Trick::HoldCommand`]. What it
    /// had sent stays in the proxy, as with [`Trick::LateCommand`].
    ///
    /// # Panics
    ///
    /// When the trick was not played.
    pub fn cut_client(&self) {
        self.shared.change(|state| match state.traps[self.id].link {
            Some(link) => state.cut_client(link),
            None => panic!("no command is held"),
        });
    }

    /// Whether the server has answered the held or late command, which has had its effect then. A
    /// command without an answer counts as soon as it is sent.
    pub fn has_been_delivered(&self) -> bool {
        self.shared.look(|state| state.traps[self.id].answered)
    }

    /// Releases what the trick holds, and waits until the server has answered it.
    ///
    /// # Panics
    ///
    /// When the server does not answer within ten seconds.
    pub async fn deliver(&self) {
        self.release();
        eventually_async("what was held is delivered", LIMIT, || {
            self.has_been_delivered()
        })
        .await;
    }

    /// Releases what the trick holds, or would hold later.
    pub fn release(&self) {
        self.shared
            .change(|state| state.traps[self.id].released = true);
    }
}
