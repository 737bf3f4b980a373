//! The analysis as plainly as it can be written: one thread, every key and every prefix held
//! in memory, everything sorted at the end. What it has in common with the crate is the
//! reader, from which it asks every item of every blob, and the memory model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use offkey_analysis::memory::{DbCounts, Model, Profile, Sizer, Sizes};
use offkey_analysis::{
    ChecksumState, DamagedKey, DbTotal, InputInfo, LargestKey, LargestKeyPrefix, Options, Overhead,
    PowerTotal, PrefixExactness, Report, SizeKind, SlotSpread, SlotTotal, SpanTotal, SpreadReport,
    TypeBytes, TypeNum,
};
use offkey_rdb::{Checksum, Entry, Inline, Key, ObjectType, Part, RdbType, Reader, Visit};
use serde_json::json;

use crate::tree;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Everything known of one key.
pub(crate) struct Row {
    name: Vec<u8>,
    key: Key,
    object_type: ObjectType,
    sizes: Sizes,
    serialized_bytes: u64,
    expires_in_ms: Option<i64>,
    size: u64,
}

/// What a prefix of a type has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) num: u64,
    pub(crate) bytes: u64,
}

impl Total {
    fn add(&mut self, bytes: u64) {
        self.num += 1;
        self.bytes += bytes;
    }
}

/// All prefixes of all types, by the type's place in the report.
pub(crate) type Prefixes = HashMap<(ObjectType, Vec<u8>), Total>;

