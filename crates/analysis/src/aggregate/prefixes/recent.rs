//! Keys of late: most keys differ from one of them in digits alone, and so belong to the same
//! prefixes.

use super::rule::Rule;
use crate::strings::PADDED_LEN;

/// Bytes that a name may have to be remembered.
const LEN_MAX: usize = 48;

/// Prefixes that a key may have to be remembered.
const DEPTH_MAX: usize = 6;

/// Names that are remembered, each in the place that its hash gives it.
const PLACES: usize = 2048;

/// Odd numbers without a pattern, one for each eight bytes of a name.
const FACTORS: [u64; LEN_MAX / 8] = [
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
    0x1d8e_4e27_c47d_124f,
    0xeb44_acca_b455_d165,
];

/// What is left of the bytes of a name, and then of those behind it.
static MASK: [[u8; LEN_MAX]; 2] = [[u8::MAX; LEN_MAX], [0; LEN_MAX]];

/// A short name as it counts: digits folded, behind its end zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded {
    bytes: [u8; LEN_MAX],
    len: u8,
}

impl Folded {
    /// Folds a name; none if it is too long.
    #[inline]
    pub(super) fn new(name: &[u8], rule: &Rule) -> Option<Self> {
        let mut padded = [0; PADDED_LEN];
        padded.get_mut(..name.len())?.copy_from_slice(name);
        Self::of_padded(&padded, name.len(), rule)
    }

    /// Folds a name that is followed by something else.
    #[inline]
    pub(super) fn of_padded(padded: &[u8; PADDED_LEN], len: usize, rule: &Rule) -> Option<Self> {
        let mask = MASK.as_flattened().get(LEN_MAX.checked_sub(len)?..)?;
        // Loops of one length over all bytes, which the compiler makes into a few instructions.
        let mut bytes = *padded.first_chunk()?;
        rule.fold_bytes(&mut bytes);
        for (byte, mask) in bytes.iter_mut().zip(mask.first_chunk::<LEN_MAX>()?) {
            *byte &= mask;
        }
        Some(Self { bytes, len: u8::try_from(len).ok()? })
    }

    #[inline]
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.words().into_iter().zip(other.words());
        let differ = pairs.fold(0, |differ, (a, b)| differ | a ^ b);
        differ == 0 && self.len == other.len
    }

    #[inline]
    fn words(&self) -> [u64; LEN_MAX / 8] {
        words(&self.bytes)
    }

    /// A hash of a name of this type: names of several types are often alike.
    #[inline]
    pub(super) fn hash(&self, type_at: u16) -> u64 {
        hash(self.words(), self.len, type_at)
    }

    /// The hash of a name that is the first `len` bytes of this one.
    #[inline]
    pub(super) fn hash_of_first(&self, len: usize, type_at: u16) -> u64 {
        let mask = MASK.as_flattened().get(LEN_MAX.saturating_sub(len)..);
        let mask = words(mask.and_then(<[u8]>::first_chunk).unwrap_or(&[0; LEN_MAX]));
        let own = self.words();
        let first = std::array::from_fn(|at| match (own.get(at), mask.get(at)) {
            (Some(word), Some(mask)) => word & mask,
            _ => 0,
        });
        hash(first, u8::try_from(len).unwrap_or(self.len), type_at)
    }

    /// Like [`Rule::cut`] of the name.
    #[inline]
    pub(super) fn cut(&self, rule: &Rule, mut each: impl FnMut(&[u8], usize) -> bool) {
        let text = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        // Behind the name are zeros, which may be separators as well.
        let separators = rule.separators_in(&self.bytes) & !(u64::MAX << self.len);
        if separators == 0 {
            if !text.is_empty() {
                each(text, 0);
            }
            return;
        }
        // A prefix ends at the first of separators in a row, unless they begin the name.
        let mut ends = separators & !(separators << 1) & !1;
        let mut segment_at = 0;
        while ends != 0 {
            let at = usize::try_from(ends.trailing_zeros()).unwrap_or_default();
            ends &= ends - 1;
            if !each(text.get(..at).unwrap_or_default(), segment_at) {
                return;
            }
            segment_at = at;
        }
    }
}

