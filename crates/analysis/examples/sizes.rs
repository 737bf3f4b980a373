//! Prints every key of an RDB file with its sizes, one JSON object a line.
//!
//! `sizes FILE [--profile P] [--allocator A] [--depth N] [--cluster]`

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

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
        writeln!(out, "{}", json_line(&row))?;
    }
    Ok(())
}

/// A JSON line as `sizes.py` reads it.
fn json_line(row: &support::Row) -> String {
    let mut line = serde_json::json!({
        "db": row.db,
        "type": row.object_type,
        "encoding": row.sizes.encoding.to_string(),
        "num_of_elem": row.sizes.num_of_elem,
        "bytes": row.sizes.bytes,
        "memory_usage": row.sizes.memory_usage.unwrap_or(0),
    });
    if let Some(fields) = line.as_object_mut() {
        match std::str::from_utf8(&row.name) {
            Ok(name) => fields.insert("key".into(), name.into()),
            Err(_) => fields.insert("key_base64".into(), BASE64_STANDARD.encode(&row.name).into()),
        };
        if let Some(at_ms) = row.expire_at_ms {
            fields.insert("expire_at_ms".into(), at_ms.into());
        }
    }
    line.to_string()
}
