//! The report for people: what is missing first, then totals, keys and prefixes.

use std::fmt::Write as _;

use offkey_analysis::{
    ChecksumState, InputInfo, LargestKeyPrefix, PrefixExactness, Report, UnlistedPrefix,
};
use offkey_render::figure::{date, grouped, human, percent};
use offkey_render::name::{Name, Text, exact};

use super::grid::Grid;
use super::{Color, Style, damaged_line};

/// Most damaged keys that the table names.
const DAMAGED_SHOWN_MAX: usize = 10;

/// The whole report, ending in a newline.
pub(crate) fn table(report: &Report, style: &Style) -> Vec<u8> {
    let mut text = String::new();
    completeness(&mut text, report, style);
    text.push('\n');
    types(&mut text, report, style);
    if report.total_num > 0 {
        text.push('\n');
        expiry(&mut text, report, style);
    }
    if report.spread.db.len() > 1 {
        text.push('\n');
        databases(&mut text, report, style);
    }
    if !report.largest_keys.is_empty() {
        text.push('\n');
        largest_keys(&mut text, report, style);
    }
    let lists = [
        ("Prefixes by size", &report.largest_key_prefixes_by_bytes),
        ("Prefixes by number of keys", &report.largest_key_prefixes),
    ];
    for (title, list) in lists {
        if !list.is_empty() {
            text.push('\n');
            prefixes(&mut text, title, list, report, style);
        }
    }
    exactness(&mut text, &report.prefix_exactness);
    text.into_bytes()
}

fn completeness(text: &mut String, report: &Report, style: &Style) {
    if report.complete {
        let _ = writeln!(text, "{}", style.paint(Color::Green, "COMPLETE"));
    } else {
        let headline = "INCOMPLETE: the figures below leave out what could not be read";
        let _ = writeln!(text, "{}", style.paint(Color::Red, headline));
    }
    for input in &report.inputs {
        let _ = writeln!(text, "  {}", about_input(input));
        if let Some(error) = &input.error {
            let named = format!("{}: ", input.file);
            let error = Text(error.strip_prefix(&named).unwrap_or(error));
            let _ = writeln!(text, "    {}", style.paint(Color::Red, error));
        }
        for warning in &input.warnings {
            let _ = writeln!(text, "    warning: {}", Text(warning));
        }
    }
    if report.damaged_num > 0 {
        let headline = format!("  {} damaged keys, not counted:", grouped(report.damaged_num));
        let _ = writeln!(text, "{}", style.paint(Color::Red, headline));
        let shown = report.damaged.iter().take(DAMAGED_SHOWN_MAX);
        for line in shown.map(damaged_line) {
            let _ = writeln!(text, "    {line}");
        }
        let max = u64::try_from(DAMAGED_SHOWN_MAX).unwrap_or(u64::MAX);
        if report.damaged_num > max {
            let _ = writeln!(text, "    and {} more", grouped(report.damaged_num - max));
        }
    }
    if report.expired_num > 0 {
        let (num, bytes) = (grouped(report.expired_num), human(report.expired_bytes));
        let _ = writeln!(text, "  {num} keys ({bytes}) had expired when the file was written");
    }
}

/// What is known of an input, on one line.
fn about_input(input: &InputInfo) -> String {
    if input.rdb_version.is_none() {
        return format!("{}: not read", Text(&input.file));
    }
    let mut facts = Vec::new();
    let flavor = input.flavor.as_deref().unwrap_or("written by");
    if let Some(version) = &input.server_version {
        facts.push(format!("{flavor} {version}"));
    }
    if let Some(version) = input.rdb_version {
        facts.push(format!("RDB {version}"));
    }
    if let Some(at_ms) = input.created_at_ms {
        facts.push(format!("written {} UTC", date(at_ms)));
    }
    if let Some(profile) = &input.profile {
        facts.push(format!("sized as {profile}"));
    }
    if let Some(used_mem) = input.used_mem {
        let bytes =
            input.overhead.iter().fold(input.bytes, |sum, line| sum.saturating_add(line.bytes));
        facts.push(format!("keys and tables {} of used-mem {}", human(bytes), human(used_mem)));
    }
    facts.push(checksum(input.checksum).to_owned());
    if let Some(total) = input.bytes_total.filter(|total| *total != input.bytes_read) {
        let share = percent(input.bytes_read, total);
        facts.push(format!("read {share} ({} of {total} bytes)", input.bytes_read));
    }
    format!("{}: {}", Text(&input.file), Text(&facts.join(", ")))
}

fn checksum(state: ChecksumState) -> &'static str {
    match state {
        ChecksumState::Right => "checksum right",
        ChecksumState::Absent => "no checksum in this version",
        ChecksumState::Disabled => "checksum switched off by the server",
        ChecksumState::Skipped => "checksum not verified",
        ChecksumState::Unknown => "checksum not reached",
        ChecksumState::Wrong => "CHECKSUM WRONG",
    }
}

