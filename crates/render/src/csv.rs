//! The report and lists of keys as CSV tables (RFC 4180) that spreadsheets open without acting
//! on names.

use offkey_analysis::{KeyFacts, Report};

use crate::name::{Name, Text, exact, to_base64};
use crate::table::{Row, rows};

/// The columns of a report; [`Row`] tells them.
const REPORT_COLUMNS: [&str; 15] = [
    "section",
    "type",
    "db",
    "key",
    "key_base64", // `'` is no part of base64
    "encoding",
    "bytes",
    "num",
    "num_of_elem",
    "expire_at_ms",
    "memory_usage",
    "serialized_bytes",
    "file",
    "offset",
    "note",
];

/// The columns of a list of keys.
const KEY_COLUMNS: [&str; 14] = [
    "file",
    "db",
    "key",
    "key_base64",
    "type",
    "encoding",
    "bytes",
    "memory_usage",
    "serialized_bytes",
    "num_of_elem",
    "expire_at_ms",
    "idle_seconds",
    "freq",
    "slot",
];

/// Characters that make a spreadsheet take a cell for a formula or a command.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '|', '%'];

/// Writes the report as CSV; `raw` leaves names as they are.
///
/// # Errors
/// None that is known of: memory takes what is written to it.
pub fn csv(report: &Report, raw: bool) -> Result<Vec<u8>, ::csv::Error> {
    let mut table = Table::default();
    table.row(REPORT_COLUMNS)?;
    rows(report).try_for_each(|row| table.row(report_cells(&row, raw)))?;
    table.take()
}

/// A list of keys as CSV, taken piece by piece: there may be a billion of them.
#[derive(Debug)]
pub struct KeysCsv {
    table: Table,
    raw: bool,
}

impl KeysCsv {
    /// A list with its header; `raw` leaves names as they are.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn new(raw: bool) -> Result<Self, ::csv::Error> {
        let mut table = Table::default();
        table.row(KEY_COLUMNS)?;
        Ok(Self { table, raw })
    }

    /// Adds the row of a key of an input.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn push(&mut self, file: &str, facts: &KeyFacts<'_>) -> Result<(), ::csv::Error> {
        self.table.row(key_cells(file, facts, self.raw))
    }

    /// Bytes that wait to be taken, but for a few thousand.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.table.0.get_ref().len()
    }

    /// The text since the last time.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn take(&mut self) -> Result<Vec<u8>, ::csv::Error> {
        self.table.take()
    }
}

/// Rows as text in memory.
#[derive(Debug)]
struct Table(::csv::Writer<Vec<u8>>);

impl Default for Table {
    fn default() -> Self {
        let mut builder = ::csv::WriterBuilder::new();
        Self(builder.terminator(::csv::Terminator::CRLF).from_writer(Vec::new()))
    }
}

impl Table {
    fn row<T: AsRef<[u8]>, const N: usize>(&mut self, cells: [T; N]) -> Result<(), ::csv::Error> {
        self.0.write_record(cells)
    }

    fn take(&mut self) -> Result<Vec<u8>, ::csv::Error> {
        let table = std::mem::take(self);
        table.0.into_inner().map_err(|error| error.into_error().into())
    }
}

