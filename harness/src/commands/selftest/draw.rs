//! Which stalls are made, drawn by a seed: their lengths, kinds and the pauses between them.
//!
//! The seed brings all of it back. It makes nothing itself.

use std::time::Duration;

use quadrant_reports::selftest::injections::LONG_ENOUGH;
use quadrant_suite::injection::{Hold, Injection};
use quadrant_suite::plan::{Action, Group, How, Pace};

use super::bench::{Trial, step};
use quadrant_reports::random::SplitMix;

const KINDS: [Hold; 3] = [Hold::Spin, Hold::Sleep, Hold::Read];
/// In thresholds.
const SHORTEST: f64 = 0.3;
const LONGEST: f64 = 4.0;
/// One more in so many is shorter than what has to be found, and only is in the way.
const SHORT_ONES: u32 = 6;
const PAUSE_NS: (u64, u64) = (200_000, 3_000_000);
/// The most that a trial may take, in times that it should.
const PATIENCE: u32 = 4;

/// `long` stalls of at least 1.5 thresholds and some shorter ones, in any order.
pub fn injections(seed: u64, purpose: &str, threshold: Duration, long: u32) -> Vec<Injection> {
    let mut chance = SplitMix::new(seed, purpose);
    let threshold_ns = threshold.as_nanos() as f64;
    let mut injections: Vec<Injection> = (0..long + long / SHORT_ONES)
        .map(|index| {
            let part = share(&mut chance);
            // More of the shorter ones: they are the harder to get right, and take less time.
            let (from, to, part) = match index < long {
                true => (LONG_ENOUGH, LONGEST, part * part),
                false => (SHORTEST, LONG_ENOUGH, part),
            };
            let (pause_min, pause_max) = PAUSE_NS;
            Injection {
                after_ns: pause_min + (share(&mut chance) * (pause_max - pause_min) as f64) as u64,
                // Every kind as often as any other, whatever the seed.
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

/// How long they take, if a computation takes `stretch` times as long as it should.
pub fn time_for(injections: &[Injection], stretch: u32) -> Duration {
    let ns = injections.iter().map(|injection| {
        let stretch = if injection.hold == Hold::Spin { u64::from(stretch) } else { 1 };
        injection.ns * stretch + injection.after_ns
    });
    Duration::from_nanos(ns.sum())
}

/// The most that they may take.
pub fn time_at_most(injections: &[Injection], stretch: u32) -> Duration {
    time_for(injections, stretch) * PATIENCE + Duration::from_secs(2)
}

/// One task that makes them, in the company of others that do a little all the time: a loop
/// that runs nothing but stalls would be too easy to judge.
pub fn trial(
    injections: Vec<Injection>,
    threshold: Duration,
    workers: u32,
    most: Duration,
) -> Trial {
    let company = vec![
        step(Action::Sleep { ns: 500_000, how: How::Await }),
        step(Action::Cpu { ns: 30_000, how: How::Await }),
    ];
    let programs = vec![vec![step(Action::Inject { injections })], company];
    let group =
        |name: &str, count, program, pace| Group { name: name.to_owned(), count, program, pace };
    let groups = vec![
        group("staller", 1, 0, Pace::Repeat { times: 1 }),
        group("company", 4, 1, Pace::BackToBack),
    ];
    Trial { workers, threshold, ..Trial::of_tasks(programs, groups, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_brings_them_back_and_as_many_are_long_as_asked() {
        let threshold = Duration::from_millis(5);
        let drawn = |seed| injections(seed, "test", threshold, 200);
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
