//! Random numbers that are the same for a seed on every machine.

/// The generator xorshift64*.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Starts a sequence; equal seeds give equal sequences.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds must not give neighbouring sequences, and zero would stay zero.
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ mixed >> 31) | 1)
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Is true once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Picks one of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Returns an integer of any magnitude and sign.
    pub fn integer(&mut self) -> i64 {
        self.bits().cast_signed() >> self.below(64)
    }

    /// Returns `len` random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }

    /// Returns `len` letters and digits, which hardly compress.
    pub fn letters(&mut self, len: usize) -> Vec<u8> {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut letters = Vec::with_capacity(len + 10);
        while letters.len() < len {
            let bits = self.bits();
            letters.extend((0..10).map(|at| LETTERS[(bits >> (6 * at)) as usize % 64]));
        }
        letters.truncate(len);
        letters
    }

    /// Returns a number above 0 and at most 1.
    pub fn share(&mut self) -> f64 {
        (self.below(1 << 30) + 1) as f64 / (1u64 << 30) as f64
    }

    /// Returns a number from `least` to `most`: of those above any number, the share above
    /// twice as much is `2^-alpha`.
    pub fn power_law(&mut self, least: usize, alpha: f64, most: usize) -> usize {
        (least as f64 * self.share().powf(-1.0 / alpha)).min(most as f64) as usize
    }

    /// Returns `len` bytes of words, which compress well.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: &[&str] =
            &["alpha", "beta", "gamma", "delta", "order", "user", "open", "paid"];
        let mut text = Vec::with_capacity(len + 8);
        while text.len() < len {
            text.extend_from_slice(self.pick(WORDS).as_bytes());
            text.push(b' ');
        }
        text.truncate(len);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_decide_the_sequence() {
        let draw = |seed| Rng::new(seed).bytes(16);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut rng = Rng::new(1);
        assert!((0..1000).all(|_| (3..=5).contains(&rng.between(3, 5))));
    }
}
