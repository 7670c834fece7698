//! Runs the entry points on a hundred thousand inputs, most of them nearly valid: there is no
//! panic, and every output is Rust.

use std::thread;

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::attr::entity::{EntityAttr, EntityMarks};
use crate::attr::feeder::FeederAttr;
use crate::expand::tests::SOURCES as BASICS;
use crate::expand::{cache_entity, cache_feeder, cache_schema};

const INPUTS: usize = 100_000;
const THREADS: usize = 4;

/// Every construct that the derives know, valid and invalid, and their combinations.
const SOURCES: &[&str] = &[
    "#[cache(prefix = \"user\", key = \"id\", ttl = \"1h\", stale_if_error = \"10m\", negative_ttl = \"5s\", version = 2)]
     pub struct User { id: String, #[serde(skip)] name: Option<Name>, address: Vec<Address> }",
    "#[cache(key = \"id\", ttl = \"1h\", jitter = \"2.5%\", stale_while_revalidate = \"30s\", answer_within = \"50ms\", refresh_ahead = 1.5)]
     struct Refreshed { id: u64 }",
    "#[cache(key(\"a\", \"r#b\"), crate = \"crate::kit\", max_bytes = \"64 KiB\")]
     pub(crate) struct Item { a: u64, pub r#b: Vec<(u8, &'static str)> }",
    "#[cache(key = \"{0}:{1}\", max_bytes = 100, validate = Self::check)] #[serde(transparent)] struct Pair(f64, [u8; 4]);",
    "#[cache(prefix_with = T::prefix, key = \"key\", bound = \"T: Paged, T: CacheSchema\")]
     struct Page<T: Copy = u8, const N: usize = 4> where T: Send { key: T, grid: Grid<T, N>, rest: [Self; 2] }",
    "#[cache(key_with = Self::id::<8>, key_type = <A as B>::C<'static, D>)] #[serde(rename_all = \"x\")]
     enum Animal { #[serde(rename = \"y\")] Cat { id: u64 }, Dog(Bone, serde_json::Value) = 7, #[serde(skip)] Stray }",
    "#[cache(version = 2)] struct Address<'a, T> { city: Cow<'a, str>, old: Option<Box<Self>>, t: HashMap<T, Country> }",
    "struct Marked { #[cache(key)] a: Tag, #[cache(key)] #[serde(skip_serializing_if = \"x\", flatten)] b: f32 }",
    "struct Tuple(#[cache(key)] pub Tag, #[cache(key)] std::string::String, u8);",
    "#[cache(prefx = \"a:b\", key, ttl = 5, version = -1, crate = 7, bound = \"T\", validate = \"x\")]
     struct Wrong<'a, T: Copy, const N: usize> where T: 'a { x: &'a [T; N] }",
    "#[cache] #[cache = 1] #[cache(,, = key(a, 1) \"x\")] enum E { A(#[cache(key)] u8), #[cache(ttl = \"1s\")] B { b: u8 } }",
    "#[cache(key = \"a\")] union U { a: u8 }",
    "#[cache(key_with = f, key_type = &'static str)] struct Unit;",
    "#[feeder(entity = User, key = \"user_id\", name = \"Asks\", on_hit = Self::hit, on_miss = m, on_loaded = l, validate = v)]
     pub struct GetUser<'a, T = u8, const N: usize = 1> where T: Send { user_id: &'a str, t: [T; N] }",
    "#[feeder(entity = Page<A, B>)] struct F { #[feeder(key)] id: K, #[feeder(entity)] page: Option<Arc<Page<A, B>>> }",
    "#[feeder(entity = User)] struct Many { #[feeder(key)] ids: Vec<u64>, #[feeder(entity)] users: Vec<Option<Arc<User>>> }",
    "#[feeder(entity = Item)] struct Parts { #[feeder(key)] a: u8, #[feeder(key)] b: u8, #[feeder(entity)] item: Option<Item> }",
    "#[feeder(entity = User, key = self.a.b(1) + 2)] struct Computed { a: A }",
    "#[feeder(entity = \"User\", key = id, kye = 1)] struct G(#[feeder(key, entity)] Vec<u8>, #[feeder(entity = 1)] u8);",
    "#[feeder(key = \"a\")] struct H<T> { a: T }",
    "#[feeder(entity =)] enum None_ {}",
];

/// Words besides those of the attributes.
const OTHER_WORDS: &[&str] = &[
    "struct", "enum", "cache", "feeder", "serde", "skip", "untagged", "Self", "self", "T", "Vec",
    "where", "for", "dyn",
];

const TEXTS: &[&str] = &[
    "",
    "{",
    "{id}",
    "{}",
    "a:b",
    "0s",
    "99999999999d",
    "é\u{0}",
    "1h30m",
    "::",
    "r#",
    "0",
    "64 KiB",
    "10%",
    "0%",
    "T: Clone",
    "id",
    "\u{202e}",
];

const SIGNS: &[char] = &[
    '#', '=', ',', ':', '<', '>', '\'', '&', '-', ';', '$', '|', '!', '?',
];

/// A small random number generator with a fixed sequence.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn senseless(numbers: &mut Numbers) -> TokenTree {
    match numbers.below(8) {
        0 => Ident::new_raw("type", Span::call_site()).into(),
        1 => Ident::new(numbers.one_of(OTHER_WORDS), Span::call_site()).into(),
        2 => {
            let words = numbers.one_of(&[EntityAttr::WORDS, FeederAttr::WORDS, EntityMarks::WORDS]);
            let at = numbers.below(words.len());
            Ident::new(words[at].name, Span::call_site()).into()
        }
        3 => Literal::string(numbers.one_of(TEXTS)).into(),
        4 => Literal::u64_unsuffixed(numbers.one_of(&[0, 1, u64::MAX])).into(),
        5 => Literal::f64_unsuffixed(numbers.one_of(&[0.0, 1.5, f64::MAX])).into(),
        6 => {
            let delimiter = numbers.one_of(&[
                Delimiter::None,
                Delimiter::Parenthesis,
                Delimiter::Brace,
                Delimiter::Bracket,
            ]);
            Group::new(delimiter, TokenStream::new()).into()
        }
        _ => {
            let spacing = numbers.one_of(&[Spacing::Alone, Spacing::Joint]);
            Punct::new(numbers.one_of(SIGNS), spacing).into()
        }
    }
}

/// Drops, doubles, swaps, wraps or replaces a token somewhere in `tokens`.
fn mutated(tokens: TokenStream, numbers: &mut Numbers) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    if tokens.is_empty() {
        return senseless(numbers).into();
    }
    let at = numbers.below(tokens.len());
    if let TokenTree::Group(group) = &tokens[at]
        && numbers.below(8) > 0
    {
        let inner = mutated(group.stream(), numbers);
        tokens[at] = Group::new(group.delimiter(), inner).into();
        return tokens.into_iter().collect();
    }
    match numbers.below(6) {
        0 => {
            tokens.remove(at);
        }
        1 => tokens.insert(at, tokens[at].clone()),
        2 => {
            let other = numbers.below(tokens.len());
            tokens.swap(at, other);
        }
        // Tokens that a macro passes on as `$x:tt` or `$x:ty` are in a group without delimiters.
        3 => tokens[at] = Group::new(Delimiter::None, tokens[at].clone().into()).into(),
        4 => tokens.insert(at, senseless(numbers)),
        _ => tokens[at] = senseless(numbers),
    }
    tokens.into_iter().collect()
}

fn is_refusal(output: &TokenStream) -> bool {
    output
        .clone()
        .into_iter()
        .any(|token| matches!(token, TokenTree::Ident(word) if word == "compile_error"))
}

/// How many of `rounds` inputs each entry point accepted without an error.
fn feed(rounds: usize, seed: u64) -> [usize; 3] {
    let mut numbers = Numbers(seed);
    let corpus: Vec<TokenStream> = SOURCES
        .iter()
        .chain(BASICS)
        .map(|source| source.parse().unwrap_or_default())
        .collect();
    assert!(corpus.iter().all(|source| !source.is_empty()));
    let mut accepted = [0; 3];
    for round in 0..rounds {
        let mut input = corpus[round % corpus.len()].clone();
        for _ in 0..=numbers.below(3) {
            input = mutated(input, &mut numbers);
        }
        let entry_points = [cache_entity, cache_feeder, cache_schema];
        for (accepted, derive) in accepted.iter_mut().zip(entry_points) {
            let output = derive(input.clone());
            *accepted += usize::from(!is_refusal(&output));
            let file = syn::parse2::<syn::File>(output.clone());
            assert!(
                file.is_ok_and(|file| !file.items.is_empty()),
                "{input}\n\n{output}"
            );
        }
    }
    accepted
}

#[test]
fn no_input_makes_a_derive_panic_or_write_what_is_no_rust() {
    let threads: Vec<_> = (0..THREADS as u64)
        .map(|seed| thread::spawn(move || feed(INPUTS / THREADS, seed)))
        .collect();
    let mut accepted = [0; 3];
    for thread in threads {
        let Ok(part) = thread.join() else {
            panic!("the input stands above");
        };
        for (all, part) in accepted.iter_mut().zip(part) {
            *all += part;
        }
    }
    assert!(
        accepted.iter().all(|accepted| *accepted > INPUTS / 200),
        "some inputs should be right: {accepted:?}"
    );
}
