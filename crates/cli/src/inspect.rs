//! `offkey inspect`: the entries of a file as they stand in it.

use std::fmt::{self, Write as _};
use std::fs::File;

use offkey_rdb::{
    Checksum, Entry, Error, Flavor, Key, ModuleId, Options, Part, Quoted, Reader, Str, Text,
    ValueEnd, Visit,
};

use crate::Outcome;
use crate::args::InspectArgs;
use crate::output::Output;

/// Bytes of lines gathered before they are written.
const BATCH_LEN: usize = 1 << 16;

/// Columns of the offset and of the entry's kind.
const AT_WIDTH: usize = 12;
const KIND_WIDTH: usize = 14;

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<Outcome> {
    let mut lines = Lines { batch: String::new(), output: Output::open(None)?, state: Ok(true) };
    let name = args.file.display().to_string();
    let name = offkey_render::name::Text(&name);
    let outcome = match File::open(&args.file) {
        Ok(file) => match print(file, args.parts, &mut lines) {
            Ok(outcome) => outcome,
            Err(error) => {
                lines.end();
                lines.flush();
                eprintln!("offkey: {name}: {error}");
                Outcome::Incomplete
            }
        },
        Err(error) => {
            eprintln!("offkey: {name}: cannot open: {error}");
            Outcome::Incomplete
        }
    };
    lines.flush();
    if lines.state? { Ok(outcome) } else { Ok(Outcome::Complete) }
}

fn print(file: File, parts: bool, lines: &mut Lines) -> Result<Outcome, Error> {
    let mut reader = Reader::new(file, Options::default())?;
    let header = reader.header();
    let flavor = match header.flavor {
        Flavor::Redis => "redis",
        Flavor::Valkey => "valkey",
    };
    lines.entry(0, "header", format_args!("{flavor} version {}", header.version));
    let mut outcome = Outcome::Complete;
    while lines.wanted() {
        let at = reader.at();
        match reader.next_entry()? {
            Entry::Aux { name, value } => {
                lines.entry(at, "aux", format_args!("{} = {}", Quoted(name), Quoted(value)));
            }
            Entry::SelectDb(db) => lines.entry(at, "select-db", format_args!("{db}")),
            Entry::ResizeDb { key_count, expire_count } => lines.entry(
                at,
                "resize-db",
                format_args!("{key_count} keys, {expire_count} with an expiry"),
            ),
            Entry::SlotInfo { slot, key_count, expire_count } => lines.entry(
                at,
                "slot-info",
                format_args!("slot {slot}, {key_count} keys, {expire_count} with an expiry"),
            ),
            Entry::Function { len } => {
                lines.entry(at, "function", format_args!("{len} bytes of code"));
            }
            Entry::ModuleAux { module, len } => {
                let module = Module(module);
                lines.entry(at, "module-aux", format_args!("{module}, {len} bytes"));
            }
            Entry::HashTemplate { id, field_count } => {
                lines.begin(at, "hash-template", format_args!("{id}, {field_count} fields"));
                let end = reader.value(&mut PrintParts { lines, wanted: parts })?;
                lines.value_end(&end, parts);
            }
            Entry::SlotImport => lines.entry(at, "slot-import", format_args!("passed over")),
            Entry::Key(key) => {
                let name = Quoted(reader.key());
                let facts = KeyLine(&key);
                lines.begin(key.at, "key", format_args!("db {} {name} {facts}", key.db));
                let end = reader.value(&mut PrintParts { lines, wanted: parts })?;
                lines.value_end(&end, parts);
                if end.damage.is_some() {
                    outcome = Outcome::Incomplete;
                }
            }
            Entry::End(checksum) => {
                lines.entry(at, "end", format_args!("checksum {}", ChecksumLine(&checksum)));
                if let Checksum::Wrong { .. } = checksum {
                    outcome = Outcome::Incomplete;
                }
                break;
            }
        }
    }
    Ok(outcome)
}

