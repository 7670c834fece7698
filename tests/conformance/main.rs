//! The conformance suite: against every backend of the crate, and against backends that break one
//! promise each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod broken;

use cache_kit::backend::{Engine, InMemoryBackend};
use cache_kit::testing::FaultyBackend;
use cache_kit::testing::conformance::{Harness, Specimen};

/// Entries with a longer payload are too large for [`weighed`].
const LARGEST: usize = 100_000;

fn memory(engine: Engine) -> Harness<InMemoryBackend> {
    let backend = InMemoryBackend::builder().engine(engine).build();
    Harness::in_process(move || backend.clone())
}

fn weighing(engine: Engine) -> InMemoryBackend {
    InMemoryBackend::builder()
        .engine(engine)
        .max_weight(1_000_000, |entry| {
            let payload = entry
                .entity::<Specimen>()
                .map_or(0, |specimen| specimen.payload.len());
            if payload > LARGEST { u64::MAX } else { 1 }
        })
        .build()
}

fn weighed(engine: Engine) -> Harness<InMemoryBackend> {
    let backend = weighing(engine);
    Harness::in_process(move || backend.clone()).largest_payload(LARGEST)
}

fn faultless() -> Harness<FaultyBackend<InMemoryBackend>> {
    let backend = FaultyBackend::new(InMemoryBackend::new());
    Harness::in_process(move || backend.clone())
}

mod memory_quick_cache {
    cache_kit::conformance!(super::memory(super::Engine::QuickCache));
}

mod memory_moka {
    cache_kit::conformance!(super::memory(super::Engine::Moka));
}

mod memory_quick_cache_weighed {
    cache_kit::conformance!(super::weighed(super::Engine::QuickCache));
}

mod memory_moka_weighed {
    cache_kit::conformance!(super::weighed(super::Engine::Moka));
}

mod faulty_without_a_fault {
    cache_kit::conformance!(super::faultless());
}
