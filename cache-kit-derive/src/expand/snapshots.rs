//! The output of the derives, formatted for reading: `snapshots/*.rs`, each an input and its
//! output.
//!
//! `::cache_kit::__private` is `kit` in them.
//!
//! `CACHE_KIT_BLESS=1 cargo test -p cache-kit-derive snapshots` writes them again. Read the
//! difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use super::{cache_entity, cache_feeder};

/// The separator between input and output.
const EXPANDED: &str = "\n// ↓ expands to\n\n";

type Derive = fn(TokenStream) -> TokenStream;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/expand/snapshots")
}

/// Expands the first item, which derives it.
fn expanded(input: &str, derive: Derive) -> Result<String, String> {
    let item: syn::DeriveInput = syn::parse_str(input).map_err(|error| error.to_string())?;
    let tokens = derive(quote::quote!(#item)).to_string();
    let tokens = tokens.replace(":: cache_kit :: __private ::", "kit ::");
    let file: syn::File = syn::parse_str(&tokens).map_err(|error| error.to_string())?;
    let items = file.items.into_iter().map(|item| {
        prettyplease::unparse(&syn::File {
            shebang: None,
            attrs: Vec::new(),
            items: vec![item],
        })
    });
    Ok(items.collect::<Vec<_>>().join("\n"))
}

/// The difference of one snapshot, if there is one.
fn check(path: &Path, bless: bool) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let input = text.split(EXPANDED).next().unwrap_or_default();
    let derive: Derive = if input.contains("CacheEntity)]") {
        cache_entity
    } else {
        cache_feeder
    };
    let now = format!("{input}{EXPANDED}{}", expanded(input, derive)?);
    if now == text {
        return Ok(());
    }
    if bless {
        return fs::write(path, now).map_err(|error| error.to_string());
    }
    Err(format!("expected\n\n{text}\nand got\n\n{now}"))
}

#[test]
fn what_the_derives_write_reads_as_written_by_hand() {
    let bless = std::env::var_os("CACHE_KIT_BLESS").is_some();
    let files = fs::read_dir(folder()).map(|files| {
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        paths.collect::<Vec<_>>()
    });
    let mut files = files.unwrap_or_default();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let difference = check(path, bless).err()?;
            Some(format!("{}: {difference}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
