//! When something is to be done: the five fields of cron, in UTC.
//!
//! ```text
//! minute hour day-of-month month day-of-week      0 is Sunday, and so is 7
//! *   5   1-5   */15   0,30   1-5,7
//! ```
//!
//! As in cron, where both days are restricted, either will do.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MINUTE_MS: i64 = 60_000;

/// Longest time that is looked back for a time that has passed.
const LOOK_BACK_MS: i64 = 24 * 60 * MINUTE_MS;

/// The times at which something is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether either day will do.
    either_day: bool,
}

impl Schedule {
    /// Reads five fields.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("five fields expected, such as \"0 3 * * *\", found {text:?}"));
        };
        let mut weekday_bits = field(weekdays, 0, 7)?;
        weekday_bits |= weekday_bits >> 7 & 1;
        Ok(Self {
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            weekdays: weekday_bits,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        })
    }

    /// The last of its times that lies after `from_ms` and not after `now_ms`, if one does.
    pub(crate) fn due(&self, from_ms: i64, now_ms: i64) -> Option<i64> {
        let from = from_ms.max(now_ms - LOOK_BACK_MS).div_euclid(MINUTE_MS);
        let minutes = (from + 1..=now_ms.div_euclid(MINUTE_MS)).rev();
        minutes.map(|minute| minute * MINUTE_MS).find(|at_ms| self.is_at(*at_ms))
    }

    fn is_at(&self, at_ms: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let at = at.to_zoned_datetime(TimeZone::UTC).datetime();
        let is_in = |bits: u64, value: i8| u32::try_from(value).is_ok_and(|v| bits >> v & 1 == 1);
        let day = is_in(self.days, at.day());
        let weekday = is_in(self.weekdays, at.weekday().to_sunday_zero_offset());
        is_in(self.minutes, at.minute())
            && is_in(self.hours, at.hour())
            && is_in(self.months, at.month())
            && if self.either_day { day || weekday } else { day && weekday }
    }
}

/// The values of a field as bits.
fn field(text: &str, min: u32, max: u32) -> Result<u64, String> {
    let wrong = || format!("not a field of a schedule from {min} to {max}: {text:?}");
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().map_err(|_| wrong())?),
            None => (part, 1),
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step > 1 => (number(range)?, max),
            None => (number(range)?, number(range)?),
        };
        if step == 0 || first < min || last > max || first > last {
            return Err(wrong());
        }
        for value in (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn times_are_those_of_cron() {
        // 2026-11-24 is a Tuesday.
        for (text, at, is_due) in [
            ("* * * * *", "2026-11-24T03:17:00Z", true),
            ("17 3 * * *", "2026-11-24T03:17:00Z", true),
            ("17 3 * * *", "2026-11-24T03:18:00Z", false),
            ("*/5 * * * *", "2026-11-24T03:15:00Z", true),
            ("*/5 * * * *", "2026-11-24T03:16:00Z", false),
            ("0 0-6/3,12 * * *", "2026-11-24T06:00:00Z", true),
            ("0 0-6/3,12 * * *", "2026-11-24T12:00:00Z", true),
            ("0 0-6/3,12 * * *", "2026-11-24T04:00:00Z", false),
            ("0 0 * * 2", "2026-11-24T00:00:00Z", true),
            ("0 0 * * 7", "2026-11-22T00:00:00Z", true),
            ("0 0 * * 0", "2026-11-24T00:00:00Z", false),
            ("0 0 1 * 2", "2026-11-24T00:00:00Z", true),
            ("0 0 1 * *", "2026-11-24T00:00:00Z", false),
            ("0 0 1 12 *", "2026-12-01T00:00:00Z", true),
        ] {
            let schedule = Schedule::parse(text).unwrap();
            let at = ms(at);
            assert_eq!(schedule.due(at - 1, at + 999), is_due.then_some(at), "{text}");
            assert_eq!(schedule.due(at, at), None, "{text}");
        }
    }

    #[test]
    fn time_that_passed_unseen_is_due_once() {
        let schedule = Schedule::parse("0 3 * * *").unwrap();
        let day = ms("2026-11-24T00:00:00Z");
        let at = Some(ms("2026-11-24T03:00:00Z"));
        assert_eq!(schedule.due(day, ms("2026-11-24T05:00:00Z")), at);
        assert_eq!(schedule.due(day - 5 * LOOK_BACK_MS, ms("2026-11-24T05:00:00Z")), at);
        let later = ms("2026-11-25T02:59:59Z");
        assert_eq!(schedule.due(ms("2026-11-24T05:00:00Z"), later), None);
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "1, * * * *",
            "@daily",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
