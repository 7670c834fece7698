//! [`drive`]: runs what sends and reads for all callers of a connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Runs the `driver` of a connection. While several callers have the connection (`shared`), it is polled
/// behind everything else that is ready: then what they send goes out together, as a rule in one write, and
/// their answers are read together. A worker of the runtime would continue it right behind the first of
/// them, and each command would be a write of its own, here and at the server.
pub(super) async fn drive<O>(driver: impl Future<Output = O>, shared: impl Fn() -> bool) -> O {
    let mut driver = pin!(driver);
    let mut went_behind = false;
    poll_fn(|cx| {
        went_behind = !went_behind && shared();
        if went_behind {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        driver.as_mut().poll(cx)
    })
    .await
}
