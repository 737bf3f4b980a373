//! Keys of late: most keys differ from one of them in digits alone, and so belong to the same
//! prefixes.

use super::rule::Rule;
use crate::strings::PADDED_LEN;

/// Bytes that a name may have to be remembered.
const LEN_MAX: usize = 48;

/// Prefixes that a key may have to be remembered.
const DEPTH_MAX: usize = 6;

/// Names that are remembered, each in the place that its hash gives it.
const PLACES: usize = 512;

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
        let (words, _) = self.bytes.as_chunks();
        std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
    }

    /// Place among the names that are remembered.
    #[inline]
    pub(super) fn place(&self) -> usize {
        let hash = self.words().iter().fold(u64::from(self.len), |hash, word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        usize::try_from(hash >> 40).unwrap_or_default() % PLACES
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
}

/// The prefixes of keys of late.
#[derive(Debug, Clone)]
pub(super) struct Recent(Vec<Path>);

impl Default for Recent {
    fn default() -> Self {
        Self(vec![Path::default(); PLACES])
    }
}

impl Recent {
    /// Whether a name is remembered at this place with all of its prefixes.
    #[inline]
    pub(super) fn is_at(&self, place: usize, name: &Folded, type_at: u16) -> bool {
        let path = self.0.get(place).filter(|path| path.depth <= DEPTH_MAX);
        path.is_some_and(|path| path.name.is_like(name) && path.type_at == type_at)
    }

    /// The prefixes of the name that is remembered at this place.
    #[inline]
    pub(super) fn path_at(&self, place: usize) -> &[u32] {
        self.0.get(place).and_then(|path| path.places.get(..path.depth)).unwrap_or_default()
    }

    /// Takes a name in; its prefixes are to be pushed to the answer.
    pub(super) fn renew(&mut self, place: usize, name: &Folded, type_at: u16) -> Option<&mut Path> {
        let path = self.0.get_mut(place)?;
        *path = Path { name: *name, type_at, ..Path::default() };
        Some(path)
    }

    /// Forgets all, as places in the tree have changed.
    pub(super) fn forget(&mut self) {
        self.0.fill(Path::default());
    }
}
