//! Figures as people read them.

/// Writes `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes bytes in the unit that leaves one to four digits, one after the point.
#[must_use]
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut shown = format!("{bytes} B");
    for unit in UNITS {
        if tenths < 10 * 1024 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    }
    shown
}

/// Writes a share with one digit after the point; `-` of nothing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let whole = u128::from(whole);
    let tenths = (u128::from(part) * 1000 + whole / 2) / whole;
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Writes a time as `2026-11-24 04:12`, in UTC.
#[must_use]
pub fn date(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) if at_ms > 0 => "after year 9999".to_owned(),
        Err(_) => "before year -9999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_for_people() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_258_291, "1.2 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(human(bytes), text);
        }
        assert_eq!((grouped(7), grouped(1234567)), ("7".into(), "1,234,567".into()));
        assert_eq!((percent(1, 3), percent(5, 0)), ("33.3%".into(), "-".into()));
        let dates = [
            (0, "1970-01-01 00:00"),
            (951_782_400_000, "2000-02-29 00:00"),
            (-1, "1969-12-31 23:59"),
            (4_107_542_399_999, "2100-02-28 23:59"),
            (4_107_542_400_000, "2100-03-01 00:00"),
            (253_402_207_199_999, "9999-12-30 21:59"),
            (i64::MAX, "after year 9999"),
            (i64::MIN, "before year -9999"),
        ];
        for (at_ms, text) in dates {
            assert_eq!(date(at_ms), text);
        }
    }
}
