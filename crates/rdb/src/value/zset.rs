//! Sorted sets whose members are written one by one.
//!
//! ```text
//! type 3: <count> (<member> <u8 len> <len bytes of text>)...   len 253 NaN, 254 +inf, 255 -inf
//! type 5: <count> (<member> <f64 little endian>)...
//! ```

use crate::block::Blocks;
use crate::entry::{Part, Visit};
use crate::error::Error;
use crate::value::Value;

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn zset_text(&mut self) -> Result<(), Error> {
        self.scored(|value| {
            let len = value.input.u8()?;
            Ok(match len {
                253 => f64::NAN,
                254 => f64::INFINITY,
                255 => f64::NEG_INFINITY,
                _ => {
                    let at = value.input.at();
                    let text = value.input.take(usize::from(len))?;
                    let score = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                    score.unwrap_or_else(|| {
                        value.input.note_damage(at, "a score must be a number");
                        0.0
                    })
                }
            })
        })
    }

    pub(super) fn zset_binary(&mut self) -> Result<(), Error> {
        self.scored(|value| Ok(f64::from_le_bytes(value.input.array()?)))
    }

    fn scored(&mut self, score: impl Fn(&mut Self) -> Result<f64, Error>) -> Result<(), Error> {
        for _ in 0..self.row_count()? {
            self.member()?;
            let score_at = self.input.at();
            let score = score(self)?;
            if score.is_nan() {
                self.input.note_damage(score_at, "a score cannot be NaN");
            }
            self.visitor.part(Part::Score(score));
        }
        Ok(())
    }
}
