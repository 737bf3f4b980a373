//! Sorted sets whose members are written one by one.
//!
//! ```text
//! type 3: <count> (<member> <u8 len> <len bytes of text>)...   len 253 NaN, 254 +inf, 255 -inf
//! type 5: <count> (<member> <f64 little endian>)...
//! ```

use crate::block::Blocks;
use crate::entry::{Part, Visit};
use crate::error::Error;
use crate::length::string_at_hand;
use crate::value::{Value, WITH_TEXTS, insert_at_hand};

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    pub(super) fn zset_text(&mut self) -> Result<(), Error> {
        for _ in 0..self.row_count()? {
            self.scored(|value| {
                let len = value.input.u8()?;
                Ok(match len {
                    253 => f64::NAN,
                    254 => f64::INFINITY,
                    255 => f64::NEG_INFINITY,
                    _ => {
                        let at = value.input.at();
                        let text = value.input.take(usize::from(len))?;
                        let score =
                            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                        score.unwrap_or_else(|| {
                            value.input.note_damage(at, "a score must be a number");
                            0.0
                        })
                    }
                })
            })?;
        }
        Ok(())
    }

    pub(super) fn zset_binary(&mut self) -> Result<(), Error> {
        self.rows(Self::scored_at_hand, |value| {
            value.scored(|value| Ok(f64::from_le_bytes(value.input.array()?)))
        })
    }

    /// Reads members and scores up to the first that are not at hand or not usual; answers
    /// how many.
    fn scored_at_hand(&mut self, count_max: u64) -> u64 {
        let weighed = self.weigh_at_hand(count_max, |rest, _| {
            let (_, rest) = score_at_hand(rest)?;
            Some(([0; 2], rest))
        });
        if let Some(count) = weighed {
            return count;
        }
        let count_max = count_max.min(WITH_TEXTS);
        let bytes = self.input.rest();
        let (mut rest, mut count) = (bytes, 0);
        while count < count_max {
            let Some((member, after)) = string_at_hand(rest) else { break };
            let Some((score, after)) = score_at_hand(after) else { break };
            if !insert_at_hand(&mut self.workspace.unique, rest) {
                break;
            }
            self.visitor.scored(member, score);
            rest = after;
            count += 1;
        }
        let len = bytes.len() - rest.len();
        self.input.consume(len);
        count
    }

    fn scored(&mut self, score: impl Fn(&mut Self) -> Result<f64, Error>) -> Result<(), Error> {
        self.member()?;
        let score_at = self.input.at();
        let score = score(self)?;
        if score.is_nan() {
            self.input.note_damage(score_at, "a score cannot be NaN");
        }
        self.visitor.part(Part::Score(score));
        Ok(())
    }
}

/// Decodes the score that begins `bytes`, if it is all there and a number; answers also what
/// follows it.
#[inline(always)]
fn score_at_hand(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let (score, rest) = bytes.split_first_chunk()?;
    let score = f64::from_le_bytes(*score);
    (!score.is_nan()).then_some((score, rest))
}