fn report_cells(row: &Row<'_>, raw: bool) -> [String; REPORT_COLUMNS.len()] {
    let (key, key_base64) = match row.key {
        Some(text) => name_cells(text, row.key_base64, raw),
        None => Default::default(),
    };
    [
        row.section.to_owned(),
        text_cell(row.r#type, raw),
        number(row.db),
        key,
        key_base64,
        text_cell(row.encoding, raw),
        number(row.bytes),
        number(row.num),
        number(row.num_of_elem),
        number(row.expire_at_ms),
        number(row.memory_usage),
        number(row.serialized_bytes),
        text_cell(row.file, raw),
        number(row.offset),
        text_cell(row.note, raw),
    ]
}

fn key_cells(file: &str, facts: &KeyFacts<'_>, raw: bool) -> [String; KEY_COLUMNS.len()] {
    let text = String::from_utf8_lossy(facts.key);
    let base64 = std::str::from_utf8(facts.key).is_err().then(|| to_base64(facts.key));
    let (key, key_base64) = name_cells(&text, base64.as_deref(), raw);
    [
        text_cell(file, raw),
        number(Some(facts.db)),
        key,
        key_base64,
        text_cell(&facts.object_type.to_string(), raw),
        facts.encoding.name().to_owned(),
        number(Some(facts.bytes)),
        number(facts.memory_usage),
        number(Some(facts.serialized_bytes)),
        number(Some(facts.num_of_elem)),
        number(facts.expire_at_ms),
        number(facts.idle_seconds),
        number(facts.freq),
        number(facts.slot),
    ]
}

/// A name, and its exact bytes in base64 where the first cell is not exact.
fn name_cells(text: &str, base64: Option<&str>, raw: bool) -> (String, String) {
    if raw || text.is_empty() {
        return (text.to_owned(), base64.unwrap_or_default().to_owned());
    }
    let bytes = exact(text, base64);
    let cell = text_cell(&Name(&bytes).to_string(), raw);
    let is_exact = cell.as_bytes() == &*bytes;
    (cell, if is_exact { String::new() } else { text_cell(&to_base64(&bytes), raw) })
}

fn text_cell(text: &str, raw: bool) -> String {
    if raw {
        return text.to_owned();
    }
    let quote = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("{quote}{}", Text(text))
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use offkey_analysis::LargestKey;

    use super::*;

    /// A small complete report.
    fn report() -> Report {
        serde_json::from_str(include_str!("../../../testdata/reports/small.json")).unwrap()
    }

    fn name_columns(names: &[&[u8]], raw: bool) -> Vec<(String, String)> {
        let mut report = report();
        let key = report.largest_keys[0].clone();
        report.largest_keys = names
            .iter()
            .map(|name| LargestKey {
                key: String::from_utf8_lossy(name).into_owned(),
                key_base64: std::str::from_utf8(name).err().map(|_| to_base64(name)),
                ..key.clone()
            })
            .collect();
        let text = csv(&report, raw).unwrap();
        let mut reader = ::csv::Reader::from_reader(&text[..]);
        let rows = reader.records().map(Result::unwrap);
        rows.filter(|row| &row[0] == "key").map(|row| (row[3].into(), row[4].into())).collect()
    }

    #[test]
    fn names_are_no_formulas_and_exact_in_base64() {
        let cells = name_columns(
            &[b"plain:1", b"=1+2", b"-a", b"|cmd", b"%x", b"a,\"b\"", b"a\r\nb", b"\xff", b"\t="],
            false,
        );
        let shown = [
            ("plain:1", ""),
            ("'=1+2", "PTErMg=="),
            ("'-a", "LWE="),
            ("'|cmd", "fGNtZA=="),
            ("'%x", "JXg="),
            ("a,\"b\"", ""),
            ("a\\x0d\\x0ab", "YQ0KYg=="),
            ("\\xff", "/w=="),
            ("\\x09=", "CT0="),
        ];
        assert_eq!(cells, shown.map(|(key, base64)| (key.into(), base64.into())));
    }

    #[test]
    fn raw_names_read_back_as_they_were() {
        let names = ["=1+2", "a\r\nb,\"c\"", "\u{1b}[1m", ""];
        let cells = name_columns(&names.map(str::as_bytes), true);
        assert_eq!(cells, names.map(|name| (name.to_owned(), String::new())));
    }

    #[test]
    fn every_section_has_its_rows() {
        let text = String::from_utf8(csv(&report(), false).unwrap()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(
            lines[..5],
            [
                "section,type,db,key,key_base64,encoding,bytes,num,num_of_elem,expire_at_ms,\
                 memory_usage,serialized_bytes,file,offset,note",
                "input,,,,,,4194304,3,,,,,shop.rdb,900,complete",
                "total,,,,,,4194304,3,,,,,,,complete",
                "type,string,,,,,2097152,2,,,,,,,",
                "type,hash,,,,,2097152,1,,,,,,,",
            ]
        );
        assert_eq!(
            lines[5],
            "key,hash,0,cart:17,,listpack,2097152,,12,1764000000000,2097160,1500,,,"
        );
        assert_eq!(lines[7], "prefix_by_bytes,hash,,cart,,,2097152,1,,,,,,,");
        assert_eq!(lines[6], "prefix,hash,,cart,,,2097152,1,,,,,,,");
    }
}
