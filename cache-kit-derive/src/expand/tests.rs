//! The two entry points on good and bad input; `fuzz` mutates it.

use proc_macro2::TokenStream;

use super::{cache_entity, cache_feeder};

/// Constructs that the derives know, valid and invalid.
pub(crate) const SOURCES: &[&str] = &[
    "#[cache(prefix = \"user\", key = \"id\", ttl = \"1h\", version = 2)] pub struct User { id: String, #[cache(skip_ok)] #[serde(skip)] name: Option<Name> }",
    "#[cache(key(\"a\", \"r#b\"), crate = \"crate::kit\")] pub(crate) struct Item { a: u64, pub r#b: Vec<(u8, &'static str)> }",
    "#[cache(key = \"{0}:{1}\")] #[serde(transparent)] struct Pair(f64, [u8; 4]);",
    "struct Marked { #[cache(key)] a: u8, #[cache(key)] #[serde(skip_serializing_if = \"x\", flatten)] b: f32 }",
    "#[cache(prefx = \"a:b\", key, ttl = 5, version = -1, crate = 7)] struct Wrong<'a, T: Copy, const N: usize> where T: 'a { x: &'a [T; N] }",
    "#[cache] #[cache = 1] #[cache(,, = key(a, 1) \"x\")] enum E { A(#[cache(key)] u8), B { b: u8 } }",
    "#[cache(key = \"a\")] union U { a: u8 }",
    "#[feeder(entity = User, key = \"user_id\")] pub struct GetUser<'a, T = u8, const N: usize = 1> where T: Send { user_id: &'a str, t: [T; N] }",
    "#[feeder(entity = Page<A, B>)] struct F { #[feeder(key)] id: K, #[feeder(entity)] page: Option<Arc<Page<A, B>>> }",
    "#[feeder(entity = \"User\", key = id, kye = 1)] struct G(#[feeder(key, entity)] Vec<u8>, #[feeder(entity = 1)] u8);",
    "#[feeder(key = \"a\")] struct H<T> { a: T }",
    "#[feeder(entity = Item, validate = Self::check::<T>, on_hit = self::hit, on_loaded = <u8>::x)] struct I<T> { #[feeder(key)] a: &'static T, #[feeder(key = \"b\")] c: Arc<str>, #[feeder(entity)] i: Option<Item> }",
    "#[feeder(entity = Item, key(\"a\", \"r#b\"), name = \"GetThem\", on_miss = Self::miss)] struct J { a: u8, r#b: Vec<&'static Key> }",
    "#[feeder(entity = Item, key = \"{a}:{b}\")] struct K<T> { a: &'static str, b: T }",
    "#[feeder(entity = Item, key = \"self.a.get(b, 1) + &format!(\\\"{a}{}\\\", -b[0])\")] struct L { a: u8, b: Box<[u8]> }",
    "#[feeder(entity = Item)] struct M { #[feeder(key)] a: &'static [&'static str], #[feeder(entity)] i: Vec<Option<Arc<Item>>> }",
    "#[feeder(entity = Arc<Item>, name = \"a b\", on_hit = \"x\", on_miss = |x| y)] struct N { #[feeder(key = 7)] a: HashSet<u8>, #[feeder(entity)] i: Vec<Item> }",
    "#[feeder(entity =)] enum None_ {}",
    "struct Unit;",
];

fn parsed(sources: &[&str]) -> Vec<TokenStream> {
    sources
        .iter()
        .filter_map(|source| source.parse().ok())
        .collect()
}

fn compile_errors(tokens: &TokenStream) -> usize {
    tokens.to_string().matches("compile_error").count()
}

