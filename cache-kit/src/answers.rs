//! Batches: as many answers as questions.

use crate::error::{Error, Result};

/// Checks that there are `asked` answers. With any other number, it is unknown which answer belongs
/// to which question.
pub(crate) fn one_each<O>(asked: usize, answers: Vec<Result<O>>) -> Vec<Result<O>> {
    if answers.len() == asked {
        return answers;
    }
    let error = format!("{} answers for {asked} keys", answers.len());
    all_failed(asked, &Error::BackendError(error))
}

/// The answers to `asked` questions that failed together.
pub(crate) fn all_failed<O>(asked: usize, error: &Error) -> Vec<Result<O>> {
    (0..asked).map(|_| Err(error.clone())).collect()
}

#[cfg(all(test, not(cache_kit_model)))]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_only_if_they_are_as_many_as_the_questions() {
        let answers = || vec![Ok(1), Err(Error::BackendError("away".into())), Ok(3)];
        let texts = |answers: Vec<Result<i32>>| -> Vec<String> {
            let text =
                |answer: Result<i32>| answer.map_or_else(|e| e.to_string(), |n| n.to_string());
            answers.into_iter().map(text).collect()
        };
        assert_eq!(
            texts(one_each(3, answers())),
            ["1", "cache backend failed: away", "3"]
        );
        for asked in [0, 2, 4] {
            let error = format!("cache backend failed: 3 answers for {asked} keys");
            assert_eq!(texts(one_each(asked, answers())), vec![error; asked]);
        }
    }
}
