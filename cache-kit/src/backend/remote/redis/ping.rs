//! Finds out whether a server answers.

use ::redis::RedisResult;

use super::connection::Link;
use super::demoted::prove;
use super::said::{is_login, is_lost, said_of};
use crate::error::Result;

/// Asks the server behind `link` for an answer.
pub(super) async fn ping(link: &Link) -> Result<()> {
    if let Some(key) = link.demoted() {
        return prove(link, &key).await;
    }
    let usable = link.connection().await?;
    let mut connection = usable.connection;
    let unanswered = Unanswered {
        link,
        number: Some(usable.number),
    };
    let answer: RedisResult<()> = ::redis::cmd("PING").query_async(&mut connection).await;
    if answer
        .as_ref()
        .is_err_and(|error| is_lost(error) || is_login(error))
    {
        drop(unanswered);
    } else {
        unanswered.answered();
    }
    answer.map_err(|error| said_of(&error, "PING"))
}

/// A ping. A connection that gives no answer to it is replaced: it may be one that the network has
/// forgotten.
struct Unanswered<'l> {
    link: &'l Link,
    number: Option<u64>,
}

impl Unanswered<'_> {
    fn answered(mut self) {
        self.number = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.link.replace(number);
        }
    }
}
