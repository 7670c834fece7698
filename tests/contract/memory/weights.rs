//! A stored entry is kept, and an entry that is not kept is reported as too large.

use std::sync::Arc;

use cache_kit::backend::{Engine, InMemoryBackend, InMemoryBuilder, Stored};

use super::{Note, engines, get, heavy, put};

fn by_length(builder: InMemoryBuilder, max: u64) -> InMemoryBackend {
    builder
        .max_weight(max, |entry| {
            entry.entity::<Note>().map_or(1, |note| note.0.len() as u64)
        })
        .build()
}

#[tokio::test]
async fn an_entry_is_kept_or_too_large_at_every_weight() {
    for builder in engines() {
        let backend = by_length(builder, 1_000);
        for weight in (1..900).step_by(50).chain(900..=1_001) {
            let stored = put(&backend, "row:a", heavy(weight)).await;
            let kept = get::<Note>(&backend, "row:a").await.is_some();
            assert_eq!(stored == Stored::Stored, kept, "{weight}: {stored:?}");
            if weight <= 30 || weight > 1_000 {
                assert_eq!(kept, weight <= 1_000, "{weight}");
            }
            assert_eq!(backend.len(), usize::from(kept), "{weight}");
            backend.clear();
        }
        assert_eq!(backend.stats().evictions, 0, "nothing was there to evict");
    }
}

/// All entries are in use, and an entry returns that the map remembers. A naive insert would evict
/// the new one.
#[tokio::test]
async fn an_entry_among_others_in_use_is_kept() {
    let builder = InMemoryBackend::builder().engine(Engine::QuickCache);
    let backend = by_length(builder, 1_000);
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..5_000 {
        let key = format!("row:{}", random.u32(0..40));
        let weight = random.usize(1..=990);
        let stored = put(&backend, &key, heavy(weight)).await;
        assert_eq!(stored, Stored::Stored, "round {round}: {weight} of 1,000");
        let kept = get::<Note>(&backend, &key).await;
        assert_eq!(kept.map(|note| note.0.len()), Some(weight), "round {round}");
        for _ in 0..20 {
            let key = format!("row:{}", random.u32(0..40));
            let _ = get::<Note>(&backend, &key).await;
        }
    }
}

#[tokio::test]
async fn an_entry_of_one_mebibyte_fits_into_sixty_four() {
    for builder in engines() {
        let backend = by_length(builder, 64 << 20);
        let note = Arc::new(heavy(1 << 20));
        for n in 0..200 {
            let key = format!("row:{n}");
            let stored = put(&backend, &key, Note::clone(&note)).await;
            assert_eq!(stored, Stored::Stored, "{n}");
        }
        assert!(get::<Note>(&backend, "row:0").await.is_some() || backend.len() > 30);
    }
}
