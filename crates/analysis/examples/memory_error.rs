//! Holds the memory model against real servers and prints the table of docs/MEMORY.md.
//!
//! `memory_error FOLDER`: a folder of RDB files, each with the truth of its server.
#![expect(clippy::print_stdout, reason = "its purpose")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use support::truth::{Comparison, Tally, compare, files_with_truth};

const TYPES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "../shared/rdb".to_owned());
    print!("| file | modelled as | keys | exact % | within 1 % | bytes |");
    TYPES.iter().for_each(|name| print!(" {name} |"));
    println!(" other |");
    println!("|{}", "---|".repeat(TYPES.len() + 7));
    for path in files_with_truth(Path::new(&folder)) {
        print_row(&compare(&path));
    }
}

fn print_row(comparison: &Comparison) {
    let Comparison { name, profile, allocator, all, .. } = comparison;
    let types = comparison.types();
    let bytes = comparison.bytes_error_pct().map_or("-".to_owned(), |e| format!("{e:+.2} %"));
    print!("| {name} | {profile}, {allocator} | {} |", all.keys);
    print!(" {:.3} | {:.3} | {bytes} |", all.exact_pct(), all.within_1pct_pct());
    for name in TYPES {
        print!(" {} |", types.get(name).map_or("-".to_owned(), cell));
    }
    let others = types.iter().filter(|(name, _)| !TYPES.contains(name));
    let others: Vec<String> =
        others.map(|(name, tally)| format!("{name} {}", cell(tally))).collect();
    println!(" {} |", if others.is_empty() { "-".to_owned() } else { others.join(", ") });
    if let Some(difference) = comparison.differences.first() {
        eprintln!("{name}: {} differ: {difference}", comparison.differences.len());
    }
}

/// Keys, the share that is exact, the largest error, the error of the sum.
fn cell(tally: &Tally) -> String {
    let exact = tally.exact_pct();
    match tally.exact == tally.keys {
        true => format!("{}: all", tally.keys),
        false => {
            let Tally { keys, worst_pct, .. } = tally;
            let sum = tally.sum_error_pct();
            format!("{keys}: {exact:.2} (worst {worst_pct:+.1} %, sum {sum:+.2} %)")
        }
    }
}
