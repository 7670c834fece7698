//! Breaks a store in every way while callers of every kind use it, and reports the result:
//!
//! ```sh
//! cargo run --release -p cache-kit-tests --bin chaos -- --store redis --minutes 10
//! ```
//!
//! Ends with an error if a read returned something older than an acknowledged update, if a call was
//! not answered within its deadlines, or if the cache did not hit again within three seconds after
//! a fault ended.

use std::process::ExitCode;
use std::time::Duration;

use cache_kit_tests::chaos::{Plan, Store, run};

const USAGE: &str =
    "usage: chaos [--store memory|redis|memcached|cluster] [--minutes N | --seconds N] [--seed N]";

fn main() -> ExitCode {
    let Some(plan) = plan(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{plan:?}");
    match run(plan) {
        Ok(report) => {
            println!("{report}");
            println!("seed           {}", plan.seed);
            if report.is_well() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn plan(mut words: impl Iterator<Item = String>) -> Option<Plan> {
    let mut plan = Plan {
        store: Store::Redis,
        length: Duration::from_secs(60),
        seed: fastrand::u64(..),
        healing: Duration::from_secs(3),
    };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match &*word {
            "--store" => {
                plan.store = match &*value {
                    "memory" => Store::Memory,
                    "redis" => Store::Redis,
                    "memcached" => Store::Memcached,
                    "cluster" => Store::Cluster,
                    _ => return None,
                }
            }
            "--minutes" => plan.length = Duration::from_secs(60 * value.parse::<u64>().ok()?),
            "--seconds" => plan.length = Duration::from_secs(value.parse().ok()?),
            "--seed" => plan.seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(plan)
}