/// Lines on their way to stdout.
struct Lines {
    batch: String,
    output: Output,
    /// `Ok(false)` once the reader of stdout has gone.
    state: anyhow::Result<bool>,
}

impl Lines {
    fn entry(&mut self, at: u64, kind: &str, facts: fmt::Arguments<'_>) {
        self.begin(at, kind, facts);
        self.end();
    }

    /// Begins the line of an entry whose value is still to be read.
    fn begin(&mut self, at: u64, kind: &str, facts: fmt::Arguments<'_>) {
        let _ = write!(self.batch, "{at:>AT_WIDTH$}  {kind:<KIND_WIDTH$} {facts}");
    }

    fn part(&mut self, facts: fmt::Arguments<'_>) {
        let _ = write!(self.batch, "{:>AT_WIDTH$}    {facts}", "");
        self.end();
    }

    /// Length and damage of the entry's value: on its line, or after the parts.
    fn value_end(&mut self, end: &ValueEnd, parts: bool) {
        if parts {
            self.end();
            self.part(format_args!("{} bytes in the file", end.serialized_len));
        } else {
            let _ = write!(self.batch, ", {} bytes", end.serialized_len);
            self.end();
        }
        if let Some(damage) = &end.damage {
            self.part(format_args!("DAMAGED at byte {}: {}", damage.at, damage.reason));
        }
    }

    /// Ends a line, if one was begun.
    fn end(&mut self) {
        if !matches!(self.batch.as_bytes(), [] | [.., b'\n']) {
            self.batch.push('\n');
        }
        if self.batch.len() >= BATCH_LEN {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.wanted() {
            self.state = self.output.write(self.batch.as_bytes());
        }
        self.batch.clear();
    }

    fn wanted(&self) -> bool {
        matches!(self.state, Ok(true))
    }
}

/// What stands before a key's value, its db and name apart.
struct KeyLine<'a>(&'a Key);

impl fmt::Display for KeyLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { rdb_type, expire_at_ms, idle_seconds, freq, slot, meta_class_count, .. } = self.0;
        write!(f, "{rdb_type}")?;
        if let Some(ms) = expire_at_ms {
            write!(f, ", expires at {ms} ms")?;
        }
        if let Some(seconds) = idle_seconds {
            write!(f, ", idle {seconds} s")?;
        }
        if let Some(freq) = freq {
            write!(f, ", freq {freq}")?;
        }
        if let Some(slot) = slot {
            write!(f, ", slot {slot}")?;
        }
        if *meta_class_count > 0 {
            write!(f, ", {meta_class_count} metadata classes")?;
        }
        Ok(())
    }
}

struct ChecksumLine<'a>(&'a Checksum);

impl fmt::Display for ChecksumLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Checksum::Right => f.write_str("right"),
            Checksum::Wrong { stored, computed } => {
                write!(f, "WRONG: {stored:016x} stored, {computed:016x} computed")
            }
            Checksum::Disabled => f.write_str("switched off by the server"),
            Checksum::Absent => f.write_str("absent in this version"),
            Checksum::Skipped => f.write_str("not verified"),
        }
    }
}

struct Module(ModuleId);

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} encoding {}", Quoted(&self.0.name()), self.0.encoding_version())
    }
}

/// A string's content as far as it is at hand, otherwise its length.
struct Content<'a>(Str<'a>);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.text {
            Text::Int(value) => write!(f, "{value}"),
            Text::Short(bytes) => write!(f, "{}", Quoted(bytes)),
            Text::Long => write!(f, "({} bytes)", self.0.len),
        }
    }
}

/// Id of a stream's entry as servers write it.
struct StreamId([u8; 16]);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u128::from_be_bytes(self.0);
        write!(f, "{}-{}", id >> 64, id & u128::from(u64::MAX))
    }
}

