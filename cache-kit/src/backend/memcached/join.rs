//! Futures that run side by side in one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

enum Part<F: Future> {
    Running(Pin<Box<F>>),
    Ended(Option<F::Output>),
}

/// Waits for all of `futures`, and gives what they came to in their order. For a few: each wake polls
/// all that still run.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F::Output: Unpin,
{
    let mut parts: Vec<Part<F>> = futures
        .into_iter()
        .map(|future| Part::Running(Box::pin(future)))
        .collect();
    poll_fn(|context| {
        let mut all = true;
        for part in &mut parts {
            if let Part::Running(future) = part {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *part = Part::Ended(Some(output)),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Ended(output) => output,
            Part::Running(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_run_at_once_and_answer_in_order() {
        let begun = tokio::time::Instant::now();
        let waits = [30, 10, 20].map(|millis| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            millis
        });
        assert_eq!(join_all(waits).await, [30, 10, 20]);
        assert_eq!(begun.elapsed(), Duration::from_millis(30));
        let nothing: [std::future::Ready<u8>; 0] = [];
        assert!(join_all(nothing).await.is_empty());
    }
}
