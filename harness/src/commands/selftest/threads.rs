//! Known numbers of threads: at the most, and created.
//!
//! A thread for each task makes the number known beforehand. A pool for blocking work does not,
//! but jobs that block side by side have a thread each: as many more jobs, as many more threads.

use std::time::Duration;

use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::description::Workers;
use quadrant_suite::plan::{Action, Group, How, Pace, Program};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, Unmeasured, step};
use super::extent::Extent;
use crate::adapters::subject::Subject;
use crate::trial::Measured;

pub(super) const PART: Part = Part { name: "known threads", takes, measure };

/// Tasks that wait at once.
const TASKS: u32 = 40;
/// A thread for each task, one for the control task, and the one that was given the run.
const OTHERS: u64 = 2;
const CHILDREN: u32 = 50;
const GENERATIONS: u64 = 4;
/// Jobs that block at once, in two trials.
const JOBS: [u32; 2] = [6, 22];
const JOB: Duration = Duration::from_millis(60);
/// The most that such a trial may take.
const MOST: Duration = Duration::from_secs(10);

fn takes(_: &Extent, subjects: u32) -> Duration {
    (JOB + Duration::from_millis(40)) * 2 * subjects + Duration::from_millis(500)
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let count = |key: &str, what: &str| Row::new(key, what, Bound::AtMost(0.0), Unit::Count);
    let mut peak = count("threads.peak", "peak against the known number, off by");
    let mut offloaded = count("threads.offload", "more jobs that block, more threads, off by");
    let mut sampled = count("threads.sampled", "peak as sampled against pids.peak, off by");
    let mut created = count("threads.created", "threads created for a moment, off by");
    for subject in bench.shuffled("threads") {
        if subject.has_workers(Workers::PerTask) {
            tasks(bench, subject, &mut peak, &mut sampled)?;
            children(bench, subject, &mut created)?;
        } else {
            let reason = "it has no thread for each task, so that the number is not known";
            peak.pass_over(&subject.id, reason);
            created.pass_over(&subject.id, reason);
        }
        jobs(bench, subject, &mut offloaded, &mut sampled)?;
    }
    Ok(vec![peak, offloaded, sampled, created])
}

fn trial(programs: Vec<Program>, count: u32) -> Trial {
    let pace = Pace::Repeat { times: 1 };
    let groups = vec![Group { name: "known".to_owned(), count, program: 0, pace }];
    Trial::of_tasks(programs, groups, MOST)
}

fn waiting(count: u32, how: How) -> Trial {
    trial(vec![vec![step(Action::Sleep { ns: JOB.as_nanos() as u64, how })]], count)
}

/// Takes what a trial came to, or puts into the rows why there is nothing.
fn taken(
    ended: Result<Measured, Unmeasured>,
    subject: &Subject,
    rows: &mut [&mut Row],
) -> Result<Option<Measured>, Interrupted> {
    match ended {
        Ok(measured) => Ok(Some(measured)),
        Err(unmeasured) => {
            unmeasured.tell(&subject.id, rows.iter_mut().map(|row| &mut **row))?;
            Ok(None)
        }
    }
}

fn tasks(
    bench: &Bench,
    subject: &Subject,
    peak: &mut Row,
    sampled: &mut Row,
) -> Result<(), Interrupted> {
    let ended = bench.run(subject, &waiting(TASKS, How::Await));
    let Some(measured) = taken(ended, subject, &mut [peak])? else { return Ok(()) };
    let threads = measured.observation.threads(measured.loops);
    let known = u64::from(TASKS) + OTHERS;
    peak.add(&subject.id, Some(threads.peak.abs_diff(known) as f64), known);
    peak.note(format!("{known} threads of tasks that wait, by {}", threads.method));
    against_sampled(subject, &measured, sampled);
    Ok(())
}

/// All threads live for longer than the time between two samples, so both must say the same.
fn against_sampled(subject: &Subject, measured: &Measured, row: &mut Row) {
    match measured.observation.both_peaks() {
        (by_samples, Some(by_kernel)) => {
            row.add(&subject.id, Some(by_samples.abs_diff(by_kernel) as f64), by_kernel);
        }
        (_, None) => {
            row.fail(&subject.id, "no pids cgroup can be made here (`quadrant doctor` says why)");
        }
    }
}

fn jobs(
    bench: &Bench,
    subject: &Subject,
    offloaded: &mut Row,
    sampled: &mut Row,
) -> Result<(), Interrupted> {
    let mut peaks = Vec::new();
    for count in JOBS {
        let ended = bench.run(subject, &waiting(count, How::Offload));
        let Some(measured) = taken(ended, subject, &mut [offloaded])? else { return Ok(()) };
        let longest_ns = measured.findings.groups.first().map_or(0, |group| group.latency.max());
        // Had one waited for another's thread, it would have taken twice as long.
        if u128::from(longest_ns) >= JOB.as_nanos() * 2 {
            offloaded.pass_over(
                &subject.id,
                "its pool does not take that many jobs at once, so that the number is not known",
            );
            return Ok(());
        }
        peaks.push(measured.observation.threads(measured.loops).peak);
        against_sampled(subject, &measured, sampled);
    }
    // Where a task is a thread, there are two for each job.
    let for_each = if subject.has_workers(Workers::PerTask) { 2 } else { 1 };
    let known = u64::from(JOBS[1] - JOBS[0]) * for_each;
    let more = peaks[1].saturating_sub(peaks[0]);
    offloaded.add(&subject.id, Some(more.abs_diff(known) as f64), known);
    Ok(())
}

/// Threads that are gone before anybody looks.
fn children(bench: &Bench, subject: &Subject, created: &mut Row) -> Result<(), Interrupted> {
    let family = vec![
        step(Action::Repeat { times: GENERATIONS, length: 2 }),
        step(Action::Spawn { program: 1, count: CHILDREN }),
        step(Action::Join),
    ];
    let ended = bench.run(subject, &trial(vec![family, vec![step(Action::Yield)]], 1));
    let Some(measured) = taken(ended, subject, &mut [created])? else { return Ok(()) };
    // The children, and the one that has them.
    let known = GENERATIONS * u64::from(CHILDREN) + 1;
    match measured.observation.threads(measured.loops).created {
        Some(seen) => created.add(&subject.id, Some(seen.abs_diff(known) as f64), known),
        None => created.fail(
            &subject.id,
            "the kernel takes no program of ours that would count them (`quadrant doctor` says why)",
        ),
    }
    Ok(())
}
