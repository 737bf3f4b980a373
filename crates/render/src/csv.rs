//! The report as one CSV table (RFC 4180) that spreadsheets open without acting on names.

use offkey_analysis::{DamagedKey, InputInfo, LargestKey, LargestKeyPrefix, Report};

use crate::name::{Name, Text, exact, to_base64};

/// The columns. A cell that says nothing of its row's section is empty.
const COLUMNS: [&str; 15] = [
    "section", // input, total, type, damaged, key, prefix or prefix_by_bytes
    "type",
    "db",
    "key",        // or the prefix
    "key_base64", // the exact bytes, where `key` is not exact; `'` is no part of base64
    "encoding",
    "bytes",
    "num",
    "num_of_elem",
    "expire_at_ms",
    "memory_usage",
    "serialized_bytes",
    "file",
    "offset",
    "note", // complete or incomplete; what is wrong with a key or an input
];

/// Characters that make a spreadsheet take a cell for a formula or a command.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '|', '%'];

/// One row, its cells by column.
#[derive(Debug, Default)]
struct Row<'a> {
    section: &'static str,
    r#type: &'a str,
    db: Option<u64>,
    key: Option<(&'a str, Option<&'a str>)>,
    encoding: &'a str,
    bytes: Option<u64>,
    num: Option<u64>,
    num_of_elem: Option<u64>,
    expire_at_ms: Option<i64>,
    memory_usage: Option<u64>,
    serialized_bytes: Option<u64>,
    file: &'a str,
    offset: Option<u64>,
    note: &'a str,
}

/// Writes the report as CSV; `raw` leaves names as they are.
///
/// # Errors
/// None that is known of: memory takes what is written to it.
pub fn csv(report: &Report, raw: bool) -> Result<Vec<u8>, ::csv::Error> {
    let mut writer =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
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
    let rows = report.inputs.iter().map(of_input).chain([total]).chain(types);
    let rows = rows.chain(report.damaged.iter().map(of_damaged));
    let rows = rows.chain(report.largest_keys.iter().map(of_key));
    let rows = rows.chain(report.largest_key_prefixes.iter().map(|p| of_prefix("prefix", p)));
    let by_bytes = report.largest_key_prefixes_by_bytes.iter();
    for row in rows.chain(by_bytes.map(|p| of_prefix("prefix_by_bytes", p))) {
        writer.write_record(row.cells(raw))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn of_key(key: &LargestKey) -> Row<'_> {
    Row {
        section: "key",
        r#type: &key.r#type,
        db: Some(key.db),
        key: Some((&key.key, key.key_base64.as_deref())),
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
        key: Some((&prefix.key_prefix, prefix.key_prefix_base64.as_deref())),
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
        key: Some((&damaged.key, damaged.key_base64.as_deref())),
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

impl Row<'_> {
    fn cells(&self, raw: bool) -> [String; COLUMNS.len()] {
        let (key, key_base64) = match self.key {
            Some((text, base64)) => name_cells(text, base64, raw),
            None => Default::default(),
        };
        [
            self.section.to_owned(),
            text_cell(self.r#type, raw),
            number(self.db),
            key,
            key_base64,
            text_cell(self.encoding, raw),
            number(self.bytes),
            number(self.num),
            number(self.num_of_elem),
            self.expire_at_ms.map_or_else(String::new, |ms| ms.to_string()),
            number(self.memory_usage),
            number(self.serialized_bytes),
            text_cell(self.file, raw),
            number(self.offset),
            text_cell(self.note, raw),
        ]
    }
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

fn number(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small complete report.
    fn report() -> Report {
        serde_json::from_str(include_str!("../../../testdata/reports/small.json")).unwrap()
    }

    fn key_cells(names: &[&[u8]], raw: bool) -> Vec<(String, String)> {
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
        let cells = key_cells(
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
        let cells = key_cells(&names.map(str::as_bytes), true);
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
