//! Sorted sets whose members are written one by one.
//!
//! ```text
//! type 3: <count> (<member> <u8 len> <len bytes of text>)...   len 253 NaN, 254 +inf, 255 -inf
//! type 5: <count> (<member> <f64 little endian>)...
//! ```

use crate::block::Blocks;
use crate::entry::{Column, Part, Visit};
use crate::error::Error;
use crate::length::string_at_hand;
use crate::value::{Value, Workspace, insert_at_hand};

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
        let (only_lengths, count_max) = self.look_at_rows(count_max);
        let bytes = self.input.rest();
        let (mut rest, mut count) = (bytes, 0);
        let Workspace { unique, lengths: [lengths, _], .. } = &mut *self.workspace;
        while count < count_max {
            let Some((member, after)) = string_at_hand(rest) else { break };
            let Some((score, after)) = after.split_first_chunk() else { break };
            let score = f64::from_le_bytes(*score);
            if score.is_nan() || !insert_at_hand(unique, rest, &member) {
                break;
            }
            match lengths.count_mut(member.len) {
                Some(of_len) if only_lengths => *of_len += 1,
                _ => self.visitor.scored(member, score),
            }
            rest = after;
            count += 1;
        }
        if only_lengths {
            self.visitor.lengths(Column::Member, lengths);
            lengths.clear();
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