fn types(text: &mut String, report: &Report, style: &Style) {
    let mut grid = Grid::new(["TYPE", ">KEYS", ">%", ">SIZE", ">%"]);
    for (num, bytes) in report.type_num.iter().zip(&report.type_bytes) {
        grid.row([
            Text(&num.r#type).to_string(),
            grouped(num.num),
            percent(num.num, report.total_num),
            human(bytes.bytes),
            percent(bytes.bytes, report.total_bytes),
        ]);
    }
    let (num, bytes) = (grouped(report.total_num), human(report.total_bytes));
    grid.row(["total".to_owned(), num, String::new(), bytes, String::new()]);
    grid.write(text, style);
}

/// Keys by the time they had left; spans without keys are left out.
fn expiry(text: &mut String, report: &Report, style: &Style) {
    let mut grid = Grid::new(["EXPIRES", ">KEYS", ">%", ">SIZE", ">%"]);
    for span in report.spread.expiry.iter().filter(|span| span.num > 0) {
        let name = match span.span.as_str() {
            before @ ("never" | "expired") => before.to_owned(),
            "longer" => "later".to_owned(),
            within => format!("in 1 {within}"),
        };
        grid.row([
            name,
            grouped(span.num),
            percent(span.num, report.total_num),
            human(span.bytes),
            percent(span.bytes, report.total_bytes),
        ]);
    }
    grid.write(text, style);
}

fn databases(text: &mut String, report: &Report, style: &Style) {
    let mut grid = Grid::new([">DB", ">KEYS", ">EXPIRING", ">SIZE", ">%"]);
    for db in report.spread.db.iter().chain(&report.spread.other_dbs) {
        grid.row([
            db.db.map_or_else(|| "others".to_owned(), |db| db.to_string()),
            grouped(db.num),
            grouped(db.expire_num),
            human(db.bytes),
            percent(db.bytes, report.total_bytes),
        ]);
    }
    grid.write(text, style);
}

fn largest_keys(text: &mut String, report: &Report, style: &Style) {
    let titles =
        [">#", ">SIZE", ">%", "TYPE", "ENCODING", ">ELEMENTS", ">DB", "EXPIRES (UTC)", "KEY"];
    let mut grid = Grid::new(titles);
    for (at, key) in report.largest_keys.iter().enumerate() {
        let mut name = Name(&exact(&key.key, key.key_base64.as_deref())).to_string();
        if let Some(len) = key.key_len {
            let _ = write!(name, "\u{2026} ({} bytes)", grouped(len));
        }
        grid.row([
            (at + 1).to_string(),
            human(key.bytes),
            percent(key.bytes, report.total_bytes),
            Text(&key.r#type).to_string(),
            Text(&key.encoding).to_string(),
            grouped(key.num_of_elem),
            key.db.to_string(),
            key.expire_at_ms.map_or_else(|| "never".to_owned(), date),
            name,
        ]);
    }
    let _ = writeln!(text, "{}", style.paint(Color::Bold, "Largest keys"));
    grid.write(text, style);
}

fn prefixes(
    text: &mut String,
    title: &str,
    list: &[LargestKeyPrefix],
    report: &Report,
    style: &Style,
) {
    let mut grid = Grid::new(["TYPE", ">KEYS", ">%", ">SIZE", ">%", "PREFIX"]);
    for prefix in list {
        let name = exact(&prefix.key_prefix, prefix.key_prefix_base64.as_deref());
        grid.row([
            Text(&prefix.r#type).to_string(),
            grouped(prefix.num),
            percent(prefix.num, report.total_num),
            human(prefix.bytes),
            percent(prefix.bytes, report.total_bytes),
            Name(&name).to_string(),
        ]);
    }
    let title = format!("{title} (a longer prefix is part of a shorter one)");
    let _ = writeln!(text, "{}", style.paint(Color::Bold, title));
    grid.write(text, style);
}

/// Says what is not proven of the prefixes, if anything.
fn exactness(text: &mut String, exactness: &PrefixExactness) {
    let PrefixExactness { counts_exact, lists_complete, unlisted_at_most, .. } = exactness;
    if !counts_exact {
        text.push_str("\nThere are too many prefixes to count: these figures are lower bounds.\n");
    }
    if !lists_complete {
        text.push_str("\nNot every prefix could be held. One that is not listed has at most:\n");
        for UnlistedPrefix { r#type, num, bytes } in unlisted_at_most {
            let (num, bytes) = (grouped(*num), human(*bytes));
            let _ = writeln!(text, "  {}: {num} keys, {bytes}", Text(r#type));
        }
    }
}

#[cfg(test)]
mod tests {
    use offkey_analysis::DamagedKey;

    use super::*;

    /// A small complete report.
    fn report() -> Report {
        serde_json::from_str(include_str!("../../../../testdata/reports/small.json")).unwrap()
    }

    fn shown(report: &Report, style: &Style) -> String {
        String::from_utf8(table(report, style)).unwrap()
    }

    #[test]
    fn complete_report() {
        let expected = "\
COMPLETE
  shop.rdb: redis 7.0.15, RDB 10, written 2025-11-24 16:00 UTC, sized as redis-7.0, \
keys and tables 4.5 MiB of used-mem 5.0 MiB, checksum right

TYPE    KEYS      %     SIZE      %
string     2  66.7%  2.0 MiB  50.0%
hash       1  33.3%  2.0 MiB  50.0%
total      3         4.0 MiB

EXPIRES    KEYS      %     SIZE      %
never         2  66.7%  2.0 MiB  50.0%
in 1 hour     1  33.3%  2.0 MiB  50.0%

DB  KEYS  EXPIRING     SIZE      %
 0     2         1  3.0 MiB  75.0%
 7     1         0  1.0 MiB  25.0%

Largest keys
#     SIZE      %  TYPE  ENCODING  ELEMENTS  DB  EXPIRES (UTC)     KEY
1  2.0 MiB  50.0%  hash  listpack        12   0  2025-11-24 16:00  cart:17

Prefixes by size (a longer prefix is part of a shorter one)
TYPE  KEYS      %     SIZE      %  PREFIX
hash     1  33.3%  2.0 MiB  50.0%  cart

Prefixes by number of keys (a longer prefix is part of a shorter one)
TYPE  KEYS      %     SIZE      %  PREFIX
hash     1  33.3%  2.0 MiB  50.0%  cart
";
        assert_eq!(shown(&report(), &Style::PLAIN), expected);
    }

    #[test]
    fn what_is_missing_comes_first() {
        let mut report = report();
        report.complete = false;
        report.inputs[0].bytes_read = 450;
        report.inputs[0].checksum = ChecksumState::Unknown;
        report.inputs[0].error =
            Some("shop.rdb: truncated at byte 450: key \"\\x1b\": \u{1b}]0;x".into());
        let damaged = DamagedKey {
            file: "shop.rdb".into(),
            db: 1,
            key: "\u{fffd}".into(),
            key_base64: Some("/w==".into()),
            r#type: "zset".into(),
            offset: 77,
            reason: "3 entries, 4 announced".into(),
            serialized_bytes: 20,
        };
        report.damaged = vec![damaged; 12];
        report.damaged_num = 5000;
        let text = shown(&report, &Style { color: true, ..Style::PLAIN });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "\x1b[31mINCOMPLETE: the figures below leave out what could not be read\x1b[0m"
        );
        assert!(lines[1].ends_with("checksum not reached, read 50.0% (450 of 900 bytes)"));
        assert_eq!(lines[2], "    \x1b[31mtruncated at byte 450: key \"\\x1b\": \\x1b]0;x\x1b[0m");
        assert_eq!(lines[3], "\x1b[31m  5,000 damaged keys, not counted:\x1b[0m");
        assert_eq!(
            lines[4],
            "    shop.rdb: damaged value at byte 77: db 1, key \"\\xff\", zset: \
             3 entries, 4 announced"
        );
        assert_eq!(lines[14], "    and 4,990 more");
    }

    #[test]
    fn what_is_not_proven_of_prefixes_is_said() {
        let mut report = report();
        report.prefix_exactness = PrefixExactness {
            counts_exact: false,
            lists_complete: false,
            without_expiry_complete: false,
            unlisted_at_most: vec![UnlistedPrefix { r#type: "set".into(), num: 7, bytes: 2048 }],
        };
        let text = shown(&report, &Style::PLAIN);
        assert!(text.contains("these figures are lower bounds.\n"), "{text}");
        assert!(text.ends_with("has at most:\n  set: 7 keys, 2.0 KiB\n"), "{text}");
    }

    #[test]
    fn long_names_are_cut_at_the_terminal() {
        let mut report = report();
        report.largest_keys[0].key = "k".repeat(500);
        report.largest_keys[0].key_len = Some(70_000);
        let text = shown(&report, &Style { width: Some(100), ..Style::PLAIN });
        let row = text.lines().find(|line| line.contains("kkk")).unwrap();
        assert_eq!(row.chars().count(), 100);
        assert!(row.ends_with("k\u{2026}"));
        assert!(shown(&report, &Style::PLAIN).contains("k\u{2026} (70,000 bytes)\n"));
    }
}
