//! A peer that speaks memcached by a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the peer does about a command.
pub enum Act {
    /// Answers.
    Answer(Vec<u8>),
    /// Answers, and ends the connection.
    AnswerAndEnd(Vec<u8>),
    /// Does not answer.
    Silence,
}

/// A listener that greets every connection as memcached would, then reads command after command and
/// does what its script says.
pub struct Peer {
    addr: SocketAddr,
    shared: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    closed: AtomicUsize,
}

impl Peer {
    /// `script` is given the number of the command since the peer began, and its line.
    pub async fn start(script: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Counts::default());
        let (script, counts) = (Arc::new(script), Arc::clone(&shared));
        let number = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.accepted.fetch_add(1, Ordering::AcqRel);
                let (script, counts) = (Arc::clone(&script), Arc::clone(&counts));
                let number = Arc::clone(&number);
                tokio::spawn(async move {
                    let _ = serve(stream, &*script, &number).await;
                    counts.closed.fetch_add(1, Ordering::AcqRel);
                });
            }
        });
        Self {
            addr,
            shared,
            accepting,
        }
    }

    pub fn url(&self) -> String {
        format!("memcached://{}", self.addr)
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// How many of them have ended.
    pub fn closed(&self) -> usize {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    stream: TcpStream,
    script: &(dyn Fn(usize, &str) -> Act + Send + Sync),
    number: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if line.starts_with("ms ") {
            let length: usize = line.split(' ').nth(2).unwrap().parse().unwrap();
            let mut value = vec![0; length + 2];
            stream.read_exact(&mut value).await?;
        }
        if line.starts_with("mg cache-kit:hello ") {
            let hello = format!("EN {}\r\n", mark(line));
            stream.get_mut().write_all(hello.as_bytes()).await?;
            continue;
        }
        match script(number.fetch_add(1, Ordering::AcqRel), line) {
            Act::Answer(bytes) => stream.get_mut().write_all(&bytes).await?,
            Act::AnswerAndEnd(bytes) => {
                stream.get_mut().write_all(&bytes).await?;
                return Ok(());
            }
            Act::Silence => {}
        }
    }
}

/// The mark of a command, as an answer returns it.
pub fn mark(line: &str) -> &str {
    line.split(' ')
        .find(|word| word.starts_with('O'))
        .unwrap_or("O?")
}

/// The answer to a look-up of a server that has `value` under every key.
pub fn honest(line: &str) -> Vec<u8> {
    let key = line.split(' ').nth(1).unwrap_or_default();
    let value = format!("value of {key}");
    format!("VA {} {}\r\n{value}\r\n", value.len(), mark(line)).into_bytes()
}
