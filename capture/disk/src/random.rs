//! The deterministic random numbers of the simulated disk and of the simulators above it.
//!
//! xoshiro256** by David Blackman and Sebastiano Vigna (2018, public domain reference code at
//! prng.di.unimi.it), its state filled by splitmix64 from one 64-bit seed. Invariant: the same seed
//! gives the same sequence on every machine and in every version, so a printed seed reproduces a
//! failure. Not for keys, nonces or ids.

/// A small seeded generator; cloning it copies its state.
#[derive(Debug, Clone)]
pub struct SeededRandom {
    state: [u64; 4],
}

impl SeededRandom {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        Self {
            state: std::array::from_fn(|_| splitmix(&mut counter)),
        }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in `0..bound`, evenly spread. `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a random number below 0 does not exist");
        // Numbers beyond the last whole multiple of the bound would favour small results.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.next_u64();
            if number < limit {
                return number % bound;
            }
        }
    }

    /// A number in `low..high`, evenly spread. The range must not be empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// An index into something of `length` items. `length` must not be 0.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }

    /// True `per_mille` times in a thousand. Uses no randomness when it can only be false.
    pub fn chance_per_mille(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < u64::from(per_mille)
    }

    /// Fills the buffer with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A generator of its own, so that two consumers do not change each other's sequence.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

fn splitmix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *counter;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_matches_the_published_sequence() {
        let mut counter = 1_234_567;
        let numbers: Vec<u64> = (0..3).map(|_| splitmix(&mut counter)).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn xoshiro_matches_the_published_step() {
        let mut random = SeededRandom {
            state: [1, 2, 3, 4],
        };
        let numbers: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]
        );
    }

    #[test]
    fn same_seed_same_numbers_and_bounds_hold() {
        let (mut one, mut two) = (SeededRandom::new(7), SeededRandom::new(7));
        let mut seen = [false; 5];
        for _ in 0..200 {
            assert_eq!(one.next_u64(), two.next_u64());
            let number = one.below(5);
            assert_eq!(number, two.below(5));
            seen[number as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert!(!one.chance_per_mille(0));
        assert!(one.chance_per_mille(1000));
    }
}
