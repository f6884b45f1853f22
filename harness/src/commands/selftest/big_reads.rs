//! A big file that is read on a pool, beside a task that is due every 5 ms on the same loop: the
//! loop has next to nothing to do, so that a stall is the suite's own work.
//!
//! Never judges where the runtime itself reads on the loop: what a runtime does with a plain
//! `read_file` is its own affair, and what runs on a pool is known.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::board::Stall;
use quadrant_suite::plan::{Action, FileChoice, FileSet, Group, How, Pace};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, step};
use super::extent::Extent;
use crate::fixtures::FixtureStore;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "big reads", takes, measure };

const FILES: u32 = 2;
const BYTES: u64 = 64 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(5);
const THRESHOLD: Duration = Duration::from_millis(10);

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.big_reads_window + Duration::from_millis(250)) * subjects + Duration::from_millis(500)
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut row = Row::new(
        "files.stalls",
        "reads of 64 MiB on a pool that stall the loop",
        Bound::AtMost(0.1),
        Unit::Share,
    );
    let mut store = FixtureStore::new(std::env::temp_dir());
    let files = match store.files(FILES, BYTES) {
        Ok(files) => files.file_set(false),
        Err(_) if crate::system::interrupt::requested() => return Err(Interrupted),
        Err(error) => {
            row.cannot(error.to_string());
            return Ok(vec![row]);
        }
    };
    let trial = trial(files, bench.extent.big_reads_window);
    for subject in bench.shuffled(PART.name) {
        match bench.run(subject, &trial) {
            Ok(measured) => row.add_cases(&subject.id, stalled(bench, &measured)),
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut row])?,
        }
    }
    row.note("beside a task that is due every 5 ms on the same loop; waits for a CPU are left out");
    Ok(vec![row])
}

fn trial(files: FileSet, window: Duration) -> Trial {
    let read = Action::ReadFile { file: FileChoice::Next, how: How::Offload };
    let programs = vec![vec![step(read)], vec![step(Action::Yield)]];
    let group =
        |name: &str, program, pace| Group { name: name.to_owned(), count: 1, program, pace };
    let every = Pace::Every { ns: TICK.as_nanos() as u64 };
    let groups = vec![group("reader", 0, Pace::BackToBack), group("ticker", 1, every)];
    Trial {
        files: Some(files),
        workers: 1,
        threshold: THRESHOLD,
        ..Trial::of_tasks(programs, groups, window)
    }
}

/// Stalls that would have been one without neighbours, of the reads.
fn stalled(bench: &Bench, measured: &Measured) -> Cases {
    let reads = measured.findings.groups.first().map_or(0, |group| group.ops);
    let own_ns = |stall: &Stall| {
        bench.told_clock().ns_between(stall.start, stall.end).saturating_sub(stall.run_queue_ns)
    };
    let stalls =
        measured.stall_log.iter().filter(|stall| own_ns(stall) >= THRESHOLD.as_nanos() as u64);
    Cases::share((stalls.count() as u64).min(reads), reads)
}
