//! Prints every key of an RDB file with its sizes, one JSON object a line.
//!
//! `sizes FILE [--profile P] [--allocator A] [--depth N] [--cluster]`
#![expect(clippy::print_stdout, reason = "its purpose")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let mut server = support::Server::default();
    let mut file = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value"));
        match arg.as_str() {
            "--profile" => server.profile = Some(value()?.parse().map_err(anyhow::Error::msg)?),
            "--allocator" => server.allocator = value()?.parse().map_err(anyhow::Error::msg)?,
            "--depth" => server.config.list_compress_depth = value()?.parse()?,
            "--cluster" => server.config.cluster = true,
            _ => file = Some(arg),
        }
    }
    let file = file.ok_or_else(|| anyhow::anyhow!("the name of an RDB file is missing"))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for row in support::scan(file.as_ref(), &server).rows {
        writeln!(out, "{}", support::json_line(&row))?;
    }
    Ok(())
}
