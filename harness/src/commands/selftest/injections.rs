//! The stalls to inject: their lengths, kinds and the pauses between them, drawn from a seed.
//!
//! Never injects one itself.

use std::time::Duration;

use quadrant_reports::random::SplitMix;
use quadrant_reports::selftest::injections::LONG_ENOUGH;
use quadrant_suite::plan::{Hold, Injection};

const KINDS: [Hold; 3] = [Hold::Spin, Hold::Sleep, Hold::Read];
/// In thresholds.
const SHORTEST: f64 = 0.3;
const LONGEST: f64 = 4.0;
/// For every six injections that are long enough to be found, one shorter one as a decoy.
const LONG_PER_SHORT: u32 = 6;
const PAUSE_NS: (u64, u64) = (200_000, 3_000_000);

/// `long` stalls of at least 1.5 thresholds and some shorter ones, in any order.
pub fn draw(seed: u64, purpose: &str, threshold: Duration, long: u32) -> Vec<Injection> {
    let mut chance = SplitMix::new(seed, purpose);
    let threshold_ns = threshold.as_nanos() as f64;
    let mut injections: Vec<Injection> = (0..long + long / LONG_PER_SHORT)
        .map(|index| {
            let part = share(&mut chance);
            // More of the shorter ones: they are harder to measure and take less time.
            let (from, to, part) = match index < long {
                true => (LONG_ENOUGH, LONGEST, part * part),
                false => (SHORTEST, LONG_ENOUGH, part),
            };
            let (pause_min, pause_max) = PAUSE_NS;
            Injection {
                after_ns: pause_min + (share(&mut chance) * (pause_max - pause_min) as f64) as u64,
                // Equally many of every kind, whatever the seed.
                hold: KINDS[index as usize % KINDS.len()],
                ns: (threshold_ns * (from + (to - from) * part)).ceil() as u64,
            }
        })
        .collect();
    chance.shuffle(&mut injections);
    injections
}

/// From 0 to 1.
fn share(chance: &mut SplitMix) -> f64 {
    (chance.draw() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The longest time that they may take, if computing takes `stretch` times as long as planned:
/// four times the expected time, and 2 s.
pub fn time_limit(injections: &[Injection], stretch: u64) -> Duration {
    let ns = injections.iter().map(|injection| {
        let stretch = if injection.hold == Hold::Spin { stretch } else { 1 };
        injection.ns * stretch + injection.after_ns
    });
    Duration::from_nanos(ns.sum()) * 4 + Duration::from_secs(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_injections_again() {
        let threshold = Duration::from_millis(5);
        let drawn = |seed| draw(seed, "test", threshold, 200);
        assert_eq!(drawn(3), drawn(3));
        assert_ne!(drawn(3), drawn(4));
        for seed in 0..20 {
            let drawn = drawn(seed);
            let long = drawn.iter().filter(|one| one.ns as f64 >= 7.5e6).count();
            assert_eq!((long, drawn.len()), (200, 233));
            assert!(drawn.iter().all(|one| (1_500_000..=20_000_001).contains(&one.ns)));
            for kind in KINDS {
                assert!(drawn.iter().filter(|one| one.hold == kind).count() >= 77);
            }
        }
    }
}
