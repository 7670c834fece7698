//! Made-up values, for the parts of a value that a run has to get past.

/// How many values are tried in one place.
pub(super) const TRIES: usize = TEXTS.len();

/// Texts, each of which some kind of text-like type accepts.
const TEXTS: [&str; 24] = [
    "",
    "a",
    "1",
    "A",
    "a@b.cd",
    "127.0.0.1",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
    "00:00:00",
    "2000-01-01T00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "http://a.b/",
    "1.0.0",
    "::1",
    "127.0.0.1/32",
    "127.0.0.1:80",
    "en",
    "UTC",
    "EUR",
    "#000000",
    "+12025550123",
    "/",
    "abcdefgh",
    "00000000000000000000000000000000",
];

const NUMBERS: [i8; 12] = [0, 1, 2, 10, 42, 100, 7, -1, 3, 5, 16, 64];

const LETTERS: [char; 4] = ['a', 'A', '0', ' '];

/// Typical fixed lengths: of numbers, addresses, ids, hashes, keys.
const LENGTHS: [usize; 10] = [0, 1, 16, 4, 8, 12, 20, 32, 64, 24];

const ZEROS: [u8; 64] = [0; 64];

fn pick<T: Copy, const N: usize>(all: [T; N], palette: usize) -> T {
    all[palette % N]
}

pub(super) fn text(palette: usize) -> &'static str {
    pick(TEXTS, palette)
}

pub(super) fn number(palette: usize) -> i8 {
    pick(NUMBERS, palette)
}

/// The same for numbers that are never negative.
pub(super) fn count(palette: usize) -> u8 {
    number(palette).unsigned_abs()
}

pub(super) fn letter(palette: usize) -> char {
    pick(LETTERS, palette)
}

pub(super) fn bytes(palette: usize) -> &'static [u8] {
    &ZEROS[..length(palette)]
}

pub(super) fn length(palette: usize) -> usize {
    pick(LENGTHS, palette)
}
