//! What measuring costs: the poll wrapper, watching from outside, all instruments together, and
//! the time that a trial takes beyond its window.
//!
//! Never judges a subject by itself: each figure is a difference, or this process's own time.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use quadrant_reports::duel::ratio;
use quadrant_reports::record::turns::{Start, Turn};
use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::Row;
use quadrant_suite::clock::{ClockScale, cpu_counter};
use quadrant_suite::plan::{Action, How, Pace};
use quadrant_suite::poll_wrapper::Meter;

use super::bench::{Bench, Interrupted, Rows, Unmeasured, group, step};
use super::turns::{self, Side};
use crate::adapters::subject::Subject;
use crate::system::board_memory::BoardMemory;

const POLLS: u32 = 10_000;

/// A poll of nothing with the wrapper and without, in turns, in this process.
pub fn poll_wrapper(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let counter = rows.row("wrapper.counter");
    if bench.clock.cpu_counter {
        add_wrapper_cost(counter, bench.clock);
        let readings_ns = per_poll_ns(|_| black_box((cpu_counter(), cpu_counter())));
        counter.note(format!("of that, {readings_ns:.1} ns for reading the counter twice"));
    } else {
        counter.fail_all("the CPU's counter is not reliable here, so it is not used");
    }
    add_wrapper_cost(rows.row("wrapper.system"), ClockScale::MONOTONIC);
    bench.clock.install();
    Ok(())
}

/// Installs `clock` for this process; the caller has to install its own again.
fn add_wrapper_cost(row: &mut Row, clock: ClockScale) {
    const ROUNDS: usize = 101;
    /// As in a scenario that does not set it.
    const THRESHOLD_NS: u64 = 10_000_000;
    clock.install();
    let meter = || -> io::Result<Meter> {
        // A meter is never dropped, so its board must not be either; it has a page or two.
        let memory: &'static BoardMemory = Box::leak(Box::new(BoardMemory::create()?));
        Ok(Meter::new(memory.board(), clock, THRESHOLD_NS))
    };
    match meter() {
        Ok(meter) => {
            let difference_ns = |_| {
                let bare_ns = per_poll_ns(black_box);
                per_poll_ns(|number| meter.poll(|| black_box(number))) - bare_ns
            };
            let rounds_ns = (0..ROUNDS).map(difference_ns).collect();
            row.add("the poll wrapper", Cases::quantile(rounds_ns, 0.5));
        }
        Err(error) => row.fail_all(format!("there is no memory for a board: {error}")),
    }
}

fn per_poll_ns<T>(poll: impl Fn(u32) -> T) -> f64 {
    let begin = Instant::now();
    for number in 0..POLLS {
        black_box(poll(number));
    }
    begin.elapsed().as_nanos() as f64 / f64::from(POLLS)
}

/// This process's CPU time for pings and samples while the subject has many threads.
pub fn watching(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const KEY: &str = "watching.cpu";
    /// Each waits on a thread where the subject has a pool that grows so far; where each task has a
    /// thread as well, there are twice as many.
    const TASKS: u32 = 60;
    const WAIT_NS: u64 = 50_000_000;
    let trials = [How::Offload, How::Await].map(|how| {
        let program = vec![step(Action::Sleep { ns: WAIT_NS, how })];
        let groups = vec![group("waiting", TASKS, 0, Pace::BackToBack)];
        bench.tasks(vec![program], groups, bench.window([800, 300]))
    });
    let mut threads_max = 0;
    bench.for_each_subject(rows, &[KEY], |rows, subject| {
        let is_possible = |trial: &&_| bench.prepare(subject, trial).is_ok();
        let trial = trials
            .iter()
            .find(is_possible)
            .ok_or_else(|| Unmeasured::NotApplicable("it has no tasks of its own".to_owned()))?;
        let measured = bench.run(subject, trial)?;
        let share = measured.harness_cpu_ns as f64 / measured.window_ns.max(1) as f64;
        rows.row(KEY).add(&subject.id, Cases::exact(share, measured.window_ns / 1_000_000));
        threads_max = threads_max.max(measured.observation.threads(measured.loops).peak);
        Ok(())
    })?;
    rows.row(KEY).note(format!("with up to {threads_max} threads; samples are ms of windows"));
    Ok(())
}

/// Echo with all instruments against the same without any, in lock-step. With many connections the
/// throughput counts; with one the loop is idle between requests, and the cost of the instruments
/// at each such pause shows in the CPU time.
pub fn instruments(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    const ECHO: &str = "instruments.echo";
    const CPU: &str = "instruments.cpu";
    let mut cpu_max: Option<f64> = None;
    bench.for_each_subject(rows, &[ECHO], |rows, subject| {
        let starts = beside_bare(bench, subject, 64)?;
        add_ratio(rows.row(ECHO), subject, &starts, Turn::ops_per_sec);
        let cpu = ratio(&starts, 1, Turn::cpu_ns_per_op).map(|ratio| ratio.value);
        cpu_max = [cpu_max, cpu].into_iter().flatten().reduce(f64::max);
        Ok(())
    })?;
    bench.for_each_subject(rows, &[CPU], |rows, subject| {
        let starts = beside_bare(bench, subject, 1)?;
        add_ratio(rows.row(CPU), subject, &starts, Turn::cpu_ns_per_op);
        Ok(())
    })?;
    if let Some(most) = cpu_max {
        rows.row(ECHO).note(format!(
            "in a closed loop; CPU time per request with them is at most {most:.3} times that \
             without them"
        ));
    }
    Ok(())
}

/// Starts of two sides: without instruments, and with them.
fn beside_bare(
    bench: &Bench,
    subject: &Subject,
    connections: u32,
) -> Result<Vec<Start>, Unmeasured> {
    let trial = bench.echo(connections, None, bench.window([300, 120]));
    let workers = trial.cpus.subject.len();
    let trial = trial.workers(workers);
    let sides = [false, true].map(|measured| Side { trial: &trial, measured });
    turns::starts(bench, subject, &sides, bench.extent([6, 2]))
}

fn add_ratio(row: &mut Row, subject: &Subject, starts: &[Start], figure: fn(&Turn) -> f64) {
    let ratio = ratio(starts, 1, figure);
    let (value, interval) = (ratio.map(|ratio| ratio.value), ratio.map(|ratio| ratio.interval));
    row.add(&subject.id, Cases::Known { value, interval, of: starts.len() as u64 });
}

/// Starting, connecting, reading the outcome and cleaning up. Runs nothing itself: the trials of
/// the other parts were timed.
pub fn trials(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    let row = rows.row("trial.overhead");
    let overheads_ns = bench.overheads_ns.borrow();
    for (subject, all_ns) in &*overheads_ns {
        row.add(subject, Cases::quantile(all_ns.clone(), 0.5));
    }
    match overheads_ns.values().flatten().copied().reduce(f64::max) {
        Some(longest_ns) => row.note(format!("the longest of all: {:.0} ms", longest_ns / 1e6)),
        None => row.fail_all("no trial with a fixed window was completed"),
    }
    Ok(())
}
