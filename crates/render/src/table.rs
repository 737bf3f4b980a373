//! The report as one table, for forms that know rows only: CSV, JSON lines, Parquet.

use offkey_analysis::{DamagedKey, InputInfo, LargestKey, LargestKeyPrefix, Report};
use serde::Serialize;

/// One row: what says nothing of its section is none or empty.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row<'a> {
    /// input, total, type, damaged, key, prefix or prefix_by_bytes.
    pub(crate) section: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) db: Option<u64>,
    /// Name or prefix as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
    /// Its exact bytes where `key` is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_base64: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) encoding: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_of_elem: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expire_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_usage: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serialized_bytes: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    /// complete or incomplete; what is wrong with a key or an input.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) note: &'a str,
}

/// Every row: inputs, total, types, damaged keys, largest keys, prefixes by number and by bytes.
pub(crate) fn rows(report: &Report) -> impl Iterator<Item = Row<'_>> {
    let total = Row {
        section: "total",
        bytes: Some(report.total_bytes),
        num: Some(report.total_num),
        note: if report.complete { "complete" } else { "incomplete" },
        ..Row::default()
    };
    let types = report.type_num.iter().zip(&report.type_bytes).map(|(num, bytes)| Row {
        section: "type",
        r#type: &num.r#type,
        bytes: Some(bytes.bytes),
        num: Some(num.num),
        ..Row::default()
    });
    let by_bytes = report.largest_key_prefixes_by_bytes.iter();
    (report.inputs.iter().map(of_input))
        .chain([total])
        .chain(types)
        .chain(report.damaged.iter().map(of_damaged))
        .chain(report.largest_keys.iter().map(of_key))
        .chain(report.largest_key_prefixes.iter().map(|prefix| of_prefix("prefix", prefix)))
        .chain(by_bytes.map(|prefix| of_prefix("prefix_by_bytes", prefix)))
}

fn of_key(key: &LargestKey) -> Row<'_> {
    Row {
        section: "key",
        r#type: &key.r#type,
        db: Some(key.db),
        key: Some(&key.key),
        key_base64: key.key_base64.as_deref(),
        encoding: &key.encoding,
        bytes: Some(key.bytes),
        num_of_elem: Some(key.num_of_elem),
        expire_at_ms: key.expire_at_ms,
        memory_usage: key.memory_usage,
        serialized_bytes: Some(key.serialized_bytes),
        ..Row::default()
    }
}

fn of_prefix<'a>(section: &'static str, prefix: &'a LargestKeyPrefix) -> Row<'a> {
    Row {
        section,
        r#type: &prefix.r#type,
        key: Some(&prefix.key_prefix),
        key_base64: prefix.key_prefix_base64.as_deref(),
        bytes: Some(prefix.bytes),
        num: Some(prefix.num),
        ..Row::default()
    }
}

fn of_damaged(damaged: &DamagedKey) -> Row<'_> {
    Row {
        section: "damaged",
        r#type: &damaged.r#type,
        db: Some(damaged.db),
        key: Some(&damaged.key),
        key_base64: damaged.key_base64.as_deref(),
        serialized_bytes: Some(damaged.serialized_bytes),
        file: &damaged.file,
        offset: Some(damaged.offset),
        note: &damaged.reason,
        ..Row::default()
    }
}

fn of_input(input: &InputInfo) -> Row<'_> {
    let state = if input.complete { "complete" } else { "incomplete" };
    Row {
        section: "input",
        bytes: Some(input.bytes),
        num: Some(input.num),
        file: &input.file,
        offset: Some(input.bytes_read),
        note: input.error.as_deref().unwrap_or(state),
        ..Row::default()
    }
}
