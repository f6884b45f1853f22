//! The stalls of a window, read from the board: how many, how long, their causes, and how long all
//! loops stalled at once. A stall that goes on at the window's end counts.
//!
//! Never writes to the board.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use quadrant_reports::record::Stalls;
use quadrant_suite::board::{Board, LoopSlot, Stall};
use quadrant_suite::clock::{ClockScale, Stamp, stamp};
use quadrant_suite::plan::Plan;

use crate::system::process;

const MS: u64 = 1_000_000;

/// Looking at one thread costs a file. If more are stalled at once, each look takes other ones.
const GLANCES_MAX: usize = 16;
/// Sightings that are kept one by one; more are only counted.
const SIGHTINGS_MAX: usize = 4_096;

/// What stalled threads were doing when they were looked at during the window.
#[derive(Default)]
pub struct Glances {
    counts: BTreeMap<String, u64>,
    sightings: Vec<Sighting>,
    /// The slot at which the next look begins.
    next: usize,
}

/// One look at a stalled thread, from before its state was read to after that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    pub begun: Stamp,
    pub ended: Stamp,
    pub seen: String,
}

impl Glances {
    pub fn look(&mut self, board: &Board, plan: &Plan, pid: u32) {
        let now = stamp();
        let slots = board.slots();
        let is_stalled = |slot: &LoopSlot| {
            let started = slot.poll_started.load(Relaxed);
            started != 0 && plan.clock.ns_between(started, now) >= plan.stall_threshold_ns
        };
        let stalled: Vec<usize> =
            (0..slots.len()).filter(|index| is_stalled(&slots[*index])).collect();
        for index in in_turn(&stalled, self.next) {
            let begun = stamp();
            let seen = process::activity(pid, slots[index].thread_id.load(Relaxed));
            let seen = seen.unwrap_or_else(|| "unknown".to_owned());
            if self.sightings.len() < SIGHTINGS_MAX {
                let ended = stamp();
                self.sightings.push(Sighting { begun, ended, seen: seen.clone() });
            }
            *self.counts.entry(seen).or_default() += 1;
            self.next = index + 1;
        }
    }

    /// The sightings one by one.
    pub fn take_sightings(&mut self) -> Vec<Sighting> {
        std::mem::take(&mut self.sightings)
    }
}

/// A few of `stalled`, those from `next` on first.
fn in_turn(stalled: &[usize], next: usize) -> impl Iterator<Item = usize> {
    let (before, after) = stalled.split_at(stalled.partition_point(|index| *index < next));
    after.iter().chain(before).copied().take(GLANCES_MAX)
}

/// The stalls of the window. Read them after the subject has handed in its outcome: by then most of
/// those that went on at the window's end have ended, and their causes are known.
pub fn read(board: &Board, plan: &Plan, glances: Glances) -> Stalls {
    let window = (board.window_start(), board.window_end());
    // Before the log, which a stall that ends in between is in.
    let going_on: Vec<(usize, Stamp)> = board
        .slots()
        .iter()
        .map(|slot| slot.poll_started.load(Acquire))
        .enumerate()
        .filter(|(_, started)| *started != 0 && *started < window.1)
        .collect();
    let (mut kept, all_kept) = board.stalls();
    let unended: Vec<Stall> = going_on
        .into_iter()
        .filter(|(slot, start)| !kept.iter().any(|k| k.slot == *slot && k.start == *start))
        .map(|(slot, start)| Stall { slot, start, end: window.1, cpu_ns: 0, run_queue_ns: 0 })
        .collect();
    let mut stalls = Stalls {
        threshold_ns: plan.stall_threshold_ns,
        seen_in: glances.counts,
        count_1ms: counted(board, 0),
        polls: board.slots().iter().map(|slot| slot.polls.load(Relaxed)).sum(),
        ..Stalls::default()
    };
    let lengths = |stall: &Stall| clip(stall, window, plan.clock);
    for stall in &kept {
        let (inside_ns, whole_ns) = lengths(stall);
        if inside_ns >= plan.stall_threshold_ns {
            // The part outside of the window is taken to have had the same causes.
            let share =
                |ns: u64| (u128::from(ns) * u128::from(inside_ns) / u128::from(whole_ns)) as u64;
            add(&mut stalls, inside_ns);
            stalls.cpu_ns += share(stall.cpu_ns);
            stalls.run_queue_ns += share(stall.run_queue_ns);
        }
    }
    stalls.blocked_ns =
        stalls.total_ns.saturating_sub(stalls.cpu_ns).saturating_sub(stalls.run_queue_ns);
    if !all_kept {
        // There were too many to keep each. Their sums are not cut at the window's edges.
        count_only(&mut stalls, board);
    }
    for (inside_ns, _) in unended.iter().map(lengths) {
        stalls.count_1ms += u64::from(inside_ns >= MS);
        if inside_ns >= plan.stall_threshold_ns {
            add(&mut stalls, inside_ns);
            stalls.unfinished_ns += inside_ns;
        }
    }
    kept.extend(unended);
    stalls.all_loops_ns =
        all_kept.then(|| together_ns(&kept, board.loops_peak(), window, plan.clock));
    stalls
}

