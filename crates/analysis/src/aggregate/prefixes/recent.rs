//! Keys of late: most keys differ from one of them in digits alone, and so belong to the same
//! prefixes.

use super::rule::Rule;
use crate::strings::PADDED_LEN;

/// Bytes that a name may have to be remembered.
pub(super) const LEN_MAX: usize = 48;

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
        /// Bytes copied at once: a copy of unknown length is a call.
        const STEP_LEN: usize = 16;
        let mut padded = [0; PADDED_LEN];
        let room = padded.get_mut(..name.len())?;
        match (name.as_chunks::<STEP_LEN>(), name.last_chunk(), room.as_chunks_mut()) {
            ((steps, _), Some(last), (room_for_steps, _)) => {
                room_for_steps.iter_mut().zip(steps).for_each(|(room, step)| *room = *step);
                *room.last_chunk_mut::<STEP_LEN>()? = *last;
            }
            (_, None, _) => room.copy_from_slice(name),
        }
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
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.words().into_iter().zip(other.words());
        let differ = pairs.fold(0, |differ, (a, b)| differ | a ^ b);
        differ == 0 && self.len == other.len
    }

    #[inline]
    fn words(&self) -> [u64; LEN_MAX / 8] {
        let (words, _) = self.bytes.as_chunks();
        std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
    }

    /// The hash of the name, of this type: names of several types are often alike.
    #[inline]
    pub(super) fn hash(&self, type_at: u16) -> u64 {
        let products = self.words().into_iter().zip(FACTORS);
        let sum =
            products.fold(0u64, |sum, (word, factor)| sum.wrapping_add(product(word, factor)));
        Hashes::finish(sum, usize::from(self.len), type_at)
    }

    /// The hash of the name and those of all that it begins with.
    #[inline]
    pub(super) fn hashes(&self) -> Hashes {
        let words = self.words();
        let mut sum = 0_u64;
        let mut sums = [0; LEN_MAX / 8 + 1];
        for ((after, word), factor) in sums.iter_mut().skip(1).zip(words).zip(FACTORS) {
            sum = sum.wrapping_add(product(word, factor));
            *after = sum;
        }
        Hashes { words, sums }
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

/// What a word of a name adds to its hash; one of zeros adds nothing.
#[inline]
fn product(word: u64, factor: u64) -> u64 {
    (word ^ word >> 29).wrapping_mul(factor)
}

/// Hashes of a name and of those that it begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashes {
    words: [u64; LEN_MAX / 8],
    /// What the words before each add up to.
    sums: [u64; LEN_MAX / 8 + 1],
}

impl Hashes {
    /// Of the name that is the first `len` bytes of this one.
    #[inline]
    pub(super) fn first(&self, len: usize, type_at: u16) -> u64 {
        let at = len / 8;
        let sum = self.sums.get(at).copied().unwrap_or_default();
        let last = match (self.words.get(at), FACTORS.get(at)) {
            (Some(word), Some(factor)) => product(word & !(u64::MAX << (len % 8 * 8)), *factor),
            _ => 0,
        };
        Self::finish(sum.wrapping_add(last), len, type_at)
    }

    #[inline]
    fn finish(sum: u64, len: usize, type_at: u16) -> u64 {
        let sum = sum.wrapping_add(u64::from(type_at) << 8 | len as u64);
        (sum ^ sum >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
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
    fn first_bytes_have_the_hash_of_a_name_of_their_own() {
        let mut rng = Rng::new(2);
        let rule = Rule::new(b":", true);
        for _ in 0..200 {
            let name: Vec<u8> = (0..LEN_MAX).map(|_| *rng.pick(b"ab:\0\xff")).collect();
            let hashes = Folded::new(&name, &rule).unwrap().hashes();
            for len in 0..=LEN_MAX {
                let first = Folded::new(&name[..len], &rule).unwrap();
                assert_eq!(hashes.first(len, 3), first.hash(3), "{len}");
                assert_ne!(hashes.first(len, 3), first.hash(2), "{len}");
            }
        }
    }

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
