//! The threads of a proxy: one accepts, and every connection has three. One reads commands, one
//! reads answers, and one delivers them, so that answers that arrive together are delayed together.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::super::resp::Malformed;
use super::super::wait::LIMIT;
use super::state::{Shared, Way};

/// Accepts connections until the proxy refuses them.
pub(super) fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        if !shared.look(|state| state.listening) {
            return;
        }
        match accepted {
            // A connection without a server is closed; the client sees nothing else.
            Ok((client, _)) => drop(open(shared, client)),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                let complaint = format!("it can accept nothing any more: {error}");
                shared.change(|state| state.complaint.get_or_insert(complaint).len());
                return;
            }
        }
    }
}

fn open(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let (id, black_hole, server) = shared.change(|state| {
        state.accepted += 1;
        (state.accepted, state.black_hole, state.server)
    });
    client.set_nodelay(true)?;
    let server = if black_hole {
        None
    } else {
        let server = TcpStream::connect_timeout(&server, LIMIT)?;
        server.set_nodelay(true)?;
        Some(server)
    };
    // Clone first: once it is in the table, only its threads may fail, and they close it.
    let commands = (client.try_clone()?, copy(server.as_ref())?);
    let answers = (client.try_clone()?, copy(server.as_ref())?);
    shared.change(|state| state.open(id, client, server));

    let (from, to) = commands;
    spawn(shared, "commands", move |shared| {
        carry_commands(shared, id, from, to);
    });
    if let (client, Some(server)) = answers {
        spawn(shared, "answers", move |shared| {
            carry_answers(shared, id, server)
        });
        spawn(shared, "deliver", move |shared| deliver(shared, id, client));
    }
    Ok(())
}

fn copy(stream: Option<&TcpStream>) -> io::Result<Option<TcpStream>> {
    stream.map(TcpStream::try_clone).transpose()
}

fn spawn(shared: &Arc<Shared>, name: &str, run: impl FnOnce(&Shared) + Send + 'static) {
    let ours = Arc::clone(shared);
    let thread = thread::Builder::new()
        .name(format!("proxy-{name}"))
        .spawn(move || run(&ours))
        .unwrap_or_else(|error| panic!("no thread for a connection of the proxy: {error}"));
    shared.change(|state| state.threads.push(thread));
}

fn carry_commands(
    shared: &Shared,
    id: usize,
    mut client: TcpStream,
    mut server: Option<TcpStream>,
) {
    let parse = |bytes: &[u8]| shared.protocol.command(bytes);
    let end = each_frame(&mut client, parse, |command, bytes| {
        match (shared.command_arrived(id, &command), &mut server) {
            // If it can't be sent the server is gone, which the other direction reports.
            (Way::Server, Some(server)) => {
                let instead = shared.look(|state| state.translated(&command));
                drop(server.write_all(instead.as_deref().unwrap_or(bytes)));
            }
            (Way::Server | Way::Nowhere, _) => {}
            (Way::Gone, _) => return false,
        }
        true
    });
    shared.change(|state| match end {
        Ok(()) => state.client_ended(id),
        Err(error) => state.complain(id, format!("a client sent a {error}")),
    });
}

fn carry_answers(shared: &Shared, id: usize, mut server: TcpStream) {
    let parse = |bytes: &[u8]| shared.protocol.answer(bytes);
    let end = each_frame(&mut server, parse, |reply, bytes| {
        shared.change(|state| state.answer_arrived(id, &reply, bytes.to_vec()));
        true
    });
    shared.change(|state| match end {
        Ok(()) => state.server_ended(id),
        Err(error) => state.complain(id, format!("the server sent a {error}")),
    });
}

fn deliver(shared: &Shared, id: usize, mut client: TcpStream) {
    while let Some(parcel) = shared.next_parcel(id) {
        let delivered = client.write_all(&parcel.bytes);
        if parcel.last || delivered.is_err() {
            shared.change(|state| state.close(id));
        }
    }
}

/// Reads frame after frame, however the stream is cut, until it ends or `take` returns `false`.
fn each_frame<F>(
    stream: &mut TcpStream,
    parse: impl Fn(&[u8]) -> Result<Option<(F, usize)>, Malformed>,
    mut take: impl FnMut(F, &[u8]) -> bool,
) -> Result<(), Malformed> {
    let mut unread = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => unread.extend(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A reset is an end like any other.
            Err(_) => return Ok(()),
        }
        let mut at = 0;
        while let Some((frame, length)) = parse(&unread[at..])? {
            if !take(frame, &unread[at..at + length]) {
                return Ok(());
            }
            at += length;
        }
        unread.drain(..at);
    }
}
