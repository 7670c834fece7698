//! Every attribute of the derives has a case in `ui/pass` that uses it, and another case that
//! misuses it. The list of attributes is read from the tables in the derives' own source.
//!
//! `scripts/attributes.sh` prints the list.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Field, ItemEnum, ItemMacro, ItemStruct, ItemUnion, Meta};

/// An attribute: `("feeder", "struct", "entity")`.
type Word = (String, String, String);

/// The cases of an attribute.
#[derive(Default)]
struct Cases {
    passing: Vec<String>,
    failing: Vec<String>,
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The Rust files in a folder and those under it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The words of every `attributes! { EntityMarks: #[cache(key)] on Field, … { key: …; … } }`.
#[derive(Default)]
struct Tables {
    words: Vec<Word>,
}

impl Visit<'_> for Tables {
    fn visit_item_macro(&mut self, item: &ItemMacro) {
        if item.mac.path.is_ident("attributes") {
            self.words.extend(table(item.mac.tokens.clone()));
        }
    }
}

/// The words of a table.
fn table(tokens: TokenStream) -> Vec<Word> {
    let mut attribute = String::new();
    let mut place = "";
    let mut words = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) if name == "Type" => place = "struct",
            TokenTree::Ident(name) if name == "Field" => place = "field",
            // The last one, after the doc comments.
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                attribute = group.stream().into_iter().next().unwrap().to_string();
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let lines: Vec<TokenTree> = group.stream().into_iter().collect();
                let lines = lines.split(|token| is_sign(token, ';'));
                words.extend(lines.filter_map(|line| match line {
                    [_, TokenTree::Ident(is), word, ..] if is == "as" => Some(word.to_string()),
                    [word, ..] => Some(word.to_string()),
                    [] => None,
                }));
            }
            _ => {}
        }
    }
    assert!(!place.is_empty(), "a table does not say its place");
    words
        .into_iter()
        .map(|word| word.trim_matches('"').to_owned())
        .map(|word| (attribute.clone(), place.to_owned(), word))
        .collect()
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// The attributes in a file, each with its begin and end.
#[derive(Default)]
struct Used {
    words: Vec<(Word, LineColumn, LineColumn)>,
}

impl Used {
    fn read(&mut self, attrs: &[Attribute], place: &str) {
        for attr in attrs {
            if let (Some(name), Meta::List(list)) = (attr.path().get_ident(), &attr.meta) {
                self.list(&name.to_string(), place, list.tokens.clone());
            }
        }
    }

    fn list(&mut self, attribute: &str, place: &str, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for word in tokens.split(|token| is_sign(token, ',')) {
            let (Some(TokenTree::Ident(name)), Some(last)) = (word.first(), word.last()) else {
                continue;
            };
            let word = (attribute.to_owned(), place.to_owned(), name.to_string());
            self.words
                .push((word, name.span().start(), last.span().end()));
        }
    }
}

impl Visit<'_> for Used {
    fn visit_item_struct(&mut self, item: &ItemStruct) {
        self.read(&item.attrs, "struct");
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &ItemEnum) {
        self.read(&item.attrs, "struct");
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &ItemUnion) {
        self.read(&item.attrs, "struct");
        visit::visit_item_union(self, item);
    }

    fn visit_field(&mut self, field: &Field) {
        self.read(&field.attrs, "field");
        visit::visit_field(self, field);
    }
}

fn used(path: &Path) -> Used {
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let mut used = Used::default();
    used.visit_file(&file);
    used
}

/// The positions of the errors of a case: `--> ui/feeder/name.rs:13:44`.
fn errors(case: &Path) -> Vec<LineColumn> {
    let text = fs::read_to_string(case.with_extension("stderr")).unwrap_or_default();
    let places = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--> ui/"));
    let numbers = places.map(|place| {
        let mut numbers = place.rsplit(':').map(str::parse::<usize>);
        let column = numbers.next()?.ok()? - 1;
        let line = numbers.next()?.ok()?;
        Some(LineColumn { line, column })
    });
    numbers.map(Option::unwrap).collect()
}

fn cases() -> BTreeMap<Word, Cases> {
    let mut tables = Tables::default();
    for path in sources(&folder("../../cache-kit-derive/src/attr")) {
        tables.visit_file(&syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap());
    }
    let words = tables.words.into_iter();
    let mut cases: BTreeMap<Word, Cases> = words.map(|word| (word, Cases::default())).collect();
    for path in sources(&folder("ui")) {
        let name = path
            .strip_prefix(folder("ui"))
            .unwrap()
            .display()
            .to_string();
        let passes = path.starts_with(folder("ui/pass"));
        let errors = errors(&path);
        for (word, start, end) in used(&path).words {
            let Some(cases) = cases.get_mut(&word) else {
                continue;
            };
            let list = if passes {
                &mut cases.passing
            } else if errors.iter().any(|at| start <= *at && *at < end) {
                &mut cases.failing
            } else {
                continue;
            };
            if !list.contains(&name) {
                list.push(name.clone());
            }
        }
    }
    cases
}

#[test]
fn every_attribute_has_a_passing_and_a_failing_case() {
    let cases = cases();
    let mut missing = Vec::new();
    for ((attribute, place, word), cases) in &cases {
        println!("#[{attribute}({word})] on a {place}");
        for (what, list) in [("passes", &cases.passing), ("fails", &cases.failing)] {
            println!("    {what:6} {}", list.join(", "));
            if list.is_empty() {
                missing.push(format!("#[{attribute}({word})] on a {place} never {what}"));
            }
        }
    }
    // No table has been missed.
    for known in [("cache", "struct", "prefix"), ("feeder", "field", "entity")] {
        let (attribute, place, word) = known;
        assert!(cases.contains_key(&(attribute.into(), place.into(), word.into())));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