/// Analyses files that can be read to their ends; answers every prefix beside the report.
pub(crate) fn analyze(paths: &[PathBuf], options: &Options) -> (Report, Prefixes) {
    let (mut rows, mut damaged, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        inputs.push(read(path, options, &mut rows, &mut damaged));
    }
    let (mut prefixes, mut lasting) = (Prefixes::new(), Prefixes::new());
    for row in &rows {
        for prefix in prefixes_of(&row.name, options) {
            if row.key.expire_at_ms.is_none() {
                let lasting = lasting.entry((row.object_type, prefix.clone())).or_default();
                lasting.add(row.size);
            }
            prefixes.entry((row.object_type, prefix)).or_default().add(row.size);
        }
    }
    let types = types(&rows);
    let is_expired = |row: &&Row| row.expires_in_ms.is_some_and(|left_ms| left_ms < 0);
    let expired: Vec<&Row> = rows.iter().filter(is_expired).collect();
    let report = Report {
        total_num: rows.len() as u64,
        total_bytes: rows.iter().map(|row| row.size).sum(),
        type_num: (types.iter())
            .map(|(t, total)| TypeNum { r#type: t.to_string(), num: total.num })
            .collect(),
        type_bytes: (types.iter())
            .map(|(t, total)| TypeBytes { r#type: t.to_string(), bytes: total.bytes })
            .collect(),
        largest_keys: largest(&rows, options.top),
        largest_key_prefixes: leading(&prefixes, &types, options, |t| (t.num, t.bytes)),
        complete: inputs.iter().all(|input| input.complete),
        checksum: inputs.iter().map(|input| input.checksum).max().unwrap(),
        damaged_num: damaged.len() as u64,
        damaged,
        largest_key_prefixes_by_bytes: leading(&prefixes, &types, options, |t| (t.bytes, t.num)),
        key_prefixes_without_expiry: tree::without_expiry(&prefixes, &lasting, &types, options),
        prefix_tree: tree::tree(&prefixes, &lasting, options),
        prefix_exactness: PrefixExactness {
            counts_exact: true,
            lists_complete: true,
            without_expiry_complete: true,
            unlisted_at_most: Vec::new(),
        },
        expired_num: expired.len() as u64,
        expired_bytes: expired.iter().map(|row| row.size).sum(),
        spread: spread(&rows),
        inputs,
    };
    (report, prefixes)
}

/// Every part of a key before a separator, digits counted as 0; or the whole key.
pub(crate) fn prefixes_of(name: &[u8], options: &Options) -> Vec<Vec<u8>> {
    const LEVELS_MAX: usize = 1024;
    let separates = |byte: u8| options.separators.contains(&byte);
    let counts_as =
        |byte: &u8| if options.fold_digits && byte.is_ascii_digit() { b'0' } else { *byte };
    let folded = |text: &[u8]| text.iter().map(counts_as).collect::<Vec<u8>>();
    if !name.iter().any(|byte| separates(*byte)) {
        return if name.is_empty() { Vec::new() } else { vec![folded(name)] };
    }
    (1..name.len())
        .filter(|at| separates(name[*at]) && !separates(name[*at - 1]))
        .take(LEVELS_MAX)
        .map(|at| folded(&name[..at]))
        .collect()
}

/// The types of a report in its order: the classic ones in any case.
fn types(rows: &[Row]) -> Vec<(ObjectType, Total)> {
    let classic =
        [ObjectType::String, ObjectType::List, ObjectType::Set, ObjectType::Zset, ObjectType::Hash];
    let mut totals: BTreeMap<(usize, ObjectType), Total> = BTreeMap::new();
    let place = |t: ObjectType| match t {
        ObjectType::Stream => 5,
        ObjectType::Array => 6,
        _ => classic.iter().position(|c| *c == t).unwrap_or(7),
    };
    classic.iter().for_each(|t| _ = totals.insert((place(*t), *t), Total::default()));
    for row in rows {
        totals.entry((place(row.object_type), row.object_type)).or_default().add(row.size);
    }
    totals.into_iter().map(|((_, object_type), total)| (object_type, total)).collect()
}

fn largest(rows: &[Row], top: usize) -> Vec<LargestKey> {
    const NAME_LEN_MAX: usize = 64 << 10;
    let kept = |row: &Row| row.name[..row.name.len().min(NAME_LEN_MAX)].to_vec();
    let mut sorted: Vec<(Vec<u8>, &Row)> = rows.iter().map(|row| (kept(row), row)).collect();
    sorted.sort_by(|(a_name, a), (b_name, b)| {
        let rest = |row: &Row| {
            let sizes = (row.sizes.bytes, row.sizes.memory_usage, row.serialized_bytes);
            let times = (row.key.expire_at_ms, row.key.idle_seconds, row.key.freq);
            let sizes = (row.sizes.num_of_elem, sizes, times);
            (row.key.db, row.key.key_len, row.object_type, sizes)
        };
        b.size.cmp(&a.size).then_with(|| a_name.cmp(b_name)).then_with(|| rest(a).cmp(&rest(b)))
    });
    let shown = |(name, row): &(Vec<u8>, &Row)| LargestKey {
        key: String::from_utf8_lossy(name).into_owned(),
        key_base64: std::str::from_utf8(name).is_err().then(|| BASE64.encode(name)),
        key_len: (row.key.key_len > name.len() as u64).then_some(row.key.key_len),
        r#type: row.object_type.to_string(),
        bytes: row.size,
        num_of_elem: row.sizes.num_of_elem,
        db: row.key.db,
        encoding: row.sizes.encoding.to_string(),
        expire_at_ms: row.key.expire_at_ms,
        idle_seconds: row.key.idle_seconds,
        freq: row.key.freq,
        memory_usage: row.sizes.memory_usage,
        serialized_bytes: row.serialized_bytes,
    };
    sorted.iter().take(top).map(shown).collect()
}

fn leading(
    prefixes: &Prefixes,
    types: &[(ObjectType, Total)],
    options: &Options,
    rank: impl Fn(&Total) -> (u64, u64),
) -> Vec<LargestKeyPrefix> {
    const SHOWN_LEN_MAX: usize = 1024;
    let mut listed = Vec::new();
    for (object_type, _) in types {
        let mut of_type: Vec<(&Vec<u8>, &Total)> = prefixes
            .iter()
            .filter(|((t, _), _)| t == object_type)
            .map(|((_, p), t)| (p, t))
            .collect();
        of_type.sort_by_key(|(prefix, total)| {
            (Reverse(rank(total)), &prefix[..prefix.len().min(SHOWN_LEN_MAX)], prefix.len())
        });
        listed.extend(of_type.iter().take(options.prefixes).map(|(prefix, total)| {
            let shown = &prefix[..prefix.len().min(SHOWN_LEN_MAX)];
            let is_exact = shown.len() == prefix.len() && std::str::from_utf8(shown).is_ok();
            LargestKeyPrefix {
                key_prefix: String::from_utf8_lossy(shown).into_owned(),
                key_prefix_base64: (!is_exact).then(|| BASE64.encode(shown)),
                r#type: object_type.to_string(),
                bytes: total.bytes,
                num: total.num,
            }
        }));
    }
    listed
}

fn spread(rows: &[Row]) -> SpreadReport {
    let span = |name: &str, holds: &dyn Fn(&Row) -> bool| {
        let mut total = Total::default();
        rows.iter().filter(|row| holds(row)).for_each(|row| total.add(row.size));
        SpanTotal { span: name.to_owned(), num: total.num, bytes: total.bytes }
    };
    // First and last millisecond of each span.
    let spans = [
        ("hour", 0, HOUR_MS),
        ("day", HOUR_MS, DAY_MS),
        ("week", DAY_MS, 7 * DAY_MS),
        ("month", 7 * DAY_MS, 30 * DAY_MS),
        ("longer", 30 * DAY_MS, i64::MAX),
    ];
    let within = |time: &dyn Fn(&Row) -> Option<i64>| -> Vec<SpanTotal> {
        let holds = |row: &Row, from, to| {
            time(row).is_some_and(|t| (from..to).contains(&t) || (t == i64::MAX && to == t))
        };
        spans.iter().map(|(name, from, to)| span(name, &|row| holds(row, *from, *to))).collect()
    };
    let idle_ms = |row: &Row| {
        let ms = row.key.idle_seconds?.saturating_mul(1000);
        Some(i64::try_from(ms).unwrap_or(i64::MAX))
    };
    let mut expiry = vec![
        span("never", &|row| row.expires_in_ms.is_none()),
        span("expired", &|row| row.expires_in_ms.is_some_and(|ms| ms < 0)),
    ];
    expiry.extend(within(&|row| row.expires_in_ms));
    let has_idle = rows.iter().any(|row| row.key.idle_seconds.is_some());
    let elements =
        |row: &Row| (row.object_type != ObjectType::String).then_some(row.sizes.num_of_elem);
    let mut dbs: BTreeMap<u64, DbTotal> = BTreeMap::new();
    for row in rows {
        let empty = DbTotal { db: Some(row.key.db), num: 0, expire_num: 0, bytes: 0 };
        let db = dbs.entry(row.key.db).or_insert(empty);
        db.num += 1;
        db.bytes += row.size;
        db.expire_num += u64::from(row.key.expire_at_ms.is_some());
    }
    SpreadReport {
        expiry,
        size: powers(rows, |row| Some(row.size)),
        num_of_elem: powers(rows, elements),
        idle: if has_idle { within(&idle_ms) } else { Vec::new() },
        freq: powers(rows, |row| row.key.freq.map(u64::from)),
        db: dbs.into_values().collect(),
        other_dbs: None,
        slot: slots(rows),
    }
}

fn powers(rows: &[Row], value: impl Fn(&Row) -> Option<u64>) -> Vec<PowerTotal> {
    let mut totals: BTreeMap<u64, Total> = BTreeMap::new();
    for row in rows {
        let Some(value) = value(row) else { continue };
        // The greatest power of two that is not above it.
        let at_least = (0..64).map(|log| 1 << log).rfind(|power| *power <= value).unwrap_or(0);
        totals.entry(at_least).or_default().add(row.size);
    }
    let shown = |(at_least, total): (u64, Total)| PowerTotal {
        at_least,
        num: total.num,
        bytes: total.bytes,
    };
    totals.into_iter().map(shown).collect()
}

fn slots(rows: &[Row]) -> Option<SlotSpread> {
    let mut totals: BTreeMap<u64, Total> = BTreeMap::new();
    for row in rows {
        if let Some(slot) = row.key.slot.filter(|slot| *slot < 16384) {
            totals.entry(slot).or_default().add(row.size);
        }
    }
    let mut slots: Vec<SlotTotal> = (totals.into_iter())
        .map(|(slot, total)| SlotTotal { slot, num: total.num, bytes: total.bytes })
        .collect();
    slots.sort_by_key(|slot| (Reverse(slot.bytes), slot.slot));
    let mean = slots.iter().map(|slot| slot.bytes).sum::<u64>() as f64 / slots.len() as f64;
    let skew = slots.first()?.bytes as f64 / mean;
    let num_of_slots = slots.len() as u64;
    slots.truncate(20);
    Some(SlotSpread { num_of_slots, skew, largest: slots })
}

/// Hands every part to the sizer, whether it wants it or not.
struct All<'a, 'm>(&'a mut Sizer<'m>);

impl Visit for All<'_, '_> {
    fn part(&mut self, part: Part<'_>) {
        self.0.part(part);
    }
}

/// Takes no part, but every item is handed to it.
struct Nothing;

impl Visit for Nothing {
    fn part(&mut self, _: Part<'_>) {}
}

fn reader(path: &Path, options: &Options) -> Reader<Inline<File>> {
    let options = offkey_rdb::Options { checksum: options.checksum, force: options.force };
    Reader::new(File::open(path).unwrap(), options).unwrap()
}

/// What stands before the first key, and the model of the server that wrote it.
fn preamble(path: &Path, options: &Options) -> (serde_json::Value, Model, i64) {
    let mut reader = reader(path, options);
    let header = reader.header();
    let mut aux: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    loop {
        match reader.next_entry().unwrap() {
            Entry::Aux { name, value } => {
                _ = aux.insert(name.to_vec(), String::from_utf8_lossy(value).into_owned());
            }
            Entry::ModuleAux { .. } | Entry::Function { .. } | Entry::SlotImport => {}
            _ => break,
        }
    }
    let text = |name: &str| aux.get(name.as_bytes()).cloned();
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    let is_valkey = text("valkey-ver").is_some() || header.flavor.to_string() == "valkey";
    let version = text("valkey-ver").or_else(|| text("redis-ver"));
    let by_file =
        Profile::for_server(is_valkey, version.as_deref().unwrap_or_default(), header.version);
    let profile = options.profile.unwrap_or(by_file);
    let created_at_ms = number("ctime").map(|seconds| seconds * 1000);
    let info = json!({
        "rdb_version": header.version,
        "flavor": if is_valkey { "valkey" } else { "redis" },
        "server_version": version,
        "profile": profile.to_string(),
        "created_at_ms": created_at_ms,
        "used_mem": number("used-mem"),
    });
    let mut model = Model::new(profile, options.allocator, options.config.clone());
    templates(path, options, &mut model);
    (info, model, created_at_ms.unwrap_or(options.now_ms))
}

/// Counts the keys of each hash template.
fn templates(path: &Path, options: &Options, model: &mut Model) {
    let mut reader = reader(path, options);
    loop {
        match reader.next_entry().unwrap() {
            Entry::HashTemplate { id, .. } => {
                reader.value(&mut model.templates.define(id)).unwrap();
            }
            Entry::Key(_) => _ = reader.value(&mut model.templates).unwrap(),
            Entry::End(_) => return,
            _ => {}
        }
    }
}

fn read(
    path: &Path,
    options: &Options,
    rows: &mut Vec<Row>,
    damaged: &mut Vec<DamagedKey>,
) -> InputInfo {
    let (mut info, model, written_at_ms) = preamble(path, options);
    let (rows_before, damaged_before) = (rows.len(), damaged.len());
    let mut reader = reader(path, options);
    let mut sizer = Sizer::new(&model);
    let (mut functions_len, mut dbs, mut slots) = (0, Vec::new(), vec![Vec::new()]);
    let file = path.display().to_string();
    dbs.push(DbCounts::default());
    let checksum = loop {
        let key = match reader.next_entry().unwrap() {
            Entry::Key(key) => key,
            Entry::Function { len } => {
                functions_len += len;
                continue;
            }
            Entry::HashTemplate { .. } => {
                reader.value(&mut Nothing).unwrap();
                continue;
            }
            Entry::SelectDb(_) => {
                dbs.push(DbCounts::default());
                slots.push(Vec::new());
                continue;
            }
            Entry::SlotInfo { .. } => {
                slots.last_mut().unwrap().push(DbCounts::default());
                continue;
            }
            Entry::End(checksum) => break checksum,
            _ => continue,
        };
        sizer.begin(&key);
        let end = reader.value(&mut All(&mut sizer)).unwrap();
        let name = reader.key().to_vec();
        if let Some(damage) = end.damage {
            let shown = &name[..name.len().min(256)];
            damaged.push(DamagedKey {
                file: file.clone(),
                db: key.db,
                key: String::from_utf8_lossy(shown).into_owned(),
                key_base64: std::str::from_utf8(shown).is_err().then(|| BASE64.encode(shown)),
                r#type: end.object_type.to_string(),
                offset: damage.at,
                reason: damage.reason,
                serialized_bytes: end.serialized_len,
            });
            continue;
        }
        for counts in dbs.last_mut().into_iter().chain(slots.last_mut().unwrap().last_mut()) {
            counts.keys += 1;
            counts.expires += u64::from(key.expire_at_ms.is_some());
            counts.expiring_hashes += u64::from(key.rdb_type == RdbType::ValkeyHash2);
        }
        let sizes = sizer.finish(end.serialized_len);
        rows.push(Row {
            name,
            key,
            object_type: end.object_type,
            sizes,
            serialized_bytes: end.serialized_len,
            expires_in_ms: key.expire_at_ms.map(|at| at.saturating_sub(written_at_ms)),
            size: match options.size {
                SizeKind::Bytes => sizes.bytes,
                SizeKind::MemoryUsage => sizes.memory_usage.unwrap_or(sizes.bytes),
                SizeKind::Serialized => end.serialized_len,
            },
        });
    };
    let mut lines: Vec<Overhead> = Vec::new();
    let of_dbs = dbs.iter().zip(&slots).flat_map(|(db, slots)| db.overhead(&model, slots));
    let functions = (functions_len > 0).then_some(("functions", functions_len));
    let all = (of_dbs.chain(model.template_overhead()).map(|line| (line.name, line.bytes)))
        .chain(functions);
    for (name, bytes) in all {
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.bytes += bytes,
            None => lines.push(Overhead { name: name.to_owned(), bytes }),
        }
    }
    let checksum = match checksum {
        Checksum::Right => ChecksumState::Right,
        Checksum::Absent => ChecksumState::Absent,
        Checksum::Disabled => ChecksumState::Disabled,
        Checksum::Skipped => ChecksumState::Skipped,
        Checksum::Wrong { .. } => ChecksumState::Wrong,
    };
    let mut all = Vec::new();
    File::open(path).unwrap().read_to_end(&mut all).unwrap();
    let rest = json!({
        "file": file,
        "checksum": checksum,
        "complete": damaged.len() == damaged_before,
        "bytes_read": all.len(),
        "bytes_total": all.len(),
        "num": rows.len() - rows_before,
        "damaged_num": damaged.len() - damaged_before,
        "bytes": rows[rows_before..].iter().map(|row| row.sizes.bytes).sum::<u64>(),
        "overhead": lines,
    });
    info.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(info).unwrap()
}
