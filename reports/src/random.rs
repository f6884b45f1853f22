//! Random numbers and orders that a seed repeats on every machine and in every run.
//!
//! Never reads the system's randomness, and is of no use for secrets.

/// SplitMix64: eight bytes of state, every one of which is in the seed.
#[derive(Debug, Clone)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// One generator for each purpose, so that what one draws does not change another's numbers.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(seed ^ fingerprint(purpose))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The bias of the multiplication is below 2^-40 for any number of trials.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// Every order is as likely as any other.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = (self.draw() % (last as u64 + 1)) as usize;
            items.swap(last, chosen);
        }
    }

    /// Twelve uniform values make a good enough normal one.
    #[cfg(test)]
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.draw() as f64 / u64::MAX as f64).sum::<f64>() - 6.0
    }
}

/// FNV-1a: spreads a text over 64 bits.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_have_known_values() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_seed_repeats_its_order_and_others_differ() {
        let order = |seed, purpose| {
            let mut items: Vec<u32> = (0..20).collect();
            SplitMix::new(seed, purpose).shuffle(&mut items);
            items
        };
        assert_eq!(order(7, "a"), order(7, "a"));
        assert_ne!(order(7, "a"), order(8, "a"));
        assert_ne!(order(7, "a"), order(7, "b"));
        let mut sorted = order(7, "a");
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn every_item_comes_first_about_as_often() {
        let mut first = [0; 4];
        for trial in 0..4_000 {
            let mut items = [0, 1, 2, 3];
            SplitMix::new(1, &trial.to_string()).shuffle(&mut items);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|count| (800..1_200).contains(count)), "{first:?}");
    }
}