fn add(stalls: &mut Stalls, ns: u64) {
    stalls.count += 1;
    stalls.count_100ms += u64::from(ns >= 100 * MS);
    stalls.longest_ns = stalls.longest_ns.max(ns);
    stalls.total_ns += ns;
}

/// How long a stall lasted inside the window, and altogether.
fn clip(stall: &Stall, window: (Stamp, Stamp), clock: ClockScale) -> (u64, u64) {
    let inside = clock.ns_between(stall.start.max(window.0), stall.end.min(window.1));
    (inside, clock.ns_between(stall.start, stall.end).max(1))
}

fn counted(board: &Board, threshold: usize) -> u64 {
    board.slots().iter().map(|slot| slot.stalls[threshold].load(Relaxed)).sum()
}

fn count_only(stalls: &mut Stalls, board: &Board) {
    let sum = |read: fn(&LoopSlot) -> u64| board.slots().iter().map(read).sum::<u64>();
    stalls.count = counted(board, 1);
    stalls.count_100ms = counted(board, 2);
    stalls.total_ns = sum(|slot| slot.stalled_ns.load(Relaxed));
    stalls.cpu_ns = sum(|slot| slot.stalled_cpu_ns.load(Relaxed));
    stalls.run_queue_ns = sum(|slot| slot.stalled_run_queue_ns.load(Relaxed));
    stalls.blocked_ns =
        stalls.total_ns.saturating_sub(stalls.cpu_ns).saturating_sub(stalls.run_queue_ns);
    let longest = board.slots().iter().map(|slot| slot.longest_ns.load(Relaxed)).max();
    stalls.longest_ns = longest.unwrap_or(0);
}

/// How long as many stalls as there are loops went on at once, within the window.
fn together_ns(stalls: &[Stall], loops: u64, window: (Stamp, Stamp), clock: ClockScale) -> u64 {
    let mut edges: Vec<(Stamp, i64)> = stalls
        .iter()
        .map(|stall| (stall.start.max(window.0), stall.end.min(window.1)))
        .filter(|(start, end)| start < end)
        .flat_map(|(start, end)| [(start, 1), (end, -1)])
        .collect();
    // Ends first: one that ends as the other begins is no overlap.
    edges.sort_unstable();
    let (mut going_on, mut since, mut ticks) = (0, 0, 0);
    for (moment, step) in edges {
        if going_on == loops as i64 {
            ticks += moment.saturating_sub(since);
        }
        going_on += step;
        since = moment;
    }
    clock.ns(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stretches: &[(usize, Stamp, Stamp)], loops: u64, expected: u64) {
        let stall = |&(slot, start, end)| Stall { slot, start, end, cpu_ns: 0, run_queue_ns: 0 };
        let kept: Vec<Stall> = stretches.iter().map(stall).collect();
        let together = together_ns(&kept, loops, (100, 1_000), ClockScale::MONOTONIC);
        assert_eq!(together, expected, "{stretches:?}");
    }

    #[test]
    fn many_stalled_threads_are_looked_at_in_turn() {
        let turn = |standing: &[usize], next| in_turn(standing, next).collect::<Vec<_>>();
        assert!(turn(&[], 7).is_empty());
        assert_eq!(turn(&[1, 4, 9], 5), [9, 1, 4]);
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(turn(&all, 90), Vec::from_iter((90..100).chain(0..6)));
    }

    #[test]
    fn a_stall_is_cut_at_the_edges_of_the_window() {
        let stall = Stall { slot: 0, start: 50, end: 250, cpu_ns: 0, run_queue_ns: 0 };
        assert_eq!(clip(&stall, (100, 1_000), ClockScale::MONOTONIC), (150, 200));
        assert_eq!(clip(&stall, (100, 200), ClockScale::MONOTONIC), (100, 200));
        assert_eq!(clip(&stall, (300, 400), ClockScale::MONOTONIC), (0, 200));
    }

    #[test]
    fn all_loops_stall_only_where_all_stalls_overlap() {
        check(&[], 1, 0);
        check(&[(0, 200, 300)], 1, 100);
        check(&[(0, 200, 300)], 2, 0);
        check(&[(0, 200, 300), (1, 250, 400)], 2, 50);
        check(&[(0, 200, 300), (1, 300, 400)], 2, 0);
        check(&[(0, 0, 150), (0, 900, 2_000)], 1, 150);
        check(&[(0, 200, 300), (1, 200, 300), (0, 400, 500), (1, 450, 460)], 2, 110);
    }
}
