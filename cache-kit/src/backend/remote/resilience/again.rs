//! Sends commands once more when their connection is lost, and says what their answers tell about
//! the store.

use std::future::Future;

use crate::answers::one_each;
use crate::error::{Error, Result};

/// Runs a command, and once more if its connection is lost. The second try is boxed, to keep the
/// future of a command small.
pub(super) async fn twice<O, F>(command: &impl Fn() -> F) -> Result<O>
where
    F: Future<Output = Result<O>>,
{
    match command().await {
        Err(Error::ConnectionLost(_)) => Box::pin(command()).await,
        answer => answer,
    }
}

/// Runs a command for `keys`, and once more for those whose connection is lost.
pub(super) async fn twice_each<'k, O, F>(
    keys: &[&'k str],
    command: &impl Fn(Vec<&'k str>) -> F,
) -> Vec<Result<O>>
where
    F: Future<Output = Vec<Result<O>>>,
{
    let mut answers = one_each(keys.len(), command(keys.to_vec()).await);
    let lost = |answer: &Result<O>| matches!(answer, Err(Error::ConnectionLost(_)));
    if answers.iter().any(lost) {
        let places: Vec<usize> = (0..keys.len()).filter(|at| lost(&answers[*at])).collect();
        let again = places.iter().map(|place| keys[*place]).collect();
        let again = one_each(places.len(), Box::pin(command(again)).await);
        for (place, answer) in places.into_iter().zip(again) {
            answers[place] = answer;
        }
    }
    answers
}

/// What the answers to one command tell about the store.
#[derive(Debug, Default)]
pub(super) struct Account<'a> {
    /// Whether it has answered at all.
    pub(super) alive: bool,
    pub(super) refusal: Option<&'a Error>,
    /// What it failed with, unless it has answered for another key.
    pub(super) failure: Option<&'a Error>,
}

impl<'a> Account<'a> {
    pub(super) fn of(answers: impl IntoIterator<Item = Option<&'a Error>>) -> Self {
        let mut account = Self::default();
        for error in answers {
            match error {
                None | Some(Error::TooLarge(_)) => account.alive = true,
                Some(error @ Error::BackendRefused(_)) => {
                    account.alive = true;
                    account.refusal = account.refusal.or(Some(error));
                }
                // The command never reached the store.
                Some(Error::ConfigError(_)) => {}
                Some(error) => account.failure = account.failure.or(Some(error)),
            }
        }
        if account.alive {
            account.failure = None;
        }
        account
    }
}

pub(super) fn account_of_one<O>(answer: &Result<O>) -> Account<'_> {
    Account::of([answer.as_ref().err()])
}

/// The answers to deletions, and to the command after them.
pub(super) type Both<O> = (Vec<Result<()>>, Vec<Result<O>>);

pub(super) fn account_of_both<O>(answers: &Result<Both<O>>) -> Account<'_> {
    match answers {
        Ok((deleted, answers)) => {
            let deleted = deleted.iter().map(|answer| answer.as_ref().err());
            Account::of(deleted.chain(answers.iter().map(|answer| answer.as_ref().err())))
        }
        Err(error) => Account::of([Some(error)]),
    }
}

pub(super) fn account_of_many<O>(answers: &Result<Vec<Result<O>>>) -> Account<'_> {
    match answers {
        Ok(answers) => Account::of(answers.iter().map(|answer| answer.as_ref().err())),
        Err(error) => Account::of([Some(error)]),
    }
}

/// Whether an error is an answer.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::BackendRefused(_))
}
