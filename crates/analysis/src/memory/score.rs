//! Scores in the packed blobs of sorted sets (`zzlInsertAt`, `d2string`).

use super::digits::Digits;

/// A score that a listpack keeps as an integer (`double2ll`), -0 as 0 too.
#[expect(clippy::cast_possible_truncation, reason = "an integer within 2^62")]
pub(crate) fn integer_score(score: f64) -> Option<i64> {
    const MAX: f64 = 4_611_686_018_427_387_904.0; // 2^62
    (score.abs() <= MAX && score.trunc() == score).then_some(score as i64)
}

/// Text of a score in a packed blob.
#[derive(Debug, Default)]
pub(crate) struct ScoreText {
    bytes: [u8; 32],
    len: usize,
}

impl ScoreText {
    /// Prints `score` as the server does (`d2string`): integers as such, others with 17
    /// digits or, from 7.2 on, as few as tell it apart.
    pub(crate) fn new(score: f64, shortest: bool) -> Self {
        let mut text = Self::default();
        // 2^52: above it doubles are integers, which are printed as any double.
        const INT_MAX: f64 = 4_503_599_627_370_496.0;
        if score.is_nan() {
            text.push(b"nan");
        } else if score.is_infinite() {
            text.push(if score > 0.0 { b"inf" } else { b"-inf" });
        } else if score == 0.0 {
            text.push(if score.is_sign_negative() { b"-0" } else { b"0" });
        } else if score.abs() < INT_MAX && score.trunc() == score {
            let _ = std::fmt::write(&mut text, format_args!("{score:.0}"));
        } else {
            text.print(score, shortest);
        }
        text
    }

    /// The printed bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn print(&mut self, score: f64, shortest: bool) {
        let make = if shortest { Digits::shortest } else { Digits::of_17 };
        let found = make(score.abs());
        let (digits, exponent) = (found.as_bytes(), found.exponent);
        if score < 0.0 {
            self.push(b"-");
        }
        let count = i32::try_from(digits.len()).unwrap_or(0);
        let last = exponent - count + 1;
        let plain = if shortest {
            (last >= 0 && exponent.abs() < count + 7)
                || (last < 0 && (last > -7 || exponent.abs() < 4))
        } else {
            (-4..17).contains(&exponent)
        };
        if plain {
            self.push_plain(digits, exponent);
        } else {
            self.push_scientific(digits, exponent, shortest);
        }
    }

    fn push_plain(&mut self, digits: &[u8], exponent: i32) {
        let Ok(whole) = usize::try_from(exponent + 1) else {
            self.push(b"0.");
            (exponent + 1..0).for_each(|_| self.push(b"0"));
            return self.push(digits);
        };
        match digits.split_at_checked(whole) {
            None | Some((_, [])) => {
                self.push(digits);
                (digits.len()..whole).for_each(|_| self.push(b"0"));
            }
            Some(([], fraction)) => {
                self.push(b"0.");
                self.push(fraction);
            }
            Some((integer, fraction)) => {
                self.push(integer);
                self.push(b".");
                self.push(fraction);
            }
        }
    }

    fn push_scientific(&mut self, digits: &[u8], exponent: i32, shortest: bool) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
        self.push(first);
        if !rest.is_empty() {
            self.push(b".");
            self.push(rest);
        }
        self.push(if exponent < 0 { b"e-" } else { b"e+" });
        let _ = if shortest {
            std::fmt::write(self, format_args!("{}", exponent.abs()))
        } else {
            std::fmt::write(self, format_args!("{:02}", exponent.abs()))
        };
    }
}

impl std::fmt::Write for ScoreText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_up_to_2_to_the_62_are_integers() {
        for (score, integer) in [
            (-0.0, Some(0)),
            (-3.0, Some(-3)),
            (1e18, Some(1_000_000_000_000_000_000)),
            (4_611_686_018_427_387_904.0, Some(1 << 62)),
            (-4_611_686_018_427_387_904.0, Some(-(1 << 62))),
            (4_611_686_018_427_388_928.0, None),
            (0.5, None),
            (f64::NEG_INFINITY, None),
            (f64::NAN, None),
        ] {
            assert_eq!(integer_score(score), integer, "{score}");
        }
    }

    #[test]
    fn scores_are_printed_as_the_server_prints_them() {
        for (score, digits_17, shortest) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-1234567.0, "-1234567", "-1234567"),
            (0.1, "0.10000000000000001", "0.1"),
            (-2.5, "-2.5", "-2.5"),
            (1e21, "1e+21", "1e+21"),
            (1e16, "10000000000000000", "1e+16"),
            (4.5e-7, "4.4999999999999998e-07", "4.5e-7"),
            (0.00045, "0.00044999999999999999", "0.00045"),
            (f64::INFINITY, "inf", "inf"),
            (-2.055544373526237e22, "-2.0555443735262371e+22", "-20555443735262370000000"),
            (5e-324, "4.9406564584124654e-324", "5e-324"),
        ] {
            let text = |short| String::from_utf8(ScoreText::new(score, short).as_bytes().to_vec());
            assert_eq!(text(false).unwrap(), digits_17);
            assert_eq!(text(true).unwrap(), shortest);
        }
    }
}
