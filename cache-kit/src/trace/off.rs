//! The same without the feature `tracing`: nothing.

use std::pin::Pin;

use crate::error::{Error, Result};
use crate::lease::Invalidated;
use crate::observability::{CacheEvent, Outcome, Subject};
use crate::strategy::CacheStrategy;

#[derive(Debug, Default)]
pub(crate) struct Log(());

impl Log {
    pub(crate) fn show_keys(&mut self) {}

    pub(crate) fn key(&self, _: &Subject<'_>, _: &CacheEvent) {}

    pub(crate) fn hidden(&self, _: &Subject<'_>, _: &Error) {}

    #[inline]
    pub(crate) fn loaded(&self, _: &'static str) {}

    #[cfg(feature = "codec")]
    pub(crate) fn store(&self, _: &crate::observability::StoreEvent) {}
}

pub(crate) fn chosen(_: &'static str, _: &[crate::backend::NodeHealth]) {}

pub(crate) struct Span;

impl Span {
    pub(crate) fn get(_: &'static str, _: CacheStrategy, _: Option<&str>) -> Self {
        Self
    }

    pub(crate) fn get_many(_: &'static str, _: CacheStrategy, _: usize) -> Self {
        Self
    }

    pub(crate) fn invalidate(_: Option<&'static str>, _: usize, _: Option<&str>) -> Self {
        Self
    }

    pub(crate) fn refresh(_: &'static str, _: usize) -> Self {
        Self
    }

    pub(crate) fn look_up(_: usize) -> Self {
        Self
    }

    pub(crate) fn lease(_: usize) -> Self {
        Self
    }

    pub(crate) fn load(_: usize) -> Self {
        Self
    }

    pub(crate) fn store(_: usize) -> Self {
        Self
    }

    pub(crate) fn around<F: Future>(&self, work: Pin<&mut F>) -> impl Future<Output = F::Output> {
        work
    }

    pub(crate) fn ended(&self, _: &Result<Outcome>) {}

    pub(crate) fn all_ended(&self, _: &Result<Vec<Outcome>>) {}

    pub(crate) fn invalidated(&self, _: &Result<Invalidated>) {}
}

#[inline]
pub(crate) fn hit(
    _: &'static str,
    _: CacheStrategy,
    _: &Outcome,
    _: impl FnOnce() -> Option<String>,
) {
}

pub(crate) fn in_current<F: Future>(task: F) -> F {
    task
}
