//! What the page about operating says in figures.

use cache_kit::CacheStrategy::Refresh;

use super::{call, scene, service};

/// An entry takes its key, its value, the 80 bytes of a head, and what Redis adds. The page says
/// "about 170 bytes" for the last two together.
#[tokio::test]
async fn an_entry_takes_the_bytes_that_the_docs_say() {
    let (server, database) = scene();
    let service = service(&server.url());
    let integer = |words: &[&str]| server.command(words).integer().unwrap();
    for id in ["k".to_owned(), "a".repeat(40), "b".repeat(200)] {
        database.set(&id, 1);
        call(&service, &database, &id, Refresh).await.unwrap();
        let key = format!("row:{id}");
        // The id with its length, and the version in one byte.
        let length_bytes = if id.len() < 128 { 1 } else { 2 };
        let value = length_bytes + id.len() + 1;
        assert_eq!(integer(&["STRLEN", &key]), (80 + value) as i64);
        let used = integer(&["MEMORY", "USAGE", &key]);
        let own = (key.len() + value) as i64;
        // Redis rounds up, by more for larger values.
        let added = used - own;
        assert!((130..=170 + own / 4).contains(&added), "{used} for {own}");
    }
}
