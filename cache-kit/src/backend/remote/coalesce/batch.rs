//! [`Batch`]: the look-ups that are sent in one command, and their callers.
//!
//! The callers of a batch share one allocation, where a channel for each of them would cost as many as
//! there are callers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::{iter, mem};

use super::Value;
use crate::error::{Error, Result};

/// Keys, and the callers that wait for what is under them. Its callers get an error if it is dropped.
#[derive(Default)]
pub(super) struct Batch {
    /// The keys of all callers, one behind the other.
    keys: String,
    /// Where each key ends in `keys`.
    ends: Vec<usize>,
    callers: Arc<Callers>,
}

/// The callers of a batch, by their place.
#[derive(Default)]
struct Callers(Mutex<Vec<Caller>>);

enum Caller {
    /// Polled by then if there is a waker.
    Waits(Option<Waker>),
    Answered(Result<Value>),
    /// It has its answer, or went away without one.
    Gone,
}

/// The answer to one caller of a batch.
pub(super) struct Answer {
    /// `None` once the caller has it.
    callers: Option<Arc<Callers>>,
    place: usize,
}

impl Batch {
    /// How many callers there are, including those that have gone.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a caller.
    pub(super) fn join(&mut self, key: &str) -> Answer {
        self.keys.push_str(key);
        self.ends.push(self.keys.len());
        self.callers.lock().push(Caller::Waits(None));
        Answer {
            callers: Some(Arc::clone(&self.callers)),
            place: self.len() - 1,
        }
    }

    /// The keys of the callers that still wait, and the places of these callers.
    pub(super) fn waiting(&self) -> (Vec<usize>, Vec<&str>) {
        let begins = iter::once(&0).chain(&self.ends);
        let keys = begins
            .zip(&self.ends)
            .map(|(begin, end)| &self.keys[*begin..*end]);
        let callers = self.callers.lock();
        let waiting = keys.enumerate().zip(callers.iter());
        let waiting = waiting.filter(|(_, caller)| matches!(caller, Caller::Waits(_)));
        waiting.map(|(key, _)| key).unzip()
    }

    /// Answers the callers at `places`.
    pub(super) fn answer(&self, places: &[usize], values: Vec<Result<Value>>) {
        let wakers = self.callers.answer(places, values);
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let (left, _) = self.waiting();
        let given_up = |_: &usize| Err(Error::BackendError("a look-up was given up".into()));
        let answers = left.iter().map(given_up).collect();
        self.answer(&left, answers);
    }
}

impl Callers {
    fn lock(&self) -> MutexGuard<'_, Vec<Caller>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers those of the callers at `places` that still wait. Their wakers are foreign code, which is
    /// called outside of the lock.
    fn answer(&self, places: &[usize], values: Vec<Result<Value>>) -> Vec<Waker> {
        let mut wakers = Vec::with_capacity(places.len());
        let mut callers = self.lock();
        for (place, value) in places.iter().zip(values) {
            let caller = &mut callers[*place];
            if let Caller::Waits(waker) = caller {
                wakers.extend(waker.take());
                *caller = Caller::Answered(value);
            }
        }
        wakers
    }
}

impl Future for Answer {
    type Output = Result<Value>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Value>> {
        let Some(callers) = &self.callers else {
            return Poll::Pending;
        };
        // A waker is foreign code, so that the old one is dropped outside of the lock.
        let mut callers = callers.lock();
        let caller = &mut callers[self.place];
        let replaced = match caller {
            Caller::Waits(Some(waker)) if waker.will_wake(cx.waker()) => None,
            Caller::Waits(waker) => waker.replace(cx.waker().clone()),
            Caller::Answered(_) | Caller::Gone => {
                let Caller::Answered(value) = mem::replace(caller, Caller::Gone) else {
                    return Poll::Pending;
                };
                drop(callers);
                self.callers = None;
                return Poll::Ready(value);
            }
        };
        drop(callers);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(callers) = &self.callers {
            let caller = mem::replace(&mut callers.lock()[self.place], Caller::Gone);
            drop(caller);
        }
    }
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test says what it expects by unwrapping"
    )]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn poll(answer: &mut Answer, woken: &Arc<Woken>) -> Poll<Result<Value>> {
        let waker = Waker::from(Arc::clone(woken));
        Pin::new(answer).poll(&mut Context::from_waker(&waker))
    }

    fn value(text: &str) -> Result<Value> {
        Ok(Some(text.into()))
    }

    fn ready(answer: &mut Answer) -> String {
        match poll(answer, &Arc::default()) {
            Poll::Ready(Ok(Some(bytes))) => String::from_utf8(bytes).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_caller_gets_the_answer_to_its_key() {
        let mut batch = Batch::default();
        let mut answers: Vec<Answer> = ["a", "", "käse", "a"].map(|key| batch.join(key)).into();
        let (places, keys) = batch.waiting();
        assert_eq!(keys, ["a", "", "käse", "a"]);
        let values = ["0", "1", "2", "3"].map(value).into();
        batch.answer(&places, values);
        let seen: Vec<String> = answers.iter_mut().map(ready).collect();
        assert_eq!(seen, ["0", "1", "2", "3"]);
    }

    #[test]
    fn a_caller_that_has_gone_is_not_asked_for() {
        let mut batch = Batch::default();
        let mut answers = ["a", "b", "c"].map(|key| Some(batch.join(key)));
        answers[1] = None;
        let (places, keys) = batch.waiting();
        assert_eq!((&*places, &*keys), (&[0, 2][..], &["a", "c"][..]));
        // Another one goes while the command is under way.
        answers[0] = None;
        batch.answer(&places, vec![value("0"), value("2")]);
        assert_eq!(ready(answers[2].as_mut().unwrap()), "2");
    }

    #[test]
    fn a_batch_that_is_dropped_fails_the_callers_that_still_wait() {
        let mut batch = Batch::default();
        let mut answers = ["a", "b", "c"].map(|key| batch.join(key));
        // A store that answers for too few keys.
        batch.answer(&[0], vec![value("0")]);
        drop(batch);
        assert_eq!(ready(&mut answers[0]), "0");
        for answer in &mut answers[1..] {
            assert!(ready(answer).contains("given up"), "{}", ready(answer));
        }
    }

    #[test]
    fn the_last_waker_of_a_caller_is_woken_once() {
        let mut batch = Batch::default();
        let (mut answer, _unpolled) = (batch.join("a"), batch.join("b"));
        let (first, second) = (Arc::default(), Arc::default());
        for woken in [&first, &second, &second] {
            assert!(poll(&mut answer, woken).is_pending());
        }
        batch.answer(&[0, 1], vec![value("0"), value("1")]);
        drop(batch);
        let counts = [first, second].map(|woken: Arc<Woken>| woken.0.load(Ordering::Acquire));
        assert_eq!(counts, [0, 1]);
        assert_eq!(ready(&mut answer), "0");
    }

    #[test]
    fn a_caller_that_is_polled_again_after_its_answer_waits_and_keeps_nothing() {
        let mut batch = Batch::default();
        let mut answer = batch.join("a");
        batch.answer(&[0], vec![value("0")]);
        assert_eq!(ready(&mut answer), "0");
        assert_eq!(Arc::strong_count(&batch.callers), 1);
        assert!(poll(&mut answer, &Arc::default()).is_pending());
    }
}