#[test]
fn what_is_no_item_is_one_error() {
    for source in [
        "",
        "struct",
        "fn f() {}",
        "struct A { a: }",
        "#[cache(key = \"a\")]",
        "1 + 1",
    ] {
        for input in parsed(&[source]) {
            assert_eq!(compile_errors(&cache_entity(input.clone())), 1, "{source}");
            assert_eq!(compile_errors(&cache_feeder(input)), 1, "{source}");
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    for (source, mistakes) in [
        (
            "#[cache(prefx = \"x\", ttl = \"0s\", key = \"idd\", version = \"2\", prefix = \"a:b\", prefix = \"c\")]
             struct A { id: u8, #[serde(flatten)] m: M, #[cache(kye)] x: u8 }",
            8,
        ),
        ("#[cache(key(\"a\", b, 1, \"c\", \"a\"))] struct A { a: f32 }", 5),
        ("struct A<T> { id: T }", 2),
        ("#[cache(key = \"a\" prefix = \"b\", ttl)] struct A { #[cache(key)] a: u8 }", 3),
        ("#[cache] #[cache = \"a\"] struct A { id: u8 }", 2),
        ("#[cache(key = id)] struct A { id: u8 }", 1),
        ("#[cache(key = \"id\", max_bytes = 64KiB, version = 2x)] struct A { id: u8 }", 2),
        (
            "#[cache(key = \"id\", jitter = \"1%\", refresh_ahead = 1, stale_while_revalidate = \"0s\")] struct A { id: u8 }",
            4,
        ),
        (
            "#[cache(key = \"id\", ttl = \"0s\", jitter = \"0%\", refresh_ahead = 0, stale_if_error = \"0s\", answer_within = \"0s\")] struct A { id: u8 }",
            5,
        ),
        ("#[cache(, key = \"id\")] struct A { id: u8 }", 1),
    ] {
        for input in parsed(&[source]) {
            let output = cache_entity(input);
            assert_eq!(compile_errors(&output), mistakes, "{source}\n\n{output}");
        }
    }
    for (source, mistakes) in [
        ("struct A { id: u8 }", 2),
        ("#[feeder(entity = \"User\", key = \"idd\", key = \"id\")] struct A { id: u8 }", 3),
        ("#[feeder(entity = Page<A, B, key = \"id\")] struct A { id: u8 }", 1),
        (
            "#[feeder(entity = User, key = \"id\")]
             struct A { #[feeder(key)] id: Vec<u8>, #[feeder(entity)] #[feeder(entity)] e: u8, #[feeder(entity)] g: u8 }",
            3,
        ),
        ("#[feeder(entity = User)] struct A { #[feeder(key)] id: u8 }", 1),
        ("#[feeder(entity = User)] struct A { #[feeder(entity)] user: Option<User> }", 1),
        ("#[feeder(entity = User, key = 5)] struct A { id: u8 }", 1),
    ] {
        for input in parsed(&[source]) {
            let output = cache_feeder(input);
            assert_eq!(compile_errors(&output), mistakes, "{source}\n\n{output}");
        }
    }
}

#[test]
fn what_the_prelude_of_sea_orm_names_is_known_in_its_models() {
    let with = "#[serde(with = \\\"cache_kit::serde::";
    for (model, field, module) in [
        (true, "Json", Some("json")),
        (true, "Option<Json>", Some("json")),
        (true, "JsonValue", Some("json")),
        (true, "Option<Vec<Decimal>>", Some("text")),
        (true, "BigDecimal", Some("text")),
        (true, "my::Decimal", None),
        (false, "Decimal", None),
        (false, "Json", None),
        (false, "sea_orm::prelude::Decimal", Some("text")),
        (false, "sea_orm::JsonValue", Some("json")),
        (false, "bigdecimal::BigDecimal", Some("text")),
        (false, "serde_json::Value", Some("json")),
    ] {
        let table = match model {
            true => "#[sea_orm(table_name = \"orders\")]",
            false => "",
        };
        let source = format!(
            "#[cache(key = \"id\")] {table} struct Order {{ id: u8, value: {field}, \
             #[serde(with = \"of_mine\")] other: {field} }}"
        );
        for input in parsed(&[&source]) {
            let output = cache_entity(input).to_string();
            assert_eq!(
                output.matches("compile_error").count(),
                usize::from(module.is_some())
            );
            assert_eq!(output.contains("write its path"), model && module.is_some());
            for each in ["json", "text"] {
                let advised = output.contains(&format!("{with}{each}"));
                assert_eq!(advised, module == Some(each), "{source}\n\n{output}");
            }
        }
    }
}

#[test]
fn a_type_that_many_have_says_its_prefix_or_its_table() {
    for (source, prefix) in [
        ("struct Model { id: u8 }", None),
        ("struct Entity { id: u8 }", None),
        ("struct r#Row { id: u8 }", None),
        ("struct Record { id: u8 }", None),
        ("struct Records { id: u8 }", Some("records")),
        (
            "#[cache(prefix = \"cake\")] struct Model { id: u8 }",
            Some("cake"),
        ),
        (
            "#[sea_orm(table_name = \"cake\")] struct Model { id: u8 }",
            Some("cake"),
        ),
        (
            "#[diesel(table_name = s::cakes)] struct Cake { id: u8 }",
            Some("cakes"),
        ),
        (
            "#[cache(prefix = \"model\")] #[sea_orm(table_name = \"a b\")] struct Model { id: u8 }",
            Some("model"),
        ),
        (
            "#[sea_orm(table_name = \"a b\")] struct Cake { id: u8 }",
            None,
        ),
    ] {
        for input in parsed(&[&format!("#[cache(key = \"id\")] {source}")]) {
            let output = cache_entity(input);
            let errors = compile_errors(&output);
            match prefix {
                Some(prefix) => {
                    assert_eq!(errors, 0, "{source}\n\n{output}");
                    let stated = format!("str {{ \"{prefix}\" }}");
                    assert!(output.to_string().contains(&stated), "{source}\n\n{output}");
                }
                None => assert_eq!(errors, 1, "{source}\n\n{output}"),
            }
        }
    }
}

#[test]
fn a_misspelt_word_is_one_mistake() {
    for source in [
        "#[cache(kye = \"id\")] struct A { id: u8 }",
        "#[cache(keys(\"id\", \"n\"))] struct A { id: u8, n: u8 }",
        "#[cache(key = \"id\", prefx = \"a\")] struct Model { id: u8 }",
        "#[cache(key = \"id\", perfix_with = T::p)] struct A<T> { id: u8, t: T }",
        "#[cache(key = \"id\", stale_if_error = \"1s\", tll = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", jitter = \"1%\", stale_while_revalidate = \"1s\", tll = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", jitter = \"1%\", refresh_ahead = 1, expires = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", ttl = \"1s\", answer_within = \"1s\", stale = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", ttl = \"1s\", answer_within = \"1s\", grace = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", ttl = \"1s\", stale_if_error = \"1x\", answer_within = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"id\", ttl = 1, refresh_ahead = 1)] struct A { id: u8 }",
        "#[cache(key = \"id\", ttl = \"1s\", jiter = \"10\")] struct A { id: u8 }",
        "#[cache(key_wth = Self::k, key_type = u8)] enum A { B }",
        "#[cache(key_with = Self::k, key_typ = u8)] enum A { B }",
        "#[cache(key = \"id\", kye = \"id\")] struct A { id: u8 }",
        "#[cache(key = \"id\")] struct A { id: u8, #[serde(skip)] #[cache(skipok)] n: u8 }",
        "#[cache(key = \"id\")] struct A { #[cache(kee)] id: u8 }",
        "struct A { #[cache(kee)] id: u8, #[cache(key)] n: u8 }",
        "#[cache(id)] struct A { id: u8 }",
        "#[cache(\"id\")] struct A { id: u8 }",
        "#[cache(primary_field = \"id\", ttl = \"1s\")] struct A { id: u8 }",
        "#[cache(key = \"idd\")] struct A { id: u8 }",
        "#[cache(key(\"idd\", \"n\"))] struct A { id: u8, n: u8 }",
        "#[cache(key = \"{idd}\")] struct A { id: u8 }",
    ] {
        for input in parsed(&[source]) {
            let output = cache_entity(input);
            assert_eq!(compile_errors(&output), 1, "{source}\n\n{output}");
        }
    }
    for source in [
        "#[feeder(enttity = User, key = \"id\")] struct A { id: u8 }",
        "#[feeder(entity = User, kye = \"id\")] struct A { id: u8 }",
        "#[feeder(entity = User, keys(\"id\", \"n\"))] struct A { id: u8, n: u8 }",
        "#[feeder(type_of = User, key = \"id\")] struct A { id: u8 }",
        "#[feeder(entity = User, field = \"id\")] struct A { id: u8 }",
        "#[feeder(entity = User, key = \"id\", naem = \"B\")] struct A { id: u8 }",
        "#[feeder(entity = User, key = \"id\", on_mis = Self::m)] struct A { id: u8 }",
        "#[feeder(entity = User)] struct A { #[feeder(kee)] id: u8, #[feeder(entity)] u: Option<User> }",
        "#[feeder(entity = User)] struct A { #[feeder(key)] id: u8, #[feeder(entty)] u: Option<User> }",
        "#[feeder(entity = User, key = \"idd\")] struct A { id: u8 }",
        "#[feeder(entity = User, key(\"idd\", \"n\"))] struct A { id: u8, n: u8 }",
    ] {
        for input in parsed(&[source]) {
            let output = cache_feeder(input);
            assert_eq!(compile_errors(&output), 1, "{source}\n\n{output}");
        }
    }
}

#[test]
fn a_mistake_leaves_an_impl_behind() {
    for input in parsed(SOURCES) {
        assert!(
            cache_entity(input.clone())
                .to_string()
                .contains("CacheEntity for"),
            "{input}"
        );
        assert!(
            cache_feeder(input.clone())
                .to_string()
                .contains(":: CacheFeed"),
            "{input}"
        );
    }
}

#[test]
fn generated_code_names_cache_kit_and_nothing_else() {
    let output: TokenStream = parsed(&[
        SOURCES[0],
        "#[cache(key = \"id\", ttl = \"1s\", jitter = \"1%\", stale_if_error = \"1s\", answer_within = \"1s\", refresh_ahead = 1)] struct F { id: u8 }",
        "#[cache(key(\"a\", \"b\"))] struct I { a: u8, b: u8 }",
    ])
    .into_iter()
    .map(cache_entity)
    .chain(
        parsed(&[
            SOURCES[7],
            SOURCES[8],
            SOURCES[11],
            SOURCES[13],
            SOURCES[14],
            SOURCES[15],
        ])
        .into_iter()
        .map(cache_feeder),
    )
    .collect();
    let text = output.to_string();
    assert_eq!(compile_errors(&output), 0, "{text}");
    for foreign in ["std ::", "core ::", "alloc ::", "serde ::"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
    assert_eq!(
        text.matches(":: cache_kit").count(),
        text.matches(":: cache_kit :: __private ::").count(),
    );
}
