//! A walk over the keys, by `SCAN`: each command looks at a bounded number of them, so that the server
//! answers others in between.
//!
//! A cursor of `SCAN` belongs to the server's own table: on another one it would leave keys out. So it
//! is used on the connection that it came from, and the walk over a server begins anew on the next one.
//!
//! In a cluster every node is walked over twice, but for the last: a key that moves meanwhile, from a
//! node that is still to come to one that has been, is met in the second walk. If the cluster has given
//! slots to other nodes by then, all of it begins anew.

use std::sync::Arc;

#[cfg(feature = "redis-cluster")]
use super::cluster::Survey;
use super::connection::Link;
use super::servers::Servers;
use super::session::Session;
use crate::backend::remote::scan::{ScanCursor, Scanned};
use crate::error::{Error, Result};

/// How many keys one command looks at: some tenths of a millisecond of the server's time.
const COUNT: usize = 1_000;

/// How often the walk over one server begins anew because its connection was replaced.
const MOST_RESTARTS: u32 = 8;

/// How often a walk over a cluster begins anew because slots were given to other nodes.
#[cfg(feature = "redis-cluster")]
const MOST_ROUNDS: u32 = 8;

/// Where a walk is.
#[derive(Clone)]
struct Position {
    walk: Arc<Walk>,
    /// The index of the next stop; that behind the last one at the end.
    stop: usize,
    cursor: u64,
    /// The number of the connection that the cursor came from.
    connection: Option<u64>,
    restarts: u32,
}

/// The servers to walk over, in this order.
struct Walk {
    stops: Vec<Stop>,
    #[cfg(feature = "redis-cluster")]
    survey: Option<Survey>,
    #[cfg(feature = "redis-cluster")]
    round: u32,
}

/// One server. Some come twice.
struct Stop {
    number: usize,
    link: Arc<Link>,
}

/// One step of a walk over the keys that begin with `beginning`.
pub(super) async fn scan(
    servers: &Servers,
    beginning: &str,
    cursor: Option<&ScanCursor>,
) -> Result<Scanned> {
    let Some(position) = cursor.and_then(ScanCursor::position::<Position>) else {
        let begun = begin(servers, 1).await?;
        // A cluster was asked for its nodes. One server has not been asked for anything yet.
        let first = begun
            .next
            .as_ref()
            .and_then(ScanCursor::position::<Position>);
        return match (
            servers,
            first.and_then(|first| Some((first, first.walk.stops.first()?))),
        ) {
            (Servers::One(..), Some((first, stop))) => {
                step(servers, beginning, stop, first.clone()).await
            }
            _ => Ok(begun),
        };
    };
    match position.walk.stops.get(position.stop) {
        Some(stop) => step(servers, beginning, stop, position.clone()).await,
        None => end(servers, &position.walk).await,
    }
}

/// Finds out which servers there are.
async fn begin(servers: &Servers, round: u32) -> Result<Scanned> {
    #[cfg(not(feature = "redis-cluster"))]
    let _ = round;
    let walk = match servers {
        Servers::One(link, _) => Walk {
            stops: vec![Stop {
                number: 0,
                link: Arc::clone(link),
            }],
            #[cfg(feature = "redis-cluster")]
            survey: None,
            #[cfg(feature = "redis-cluster")]
            round,
        },
        #[cfg(feature = "redis-cluster")]
        Servers::Cluster(cluster) => {
            let survey = cluster.survey().await?;
            let (first, again) = (survey.nodes(), survey.nodes());
            let but_the_last = first.len().saturating_sub(1);
            let nodes = first
                .into_iter()
                .chain(again.into_iter().take(but_the_last));
            Walk {
                stops: nodes.map(|(number, link)| Stop { number, link }).collect(),
                survey: Some(survey),
                round,
            }
        }
    };
    let position = Position {
        walk: Arc::new(walk),
        stop: 0,
        cursor: 0,
        connection: None,
        restarts: 0,
    };
    Ok(Scanned {
        keys: Vec::new(),
        next: position.next(),
    })
}

/// Sends one command to the server of `stop`.
async fn step(
    servers: &Servers,
    beginning: &str,
    stop: &Stop,
    mut position: Position,
) -> Result<Scanned> {
    let usable = stop
        .link
        .connection()
        .await
        .inspect_err(|_| servers.doubt())?;
    let mut session = Session::new(servers, Arc::clone(&stop.link), usable);
    let connection = session.connection();
    if position.connection.is_some_and(|known| known != connection) {
        if position.restarts == MOST_RESTARTS {
            return Err(Error::BackendError(format!(
                "redis: the connection was replaced {MOST_RESTARTS} times during SCAN"
            )));
        }
        position.restarts += 1;
        position.cursor = 0;
    }
    position.connection = Some(connection);
    let mut command = ::redis::cmd("SCAN");
    command
        .arg(position.cursor)
        .arg("MATCH")
        .arg(pattern(beginning));
    command.arg("COUNT").arg(COUNT);
    let answer = session.send::<(u64, Vec<Vec<u8>>)>(&command).await?;
    let (cursor, keys) = answer.map_err(|error| session.failed(&error, "SCAN", beginning))?;
    position.cursor = cursor;
    if cursor == 0 {
        position = Position {
            stop: position.stop + 1,
            connection: None,
            restarts: 0,
            ..position
        };
    }
    // Our keys are text; others are not ours.
    let keys = keys
        .into_iter()
        .filter_map(|key| String::from_utf8(key).ok());
    Ok(Scanned {
        keys: keys.collect(),
        next: position.next(),
    })
}

/// Ends a walk over a cluster, unless slots were given to other nodes meanwhile.
#[cfg(feature = "redis-cluster")]
async fn end(servers: &Servers, walk: &Walk) -> Result<Scanned> {
    if let (Servers::Cluster(cluster), Some(survey)) = (servers, &walk.survey)
        && !survey.agrees_with(&cluster.survey().await?)
    {
        if walk.round == MOST_ROUNDS {
            return Err(Error::BackendError(format!(
                "redis cluster: slots were given to other nodes during {MOST_ROUNDS} walks over the keys"
            )));
        }
        return begin(servers, walk.round + 1).await;
    }
    Ok(over())
}

#[cfg(not(feature = "redis-cluster"))]
async fn end(_: &Servers, _: &Walk) -> Result<Scanned> {
    Ok(over())
}

fn over() -> Scanned {
    Scanned {
        keys: Vec::new(),
        next: None,
    }
}

impl Position {
    /// The cursor of the next step. The end of a walk over a cluster is a step of its own, since it asks
    /// the cluster and no node.
    fn next(self) -> Option<ScanCursor> {
        match self.walk.stops.get(self.stop) {
            Some(stop) => Some(ScanCursor::on_node(stop.number, self)),
            #[cfg(feature = "redis-cluster")]
            None if self.walk.survey.is_some() => Some(ScanCursor::at(self)),
            None => None,
        }
    }
}

/// The pattern of keys that begin with `beginning`, in which nothing stands for something else.
fn pattern(beginning: &str) -> String {
    let mut pattern = String::with_capacity(beginning.len() + 1);
    for character in beginning.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_beginning_stands_for_something_else() {
        assert_eq!(pattern("user:"), "user:*");
        assert_eq!(pattern(r"a*b?[c]^d-e\f:"), r"a\*b\?\[c\]\^d\-e\\f:*");
    }
}
