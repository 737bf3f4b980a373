//! Strings of which nothing matters but their lengths: counted, not handed out one by one.

/// How many strings there are of each length below [`Lengths::LEN_END`].
#[derive(Debug, Clone)]
pub struct Lengths([u32; Self::LEN_END]);

impl Default for Lengths {
    fn default() -> Self {
        Self([0; Self::LEN_END])
    }
}

impl Lengths {
    /// Length from which on strings are not counted here.
    pub const LEN_END: usize = 64;

    /// Strings from which on counting them costs less than handing them out.
    pub(crate) const WORTH: u64 = 64;

    /// The lengths that occur, in bytes, each with the number of its strings.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = (0..).zip(&self.0).map(|(len, count)| (len, u64::from(*count)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// The count of strings of this length, unless they are too long.
    #[inline]
    pub(crate) fn count_mut(&mut self, len: u64) -> Option<&mut u32> {
        self.0.get_mut(usize::try_from(len).ok()?)
    }

    pub(crate) fn clear(&mut self) {
        self.0 = [0; Self::LEN_END];
    }
}
