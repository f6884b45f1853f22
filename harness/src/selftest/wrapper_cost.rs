//! What the poll wrapper costs: a poll of nothing with it and without, in turns, in this process.
//!
//! Starts nothing and needs no right.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use quadrant_suite::clock::ClockScale;
use quadrant_suite::poll_wrapper::Meter;

use crate::board_memory::BoardMemory;

const ROUNDS: usize = 101;
const POLLS: u32 = 10_000;
/// As in a scenario that says nothing of it.
const THRESHOLD_NS: u64 = 10_000_000;

/// Nanoseconds that a poll takes longer for being timed, as the median of many rounds.
///
/// Installs `clock` for this process; whoever measures afterwards has to install its own.
pub fn per_poll_ns(clock: ClockScale) -> io::Result<f64> {
    clock.install();
    // A meter outlives every task, so its board is never given back: a page or two are touched.
    let memory: &'static BoardMemory = Box::leak(Box::new(BoardMemory::create()?));
    let meter = Meter::new(memory.board(), clock, THRESHOLD_NS);
    let mut differences: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let bare = time_of(black_box);
            let timed = time_of(|number| meter.poll(|| black_box(number)));
            (timed - bare) / f64::from(POLLS)
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    Ok(differences[ROUNDS / 2])
}

fn time_of(poll: impl Fn(u32) -> u32) -> f64 {
    let begin = Instant::now();
    for number in 0..POLLS {
        black_box(poll(number));
    }
    begin.elapsed().as_nanos() as f64
}
