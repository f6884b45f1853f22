//! What the board tells of stalls: how many and how long, why, and when all loops stood still.
//!
//! Reads the board and never writes to it; those still going on at the window's end count.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use quadrant_reports::record::Stalls;
use quadrant_suite::board::Board;
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use quadrant_suite::plan::Plan;

use crate::machine::process;

const MS: u64 = 1_000_000;

/// What stalled threads were doing whenever they were looked at during the window.
#[derive(Default)]
pub struct Glances(BTreeMap<String, u64>);

impl Glances {
    pub fn look(&mut self, board: &Board, plan: &Plan, pid: u32) {
        let now = stamp();
        for slot in board.slots() {
            let started = slot.poll_started.load(Relaxed);
            if started != 0 && plan.clock.ns_between(started, now) >= plan.stall_threshold_ns {
                let seen = process::activity(pid, slot.thread_id.load(Relaxed));
                *self.0.entry(seen.unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
            }
        }
    }
}

/// The stalls of a window that ended at `window_end`.
pub fn read(board: &Board, plan: &Plan, window_end: Stamp, glances: Glances) -> Stalls {
    let mut stalls =
        Stalls { threshold_ns: plan.stall_threshold_ns, seen_in: glances.0, ..Stalls::default() };
    let mut counts = [0_u64; 3];
    let (kept, all_kept) = board.stalls();
    let mut stretches: Vec<(usize, Stamp, Stamp)> =
        kept.iter().map(|stall| (stall.slot, stall.start, stall.end)).collect();
    for (index, slot) in board.slots().iter().enumerate() {
        stalls.polls += slot.polls.load(Relaxed);
        stalls.longest_ns = stalls.longest_ns.max(slot.longest_ns.load(Relaxed));
        stalls.total_ns += slot.stalled_ns.load(Relaxed);
        stalls.cpu_ns += slot.stalled_cpu_ns.load(Relaxed);
        stalls.run_queue_ns += slot.stalled_run_queue_ns.load(Relaxed);
        let started = slot.poll_started.load(Relaxed);
        let going_on = if started == 0 { 0 } else { plan.clock.ns_between(started, window_end) };
        let thresholds = [MS, plan.stall_threshold_ns, 100 * MS];
        for ((count, threshold), ended) in counts.iter_mut().zip(thresholds).zip(&slot.stalls) {
            *count += ended.load(Relaxed) + u64::from(going_on >= threshold);
        }
        if going_on >= plan.stall_threshold_ns {
            stalls.longest_ns = stalls.longest_ns.max(going_on);
            stalls.unfinished_ns += going_on;
            stretches.push((index, started, window_end));
        }
    }
    [stalls.count_1ms, stalls.count, stalls.count_100ms] = counts;
    stalls.blocked_ns =
        stalls.total_ns.saturating_sub(stalls.cpu_ns).saturating_sub(stalls.run_queue_ns);
    stalls.total_ns += stalls.unfinished_ns;
    let window = (board.window_start(), window_end);
    stalls.all_loops_ns =
        all_kept.then(|| together_ns(&stretches, board.loops_peak(), window, plan.clock));
    stalls
}

/// How long as many of the stretches as there are loops went on at once, within the window.
fn together_ns(
    stretches: &[(usize, Stamp, Stamp)],
    loops: u64,
    window: (Stamp, Stamp),
    clock: ClockScale,
) -> u64 {
    let mut edges: Vec<(Stamp, i64)> = stretches
        .iter()
        .flat_map(|(_, start, end)| [((*start).max(window.0), 1), ((*end).min(window.1), -1)])
        .collect();
    // Ends first: one that ends as the other begins is no overlap.
    edges.sort_unstable();
    let (mut standing, mut since, mut ticks) = (0, 0, 0);
    for (moment, step) in edges {
        if standing == loops as i64 {
            ticks += moment.saturating_sub(since);
        }
        standing += step;
        since = moment;
    }
    clock.ns(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stretches: &[(usize, Stamp, Stamp)], loops: u64, expected: u64) {
        let together = together_ns(stretches, loops, (100, 1_000), ClockScale::MONOTONIC);
        assert_eq!(together, expected, "{stretches:?}");
    }

    #[test]
    fn all_loops_stand_still_only_where_all_stretches_overlap() {
        check(&[], 1, 0);
        check(&[(0, 200, 300)], 1, 100);
        check(&[(0, 200, 300)], 2, 0);
        check(&[(0, 200, 300), (1, 250, 400)], 2, 50);
        check(&[(0, 200, 300), (1, 300, 400)], 2, 0);
        check(&[(0, 0, 150), (0, 900, 2_000)], 1, 150);
        check(&[(0, 200, 300), (1, 200, 300), (0, 400, 500), (1, 450, 460)], 2, 110);
    }
}
