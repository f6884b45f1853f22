//! What the poll wrapper costs: a poll of nothing with it and without, in turns, in this process.
//!
//! Needs no right.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::clock::{ClockScale, cpu_counter};
use quadrant_suite::poll_wrapper::Meter;

use super::Part;
use super::bench::{Bench, Interrupted};
use super::extent::Extent;
use crate::system::board_memory::BoardMemory;

const ROUNDS: usize = 101;
const POLLS: u32 = 10_000;
/// As in a scenario that says nothing of it.
const THRESHOLD_NS: u64 = 10_000_000;

pub(super) const PART: Part = Part { name: "what the poll wrapper costs", takes, measure };

fn takes(_: &Extent, _: u32) -> Duration {
    Duration::from_millis(200)
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut counter = Row::new(
        "wrapper.counter",
        "poll wrapper, with the CPU's counter",
        Bound::AtMost(30.0),
        Unit::Nanoseconds,
    );
    if bench.clock.cpu_counter {
        add(&mut counter, per_poll_ns(bench.clock));
        let readings = two_readings_ns();
        counter.note(format!("its two readings of the counter are {readings:.1} ns of that"));
    } else {
        counter.cannot("the CPU's counter is not to be trusted here, so it is not used");
    }
    let mut system = Row::new(
        "wrapper.system",
        "poll wrapper, with the system's clock",
        Bound::AtMost(80.0),
        Unit::Nanoseconds,
    );
    add(&mut system, per_poll_ns(ClockScale::MONOTONIC));
    bench.clock.install();
    Ok(vec![counter, system])
}

fn add(row: &mut Row, rounds_ns: io::Result<Vec<f64>>) {
    match rounds_ns {
        Ok(rounds_ns) => row.add_cases("the poll wrapper", Cases::quantile(rounds_ns, 0.5)),
        Err(error) => row.cannot(format!("there is no memory for a board: {error}")),
    }
}

fn two_readings_ns() -> f64 {
    let begin = Instant::now();
    for _ in 0..POLLS {
        black_box((cpu_counter(), cpu_counter()));
    }
    begin.elapsed().as_nanos() as f64 / f64::from(POLLS)
}

/// Nanoseconds that a poll takes longer for being timed, in each of many rounds.
///
/// Installs `clock` for this process; whoever measures afterwards has to install its own.
fn per_poll_ns(clock: ClockScale) -> io::Result<Vec<f64>> {
    clock.install();
    // A meter outlives every task, so its board is never given back: a page or two are touched.
    let memory: &'static BoardMemory = Box::leak(Box::new(BoardMemory::create()?));
    let meter = Meter::new(memory.board(), clock, THRESHOLD_NS);
    let difference = |_| {
        let bare = time_of(black_box);
        let timed = time_of(|number| meter.poll(|| black_box(number)));
        (timed - bare) / f64::from(POLLS)
    };
    Ok((0..ROUNDS).map(difference).collect())
}

fn time_of(poll: impl Fn(u32) -> u32) -> f64 {
    let begin = Instant::now();
    for number in 0..POLLS {
        black_box(poll(number));
    }
    begin.elapsed().as_nanos() as f64
}
