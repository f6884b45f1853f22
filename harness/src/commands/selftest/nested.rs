//! Computing in children that a parent waits for: some runtimes poll a new task inside the poll of
//! its parent, and one stretch of a thread must be one stall all the same.
//!
//! Judges what is certain without knowing who polls whom: no thread is stalled for longer than
//! the window, and what only computes is stalled by computing.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::board::Stall;
use quadrant_suite::hash;
use quadrant_suite::plan::{Action, Group, How, Pace};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, step};
use super::extent::Extent;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "nested polls", takes, measure };

const PARENTS: u32 = 2;
const THRESHOLD: Duration = Duration::from_millis(5);
/// Twice the threshold, so that each child is a stall by itself where it is polled by itself.
const CPU: Duration = Duration::from_millis(10);
/// Some ten milliseconds as well.
const ROUNDS: u64 = 150_000;

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.nested_window + Duration::from_millis(150)) * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let row = |key: &str, what: &str, bound| Row::new(key, what, bound, Unit::Share);
    let mut time =
        row("nested.time", "stall time of nested polls, of all loops' time", Bound::AtMost(1.0));
    let mut cause = row(
        "nested.cause",
        "computing in these stalls, waits for a CPU left out, p25",
        Bound::AtLeast(0.95),
    );
    let trial = trial(bench.extent.nested_window);
    for subject in bench.shuffled(PART.name) {
        match bench.run(subject, &trial) {
            Ok(measured) => {
                let loops_ns = measured.window_ns as f64 * measured.loops.max(1) as f64;
                let share = measured.stalls.total_ns as f64 / loops_ns;
                time.add(&subject.id, Some(share), measured.stalls.count);
                cause.add_cases(&subject.id, computing(bench, &measured));
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut time, &mut cause])?,
        }
    }
    time.note(format!(
        "{PARENTS} tasks that each start two others at once and wait for them: one uses {} ms of CPU \
         time, one computes a hash",
        CPU.as_millis()
    ));
    Ok(vec![time, cause])
}

fn trial(window: Duration) -> Trial {
    let how = How::Await;
    let programs = vec![
        vec![step(Action::Gather { programs: vec![1, 2] })],
        vec![step(Action::Cpu { ns: CPU.as_nanos() as u64, how })],
        vec![step(Action::Hash { rounds: ROUNDS, expected: hash::chain(ROUNDS), how })],
    ];
    let parents =
        Group { name: "parents".to_owned(), count: PARENTS, program: 0, pace: Pace::BackToBack };
    Trial { threshold: THRESHOLD, ..Trial::of_tasks(programs, vec![parents], window) }
}

/// Of each stall the share that its thread was running, without what it waited for a CPU. In a
/// quarter of them the host may have taken the CPU away, which looks like being blocked.
fn computing(bench: &Bench, measured: &Measured) -> Cases {
    let share = |stall: &Stall| {
        let ns = bench.told_clock().ns_between(stall.start, stall.end);
        stall.cpu_ns as f64 / ns.saturating_sub(stall.run_queue_ns).max(1) as f64
    };
    Cases::quantile(measured.stall_log.iter().map(share).collect(), 0.25)
}
