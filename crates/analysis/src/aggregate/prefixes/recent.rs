//! Keys of late: most keys differ from one of them in digits alone, and so belong to the same
//! prefixes.

use super::rule::Rule;

/// Words of eight bytes that a name may have to be remembered.
const WORDS_MAX: usize = 6;

/// Prefixes that a key may have to be remembered.
const DEPTH_MAX: usize = 6;

/// Names that are remembered, each in the place that its hash gives it.
const PLACES: usize = 512;

/// A short name as it counts: digits folded, behind its end zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Folded {
    words: [u64; WORDS_MAX],
    len: usize,
    hash: u64,
}

impl Folded {
    /// Folds a name; none if it is too long.
    #[inline]
    pub(super) fn new(name: &[u8], rule: &Rule) -> Option<Self> {
        let (chunks, rest) = name.as_chunks::<8>();
        let mut folded = Self { words: [0; WORDS_MAX], len: name.len(), hash: name.len() as u64 };
        let mut words = folded.words.iter_mut();
        let mut put = |bytes: u64| -> Option<()> {
            let word = rule.fold(bytes);
            *words.next()? = word;
            folded.hash = (folded.hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Some(())
        };
        for chunk in chunks {
            put(u64::from_le_bytes(*chunk))?;
        }
        if !rest.is_empty() {
            // The last eight bytes without those that were taken, where there are as many.
            put(match name.last_chunk::<8>() {
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                None => rest.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
            })?;
        }
        Some(folded)
    }
}

/// The prefixes of a name, as places in the tree, shortest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Path {
    name: Folded,
    type_at: u16,
    /// More than [`DEPTH_MAX`] where not all of them are here.
    depth: usize,
    places: [u32; DEPTH_MAX],
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
    /// The prefixes of a name, if one like it was here of late.
    #[inline]
    pub(super) fn path(&self, name: &Folded, type_at: u16) -> Option<&[u32]> {
        let path = self.0.get(place(name))?;
        if path.name != *name || path.type_at != type_at {
            return None;
        }
        path.places.get(..path.depth)
    }

    /// Takes a name in; its prefixes are to be pushed to the answer.
    pub(super) fn renew(&mut self, name: &Folded, type_at: u16) -> Option<&mut Path> {
        let path = self.0.get_mut(place(name))?;
        *path = Path { name: *name, type_at, ..Path::default() };
        Some(path)
    }

    /// Forgets all, as places in the tree have changed.
    pub(super) fn forget(&mut self) {
        self.0.fill(Path::default());
    }
}

#[inline]
fn place(name: &Folded) -> usize {
    usize::try_from(name.hash >> 40).unwrap_or_default() % PLACES
}
