//! Writes a file to measure with to stdout: `workload NAME [COUNT [SEED]] > FILE`
//!
//! Without a name it lists them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for whoever measures")]

use std::{env, io};

use offkey_testkit::{Workload, write_workload};

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let Some(name) = args.first() else {
        for Workload { name, about, count, .. } in Workload::ALL {
            println!("{name:12} {count:>10}  {about}");
        }
        return Ok(());
    };
    let workload = Workload::named(name).unwrap();
    let number = |at: usize| args.get(at).map(|text| text.parse().unwrap());
    let (count, seed) = (number(1).unwrap_or(workload.count), number(2).unwrap_or(1));
    write_workload(workload, count, seed, &mut io::stdout().lock())
}
