//! Checks that the docs of the derives describe the words of the tables, and no others.

use std::collections::BTreeSet;

use super::entity::{EntityAttr, EntityMarks};
use super::feeder::{FeederAttr, FeederMarks};
use super::schema::{SchemaAttr, SchemaMarks};
use super::words::KnownWord;

const ENTITY: &str = include_str!("../../docs/cache_entity.md");
const FEEDER: &str = include_str!("../../docs/cache_feeder.md");
const SCHEMA: &str = include_str!("../../docs/cache_schema.md");

fn names(words: &[KnownWord]) -> BTreeSet<&str> {
    words.iter().map(|word| word.name).collect()
}

/// The texts in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words in the first column of the table of attributes, in the rows that `is_meant` accepts.
fn rows(docs: &str, is_meant: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    docs.lines()
        .skip_while(|line| !line.starts_with("| attribute |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter(|row| is_meant(row))
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(quoted)
        .collect()
}

#[test]
fn the_docs_list_the_words_of_the_tables() {
    assert_eq!(rows(ENTITY, |_| true), names(EntityAttr::WORDS));
    assert_eq!(rows(SCHEMA, |_| true), names(SchemaAttr::WORDS));
    let on_field = |row: &str| row.contains("| field,");
    assert_eq!(rows(FEEDER, |row| !on_field(row)), names(FeederAttr::WORDS));
    assert_eq!(rows(FEEDER, on_field), names(FeederMarks::WORDS));
    for (docs, marks) in [(ENTITY, EntityMarks::WORDS), (SCHEMA, SchemaMarks::WORDS)] {
        for word in marks {
            let example = format!("#[cache({})]", word.example);
            assert!(docs.contains(&example), "{example} is not described");
        }
    }
}

#[test]
fn every_word_of_an_entity_has_a_section() {
    let headings = ENTITY.lines().filter(|line| line.starts_with("## `"));
    let sections: BTreeSet<&str> = headings.flat_map(quoted).collect();
    let mut words = names(EntityAttr::WORDS);
    words.extend(names(EntityMarks::WORDS));
    assert_eq!(sections, words);
}

#[test]
fn an_example_begins_with_its_word() {
    for words in [
        EntityAttr::WORDS,
        EntityMarks::WORDS,
        FeederAttr::WORDS,
        FeederMarks::WORDS,
        SchemaAttr::WORDS,
        SchemaMarks::WORDS,
    ] {
        for word in words {
            let rest = word.example.strip_prefix(word.name);
            let is_whole =
                |rest: &str| !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric());
            assert!(rest.is_some_and(is_whole), "{}", word.example);
        }
    }
}
