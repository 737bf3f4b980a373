//! Rows of which nothing matters but what they add up to, by the lengths of their strings.

use crate::block::Blocks;
use crate::entry::Visit;
use crate::length::length_at_hand;
use crate::value::{Value, insert_at_hand};

/// Two numbers that are added up; the visitor knows of what.
pub type Weight = [u64; 2];

/// What strings weigh by their lengths in bytes: as many lengths as there are weights. Those of
/// 10,000,000 strings must not add up to more than a [`u64`] holds.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'w> {
    /// Of members and of fields.
    pub first: &'w [Weight],
    /// Of the fields' values.
    pub value: &'w [Weight],
}

impl<B: Blocks, V: Visit> Value<'_, B, V> {
    /// Weighs up to `count_max` rows, up to the first that is not at hand, has a string of an
    /// uncommon form or without a weight, or was there before; answers how many. Nothing if the
    /// visitor wants the rows one by one.
    ///
    /// A row begins with a string; `others` passes what follows it, which weighs something.
    #[inline(always)]
    pub(super) fn weigh_at_hand(
        &mut self,
        count_max: u64,
        others: impl for<'b> Fn(&'b [u8], &Weights<'_>) -> Option<(Weight, &'b [u8])>,
    ) -> Option<u64> {
        let weights = self.visitor.weights()?;
        let bytes = self.input.rest();
        let (mut rest, mut count, mut sum) = (bytes, 0, [0; 2]);
        let unique = &mut self.workspace.unique;
        while count < count_max {
            let Some((first, after)) = weight_at_hand(rest, weights.first) else { break };
            let Some((other, after)) = others(after, &weights) else { break };
            if !insert_at_hand(unique, rest) {
                // The other way of reading finds it again.
                break;
            }
            // Bytes at hand are far too few for more than fits.
            sum = add(sum, add(first, other));
            rest = after;
            count += 1;
        }
        let len = bytes.len() - rest.len();
        self.visitor.weighed(count, sum);
        self.input.consume(len);
        Some(count)
    }
}

/// The weight of the string that begins `bytes`, if it is of a common form and has
/// one; answers also what follows it.
#[inline(always)]
pub(super) fn weight_at_hand<'b>(
    bytes: &'b [u8],
    weights: &[Weight],
) -> Option<(Weight, &'b [u8])> {
    let (len, rest) = length_at_hand(bytes)?;
    let weight = weights.get(usize::try_from(len).ok()?)?;
    Some((*weight, rest))
}

#[inline(always)]
fn add([a, b]: Weight, [c, d]: Weight) -> Weight {
    [a.wrapping_add(c), b.wrapping_add(d)]
}
