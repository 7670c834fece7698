//! An HTTP service over the airports of the world, with cache-kit in front of its database.
//!
//! Without arguments it serves; with `--tour` it shows what the cache does and checks it.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::{Command, HELP};
use crate::cache::Cache;
use crate::failure::Failure;
use crate::server::Server;

mod answer;
mod args;
mod cache;
mod database;
mod entity;
mod error;
mod failure;
mod faults;
mod http;
mod report;
mod repository;
mod server;
#[cfg(test)]
mod tests;
mod tour;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let command = match Command::parse(arguments, variable) {
        Ok(command) => command,
        Err(problem) => {
            eprintln!("airports: {problem} (see --help)");
            return ExitCode::from(2);
        }
    };
    match run(command).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("airports: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    // Registered first, so that no signal reaches the default handler.
    let mut stop = Box::pin(stop_signal().map_err(Failure::when("listen for signals"))?);
    match command {
        Command::Help => say(HELP),
        Command::Serve {
            listen,
            database,
            cache,
        } => {
            let cache = Cache::open(&cache)?;
            let server = Server::start(listen, &database, cache, true).await?;
            say(format_args!("listening on http://{}\n", server.address()));
            stop.await;
            say("stopping\n");
            server.stop().await?;
        }
        Command::Tour { seed } => {
            let report = tour::run(&tour::Plan::full(seed), &mut stop).await?;
            say(&report);
            if !report.all_kept() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output. It does not panic if the reader has gone (`--tour | head`).
fn say(text: impl Display) {
    let mut stdout = io::stdout();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Ends with the first Ctrl-C or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