struct PrintParts<'a> {
    lines: &'a mut Lines,
    wanted: bool,
}

impl Visit for PrintParts<'_> {
    fn part(&mut self, part: Part<'_>) {
        let lines = &mut *self.lines;
        if !self.wanted {
            return;
        }
        lines.end(); // The entry's own line, before the first part.
        match part {
            Part::String(text) => lines.part(format_args!("string {}", Content(text))),
            Part::Count(count) => lines.part(format_args!("{count} elements announced")),
            Part::Packed { kind, len, compressed_len } => {
                let compressed = Compressed(compressed_len);
                lines.part(format_args!("{kind:?} of {len} bytes{compressed}"));
            }
            // Items are wanted, so they come one by one.
            Part::Rows(count) => lines.part(format_args!("{count} items")),
            Part::Intset { width, count } => {
                lines.part(format_args!("{count} members of {width} bytes"));
            }
            Part::PlainNode { len, compressed_len } => {
                let compressed = Compressed(compressed_len);
                lines.part(format_args!("plain node of {len} bytes{compressed}"));
            }
            Part::Member(text) => lines.part(format_args!("member {}", Content(text))),
            Part::Score(score) => lines.part(format_args!("score {score}")),
            Part::ScoreText(text) => lines.part(format_args!("score {}", Content(text))),
            Part::Field(text) => lines.part(format_args!("field {}", Content(text))),
            Part::FieldExpire(ms) => lines.part(format_args!("field expires at {ms} ms")),
            Part::Value(text) => lines.part(format_args!("value {}", Content(text))),
            Part::Template { id } => lines.part(format_args!("template {id}")),
            Part::StreamNode { id, len, count } => {
                let id = StreamId(id);
                lines.part(format_args!("stream node {id} of {len} bytes, {count} entries"));
            }
            Part::StreamMeta { length, group_count } => {
                lines.part(format_args!("{length} entries, {group_count} groups announced"));
            }
            Part::Group { name } => lines.part(format_args!("group {}", Content(name))),
            Part::Pending { id, delivered_at_ms } => {
                let id = StreamId(id);
                lines.part(format_args!("pending {id}, delivered at {delivered_at_ms} ms"));
            }
            Part::Consumer { name } => lines.part(format_args!("consumer {}", Content(name))),
            Part::ConsumerPending { id } => {
                lines.part(format_args!("pending of the consumer {}", StreamId(id)));
            }
            Part::Producer { name } => lines.part(format_args!("producer {}", Content(name))),
            Part::ProducedId(id) => lines.part(format_args!("produced {}", Content(id))),
            Part::Module(module) => lines.part(format_args!("module {}", Module(module))),
            Part::ModuleInt(bits) => lines.part(format_args!("integer {bits}")),
            Part::ModuleFloat(value) => lines.part(format_args!("float {value}")),
            Part::ModuleString(text) => lines.part(format_args!("string {}", Content(text))),
            Part::ArrayValue { index, string } => match string {
                Some(text) => lines.part(format_args!("[{index}] {}", Content(text))),
                None => lines.part(format_args!("[{index}] held in its slot")),
            },
        }
    }
}

/// Length of a blob's compressed form, where the file holds that.
struct Compressed(Option<u64>);

impl fmt::Display for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(len) => write!(f, ", compressed to {len}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_ids_read_as_servers_write_them() {
        let mut id = [0; 16];
        id[7] = 5;
        id[15] = 9;
        assert_eq!(StreamId(id).to_string(), "5-9");
    }

    #[test]
    fn contents_are_escaped() {
        assert_eq!(Content(Str::from_bytes(b"\x1b[1m\xff")).to_string(), "\"\\x1b[1m\\xff\"");
        assert_eq!(Content(Str::from_bytes(&[b'x'; 65])).to_string(), "(65 bytes)");
        assert_eq!(Content(Str::from_int(-7)).to_string(), "-7");
    }
}
