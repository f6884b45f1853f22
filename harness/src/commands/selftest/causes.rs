//! Whose doing a stall is, while hogs want the same CPUs.
//!
//! A computation that is made to wait for its CPU is still so much computing, and a sleep still
//! so much being blocked, however crowded it is. Without hogs that is judged of the stalls that
//! another part makes; their row is made here all the same.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::injections::Injections;
use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::bench::{Bench, Interrupted, WORKERS};
use super::extent::Extent;
use super::{Part, draw, hog};

pub(super) const PART: Part = Part { name: "causes in a crowd", takes, measure };

const HOGS: [u32; 2] = [1, 3];
const THRESHOLD: Duration = Duration::from_millis(5);

pub(super) fn row(hogs: u32) -> Row {
    let beside = match hogs {
        0 => "no hogs".to_owned(),
        1 => "1 hog on each CPU".to_owned(),
        more => format!("{more} hogs on each CPU"),
    };
    Row::new(
        format!("stalls.cause.{hogs}_hogs"),
        format!("error of the time of the cause, p95, {beside}"),
        Bound::AtMost(0.05),
        Unit::Share,
    )
}

fn takes(extent: &Extent, subjects: u32) -> Duration {
    let injections = draw::injections(0, "estimate", THRESHOLD, extent.crowded_stalls);
    HOGS.map(|hogs| draw::time_for(&injections, hogs + 1)).into_iter().sum::<Duration>() * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    HOGS.into_iter().map(|hogs| measure_beside(bench, hogs)).collect()
}

fn measure_beside(bench: &Bench, hogs: u32) -> Result<Row, Interrupted> {
    let mut row = row(hogs);
    let purpose = format!("causes beside {hogs}");
    for subject in bench.shuffled(&purpose) {
        let injections =
            draw::injections(bench.seed(), &purpose, THRESHOLD, bench.extent.crowded_stalls);
        let most = draw::time_at_most(&injections, hogs + 1);
        let trial = draw::trial(injections, THRESHOLD, WORKERS, most);
        let cpus = bench.division(&trial).subject;
        // Only as long as the trial: between two of them nobody has to wait for a CPU.
        let longest = most + Duration::from_secs(30);
        let herd = match hog::herd(&bench.executable, &cpus, hogs, longest) {
            Ok(herd) => herd,
            Err(error) => {
                row.fail(&subject.id, format!("the hogs could not be started: {error}"));
                continue;
            }
        };
        let ended = bench.run(subject, &trial);
        drop(herd);
        match ended {
            Ok(measured) => {
                let pairs = Injections::new(
                    &measured.findings.injected,
                    &measured.stall_log,
                    bench.told_clock(),
                    THRESHOLD.as_nanos() as u64,
                );
                let errors = pairs.cause_errors();
                row.add_cases(&subject.id, Cases::quantile(errors, 0.95));
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut row])?,
        }
    }
    Ok(row)
}
