//! Packed blobs in memory of which nothing matters but whether they are right, walked from their
//! end: most are right, and that is told so in half the time.
//!
//! From the beginning, the place of the next entry is known once the encoding of this one was
//! looked up. From the end it is written there: every entry has the length of the one before it
//! or its own at its end, as it can be passed either way. An entry is right if that length is
//! also what its encoding says. So the entries passed from the end are those that are passed
//! from the beginning, if there are as many as stated and the first begins where the header
//! ends.

use crate::packed::{Backward, Common, Passed};
use crate::value::packed_items::check_score;
use crate::value::{Columns, Unique};

/// Whether the blob has `count` entries, which are right as what `columns` says; if not, or if
/// it has some of an uncommon form, a walk from the beginning has to tell.
pub(crate) fn is_right(
    blob: impl Backward,
    count: u64,
    columns: Columns,
    unique: &mut Unique,
) -> bool {
    let Some(rows) = columns.rows_of(count) else { return false };
    if columns != Columns::Element {
        unique.begin(rows);
    }
    let first = match columns {
        Columns::Element => each_row(blob, rows, |blob| Some(blob.back()?.1)),
        Columns::Member => each_row(blob, rows, |blob| new(blob, unique)),
        Columns::MemberScore => each_row(blob, rows, |blob| new(score(blob)?, unique)),
        Columns::FieldValue => each_row(blob, rows, |blob| new(blob.back()?.1, unique)),
        Columns::FieldValueExpire | Columns::Template => None,
    };
    first.is_some_and(Backward::is_at_beginning)
}

/// Passes so many rows, each by `back`.
#[inline(always)]
fn each_row<B: Backward>(
    mut blob: B,
    rows: u64,
    mut back: impl FnMut(B) -> Option<B>,
) -> Option<B> {
    for _ in 0..rows {
        blob = back(blob)?;
    }
    Some(blob)
}

/// Passes what can be a score.
#[inline(always)]
fn score<B: Backward>(blob: B) -> Option<B> {
    let (Passed::Common(score), rest) = blob.back()? else { return None };
    (score.is_int() || check_score(score.item()).is_ok()).then_some(rest)
}

/// Passes a member or field that did not stand there before.
#[inline(always)]
fn new<B: Backward>(blob: B, unique: &mut Unique) -> Option<B> {
    let (Passed::Common(entry), rest) = blob.back()? else { return None };
    let is_new = match entry.short_text() {
        Some((window, len)) => unique.insert_in(window, len),
        None => unique.insert_item(entry.item()),
    };
    is_new.then_some(rest)
}

#[cfg(test)]
mod tests {
    use offkey_testkit::{Listpack, Rng, Ziplist};

    use super::*;
    use crate::entry::Packed;
    use crate::packed::{listpack, ziplist};
    use crate::source::Padded;
    use crate::value::check_items;

    const COLUMNS: [Columns; 4] =
        [Columns::Element, Columns::Member, Columns::MemberScore, Columns::FieldValue];

    /// An integer of any width, or a text, seldom of so many bytes that its form is not common.
    fn text(rng: &mut Rng) -> Vec<u8> {
        match rng.below(8) {
            0..=2 => (rng.integer() >> rng.below(64)).to_string().into_bytes(),
            3 => b"member".to_vec(),
            _ => {
                let len = if rng.one_in(100) { 300 } else { 66 };
                let len = rng.below(len);
                rng.bytes(len)
            }
        }
    }

    /// What both walks say of a blob that states its entries, with something behind it in memory.
    fn walks(kind: Packed, blob: &[u8], columns: Columns) -> (bool, bool) {
        let stated = match kind {
            Packed::Ziplist => ziplist::stated_in(blob),
            _ => listpack::stated_in(blob),
        };
        let Some(stated) = stated else { return (false, false) };
        let mut padded = blob.to_vec();
        padded.extend_from_slice(&[0xff; 40]);
        let mut unique = Unique::default();
        let from_end = match kind {
            Packed::Ziplist => ziplist::FromEnd::new(&padded, blob.len())
                .is_some_and(|blob| is_right(blob, stated, columns, &mut unique)),
            _ => listpack::FromEnd::new(&padded, blob.len())
                .is_some_and(|blob| is_right(blob, stated, columns, &mut unique)),
        };
        let mut source = Padded::new(&padded, blob.len());
        columns.begin(&mut unique, &source, Some(stated));
        let count = check_items(kind, &mut source, columns, &mut unique);
        (from_end, count.is_ok_and(|count| count == stated))
    }

    #[test]
    fn what_is_right_from_the_end_is_right_from_the_beginning() {
        let (mut rng, mut right_count, mut doubted_count) = (Rng::new(8), 0, 0);
        for round in 0..6000 {
            let columns = *rng.pick(&COLUMNS);
            let row_count = rng.below(12);
            let texts: Vec<Vec<u8>> = (0..2 * row_count).map(|_| text(&mut rng)).collect();
            let (kind, mut blob) = if rng.one_in(2) {
                (Packed::Listpack, Listpack::of(&texts))
            } else {
                (Packed::Ziplist, Ziplist::of(&texts))
            };
            if rng.one_in(2) {
                let at = rng.below(blob.len());
                blob[at] ^= 1 << rng.below(8);
            }
            let (from_end, from_beginning) = walks(kind, &blob, columns);
            assert!(from_beginning || !from_end, "round {round}: {columns:?} {blob:02x?}");
            right_count += u32::from(from_end);
            doubted_count += u32::from(from_beginning && !from_end);
        }
        assert!(right_count > 2000, "{right_count} were right from the end");
        assert!(doubted_count < right_count / 4, "{doubted_count} right ones were doubted");
    }

    #[test]
    fn every_wrong_byte_is_found_as_from_the_beginning() {
        for (columns, texts) in [
            (Columns::MemberScore, ["a", "1", "member", "-2.5"]),
            (Columns::FieldValue, ["field", "", "7", "100000"]),
        ] {
            for kind in [Packed::Listpack, Packed::Ziplist] {
                let blob = match kind {
                    Packed::Ziplist => Ziplist::of(&texts),
                    _ => Listpack::of(&texts),
                };
                assert_eq!(walks(kind, &blob, columns), (true, true));
                for (at, value) in (0..blob.len()).flat_map(|at| (0..=255).map(move |b| (at, b))) {
                    let mut wrong = blob.clone();
                    wrong[at] = value;
                    let (from_end, from_beginning) = walks(kind, &wrong, columns);
                    assert!(from_beginning || !from_end, "{kind:?}: {value:#04x} at {at}");
                }
            }
        }
    }

    #[test]
    fn members_that_stand_twice_and_scores_that_are_none_are_left_to_the_other_walk() {
        for (texts, columns) in [
            (["a", "1", "a", "2"], Columns::MemberScore),
            (["a", "1", "b", "nan"], Columns::MemberScore),
            (["12", "x", "12", "x"], Columns::FieldValue),
            (["a", "b", "c", "a"], Columns::Member),
        ] {
            for (kind, blob) in
                [(Packed::Listpack, Listpack::of(&texts)), (Packed::Ziplist, Ziplist::of(&texts))]
            {
                assert_eq!(walks(kind, &blob, columns), (false, false), "{kind:?} {texts:?}");
            }
        }
    }
}