#[inline]
fn words(bytes: &[u8; LEN_MAX]) -> [u64; LEN_MAX / 8] {
    let (words, _) = bytes.as_chunks();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
}

#[inline]
fn hash(words: [u64; LEN_MAX / 8], len: u8, type_at: u16) -> u64 {
    let start = u64::from(type_at) << 8 | u64::from(len);
    // Products that do not wait for each other.
    let products = words.into_iter().zip(FACTORS);
    let sum = products.fold(start, |sum, (word, factor)| {
        sum.wrapping_add((word ^ word >> 29).wrapping_mul(factor))
    });
    (sum ^ sum >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The prefixes of a name, as places in the tree, shortest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    name: Folded,
    type_at: u16,
    /// More than [`DEPTH_MAX`] where not all of them are here.
    depth: usize,
    places: [u32; DEPTH_MAX],
}

impl Default for Path {
    fn default() -> Self {
        let name = Folded { bytes: [0; LEN_MAX], len: 0 };
        Self { name, type_at: 0, depth: 0, places: [0; DEPTH_MAX] }
    }
}

impl Path {
    /// Appends a prefix.
    pub(super) fn push(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(self.depth) {
            *place = at;
        }
        self.depth += 1;
    }

    /// Forgets the name.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The prefixes of keys of late.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    /// Hash of the name seen last at each place. Names are remembered when they come a second
    /// time, so that those that come once cost no more than this.
    seen: Vec<u64>,
    paths: Vec<Path>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { seen: vec![0; PLACES], paths: vec![Path::default(); PLACES] }
    }
}

impl Recent {
    /// Place of a name of this hash, and whether one was seen there last.
    #[inline]
    pub(super) fn place(&mut self, hash: u64) -> (usize, bool) {
        let place = usize::try_from(hash >> 40).unwrap_or_default() % PLACES;
        let seen = self.seen.get_mut(place);
        (place, seen.is_some_and(|seen| std::mem::replace(seen, hash) == hash))
    }

    /// Whether a name is remembered at this place with all of its prefixes.
    #[inline]
    pub(super) fn is_at(&self, place: usize, name: &Folded, type_at: u16) -> bool {
        let path = self.paths.get(place).filter(|path| path.depth <= DEPTH_MAX);
        path.is_some_and(|path| path.name.is_like(name) && path.type_at == type_at)
    }

    /// The prefixes of the name that is remembered at this place.
    #[inline]
    pub(super) fn path_at(&self, place: usize) -> &[u32] {
        self.paths.get(place).and_then(|path| path.places.get(..path.depth)).unwrap_or_default()
    }

    /// Takes a name in; its prefixes are to be pushed to the answer.
    pub(super) fn renew(&mut self, place: usize, name: &Folded, type_at: u16) -> Option<&mut Path> {
        let path = self.paths.get_mut(place)?;
        *path = Path { name: *name, type_at, ..Path::default() };
        Some(path)
    }

    /// Forgets all, as places in the tree have changed.
    pub(super) fn forget(&mut self) {
        self.paths.fill(Path::default());
    }
}

#[cfg(test)]
mod tests {
    use offkey_testkit::Rng;

    use super::*;

    #[test]
    fn short_names_are_cut_as_long_ones_are() {
        let mut rng = Rng::new(1);
        let sets: [&[u8]; 5] = [b":", b":;,_-", b"", b"\0:", b"abcdefghijk"];
        for rule in sets.iter().flat_map(|set| [true, false].map(|fold| Rule::new(set, fold))) {
            for _ in 0..2000 {
                let len = rng.between(0, LEN_MAX);
                let name: Vec<u8> = (0..len).map(|_| *rng.pick(b"::;_-a5\0k\xff")).collect();
                let mut found = Vec::new();
                let note = |text: &[u8], segment_at: usize| {
                    found.push((text.to_vec(), segment_at));
                    found.len() < 5
                };
                Folded::new(&name, &rule).unwrap().cut(&rule, note);
                let mut expected = Vec::new();
                rule.cut(&name, &mut Vec::new(), |text, segment_at| {
                    expected.push((text.to_vec(), segment_at));
                    expected.len() < 5
                });
                assert_eq!(found, expected, "{}", name.escape_ascii());
            }
        }
    }
}
