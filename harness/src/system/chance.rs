//! Random orders: the same seed gives the same order, on every machine.
//!
//! Never of use for anything that must be secret.

/// A generator for orders.
pub struct Chance(u64);

impl Chance {
    /// Seed and purpose decide about all that is drawn.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(seed ^ fingerprint(purpose))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Every order is as likely as any other.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = (self.draw() % (last as u64 + 1)) as usize;
            items.swap(last, chosen);
        }
    }
}

/// FNV-1a: spreads a text over 64 bits, the same on every machine. Not for secrets.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_order() {
        let order = |seed, purpose| {
            let mut items: Vec<u32> = (0..20).collect();
            Chance::new(seed, purpose).shuffle(&mut items);
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
            Chance::new(1, &trial.to_string()).shuffle(&mut items);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|count| (800..1_200).contains(count)), "{first:?}");
    }

    #[test]
    fn known_answers() {
        assert_eq!(fingerprint(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fingerprint("a"), 0xAF63_DC4C_8601_EC8C);
    }
}
