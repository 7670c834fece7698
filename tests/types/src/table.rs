//! The table of the page is what comes out when each type is tried.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use cache_kit::CacheEntity;
use cache_kit::testing::assert_storable;
use serde::{Deserialize, Serialize};

use super::rows;
use super::tried::{self, Fate, Row};

const BEGIN: &str = "<!-- the table that tests/types produces -->\n";
const END: &str = "<!-- its end -->\n";

/// Each section of the table, with its rows.
async fn sections() -> Vec<(&'static str, Vec<Row>)> {
    let mut sections = Vec::new();
    for (title, candidates) in rows::SECTIONS {
        let mut rows = Vec::new();
        for candidate in *candidates {
            rows.push(tried::row(candidate).await);
        }
        sections.push((*title, rows));
    }
    sections
}

/// What the page has between the marks.
fn table(sections: &[(&str, Vec<Row>)]) -> String {
    let mut table = String::new();
    for (title, rows) in sections {
        write!(
            table,
            "\n| {title} | as it is | `text` | `json` |\n|---|---|---|---|\n"
        )
        .unwrap();
        for row in rows {
            writeln!(table, "{row}").unwrap();
        }
    }
    table + "\n"
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache-kit/src/guide/what_can_be_cached.md")
}

/// `CACHE_KIT_BLESS=1` writes the table into the page.
#[tokio::test]
async fn the_page_says_what_becomes_of_each_type() {
    let table = table(&sections().await);
    let page = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("CACHE_KIT_BLESS").is_some() {
        std::fs::write(path(), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown, table,
        "read the difference; to accept it, run this test with CACHE_KIT_BLESS=1"
    );
}

#[derive(Clone, Serialize, Deserialize, CacheEntity)]
#[cache(key = "id")]
struct Order {
    id: u64,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    price: rust_decimal::Decimal,
}

#[test]
fn the_page_quotes_what_a_refusal_says() {
    let price = rust_decimal::Decimal::ONE;
    let lines = vec![Line { price }];
    let panic = std::panic::catch_unwind(|| assert_storable(&Order { id: 1, lines }));
    let said = panic.unwrap_err().downcast::<String>().unwrap();
    let (_, reason) = said.split_once("from a store: ").unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = std::fs::read_to_string(path()).unwrap();
    assert!(words(&page).contains(&words(reason)), "{reason}");
}

/// What needs an attribute has one, but for what leaves something out.
#[tokio::test]
async fn each_type_can_be_kept_in_some_way() {
    let sections = sections().await;
    let all: Vec<&Row> = sections.iter().flat_map(|(_, rows)| rows).collect();
    assert!(all.len() >= 90, "{}", all.len());
    let refused = all.iter().filter(|row| row.as_it_is == Fate::Refused);
    assert!(refused.count() >= 25);
    for row in all {
        let is_kept = [row.as_it_is, row.text, row.json].contains(&Fate::Hit);
        let leaves_out = row.name.contains("`skip`") || row.name.contains("`skip_serializing`");
        let changes =
            row.name.contains("change the value") || row.name.contains("`Some(Value::Null)`");
        assert_eq!(is_kept, !(leaves_out || changes), "{row}");
    }
}
