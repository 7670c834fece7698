//! Generates the client and the server of `directory.proto`, and takes the services out of the pages.
//!
//! The page of a framework shows a `main.rs` that says `mod users;`, and the page of a database shows
//! that `users.rs`. Here they become files, each framework with each database, as a reader puts them
//! together: `axum_sqlx/main.rs` and `axum_sqlx/users.rs`. `tests/joined.rs` runs them. The further
//! examples of a database use its file alone: `sqlx.rs`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const PAGES: &str = "../../cache-kit/src/guide";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=directory.proto");
    println!("cargo::rerun-if-changed=build.rs");
    let files = protox::compile(["directory.proto"], ["."])?;
    tonic_prost_build::configure().compile_fds(files)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    for database in ["sqlx", "sea_orm", "diesel"] {
        let users = shown("pub struct Users", database)?;
        fs::write(out.join(database).with_extension("rs"), &users)?;
        for framework in ["axum", "actix_web", "tonic"] {
            let service = out.join(format!("{framework}_{database}"));
            fs::create_dir_all(&service)?;
            fs::write(service.join("main.rs"), shown("mod users;", framework)?)?;
            fs::write(service.join("users.rs"), &users)?;
        }
    }
    Ok(())
}

/// What a reader sees of the example of `page` that contains `mark`.
fn shown(mark: &str, page: &str) -> Result<String, Box<dyn Error>> {
    let path = Path::new(PAGES).join(page).with_extension("md");
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read_to_string(&path)?;
    let mut examples = text.split("\n```").skip(1).step_by(2);
    let example = examples.find(|example| example.contains(mark));
    let lines = example.ok_or_else(|| format!("{page}: no example has `{mark}`"))?;
    let hidden = |line: &str| line.trim() == "#" || line.trim_start().starts_with("# ");
    Ok(lines
        .lines()
        .filter(|line| !hidden(line))
        .collect::<Vec<_>>()
        .join("\n"))
}
