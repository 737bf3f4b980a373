//! Writes small files of every dialect: `cargo run -p offkey-testkit --example write_files DIR`
//!
//! They are what fuzzing begins with, and something to look at with `offkey inspect`.

#![expect(clippy::unwrap_used, reason = "a tool for whoever tests the reader")]

use std::env;
use std::fs;
use std::path::PathBuf;

use offkey_testkit::{Dialect, Keyspace};

fn main() {
    let dir = PathBuf::from(env::args().nth(1).unwrap());
    fs::create_dir_all(&dir).unwrap();
    for dialect in Dialect::ALL {
        for seed in 0..4 {
            let file = Keyspace::generate_small(seed, *dialect, dialect.types().len());
            fs::write(dir.join(format!("{dialect:?}-{seed}.rdb")), file.bytes).unwrap();
        }
    }
}
