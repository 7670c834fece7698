//! Runs user code whose panics must not propagate.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
