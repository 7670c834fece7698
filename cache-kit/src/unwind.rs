//! Runs user code whose panics must not propagate.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `code`; `None` if it panicked, which the panic hook has reported.
///
/// State that `code` changes must either not be used after a panic, or change in steps that cannot
/// panic half-way.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Option<R> {
    caught_saying(code).ok()
}

/// As [`caught`]; the error is the panic message.
pub(crate) fn caught_saying<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        let said = message(&*payload);
        // The payload's own `Drop` may panic, too, so it is leaked.
        mem::forget(payload);
        said
    })
}

/// Polls `future` to its end; the error is the message of a panic inside it.
pub(crate) async fn polled<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // The future is not polled again after a panic, so no half-done state is observed.
        match caught_saying(|| future.as_mut().poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(said) => Poll::Ready(Err(said)),
        }
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "panics are what is tried")]
    fn a_panic_is_nothing_whatever_it_carries() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| panic!("some")), None::<()>);

        struct Sore;
        impl Drop for Sore {
            fn drop(&mut self) {
                panic!("from a payload");
            }
        }
        assert_eq!(caught(|| std::panic::panic_any(Sore)), None::<()>);
    }
}
