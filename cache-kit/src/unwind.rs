//! Runs user code that may panic where a panic must not travel on.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`; a panic inside it becomes its message.
///
/// What `code` changes must be either of no use after a panic or changed in steps that cannot panic
/// half-way.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        let message = message(&*payload);
        // A payload's own `Drop` may panic, too, so it is leaked.
        mem::forget(payload);
        message
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
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 1), Ok(1));
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        let number = 7;
        let formatted = caught(|| panic!("number {number}"));
        assert_eq!(formatted, Err::<(), _>("number 7".to_owned()));

        struct Sore;
        impl Drop for Sore {
            fn drop(&mut self) {
                panic!("from a payload");
            }
        }
        let sore = caught(|| std::panic::panic_any(Sore));
        assert_eq!(sore, Err::<(), _>("no message".to_owned()));
    }
}
