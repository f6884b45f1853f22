//! Known numbers of threads: at the peak, and created.
//!
//! Where each task has a thread, the number is known in advance. A pool for blocking work has an
//! unknown number, but each of several jobs that block at once occupies a thread: more jobs mean
//! as many more threads. Never judges a pool that is too small for all jobs.

use std::time::Duration;

use quadrant_reports::selftest::cases::Cases;
use quadrant_suite::description::Workers;
use quadrant_suite::plan::{Action, How, Pace, Program};

use super::bench::{Bench, Interrupted, Rows, Trial, Unmeasured, group, step};
use crate::adapters::subject::Subject;
use crate::trial::Measured;

/// Tasks that wait at the same time.
const TASKS: u32 = 40;
/// Beside a thread for each task: one for the control task and the main thread.
const OTHERS: u64 = 2;
const CHILDREN: u32 = 50;
const GENERATIONS: u64 = 4;
/// Jobs that block at the same time, in two trials.
const JOBS: [u32; 2] = [6, 22];
const JOB: Duration = Duration::from_millis(60);

pub fn measure(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    bench.for_each_subject(rows, &["threads.peak"], |rows, subject| {
        require_thread_per_task(subject)?;
        let measured = bench.run(subject, &waiting(bench, TASKS, How::Await))?;
        let threads = measured.observation.threads(measured.loops);
        let known = u64::from(TASKS) + OTHERS;
        let row = rows.row("threads.peak");
        row.add(&subject.id, difference(threads.peak, known));
        row.note(format!("{known} threads of waiting tasks, counted by {}", threads.method));
        compare_methods(rows, subject, &measured);
        Ok(())
    })?;
    bench.for_each_subject(rows, &["threads.created"], |rows, subject| {
        require_thread_per_task(subject)?;
        children(bench, rows, subject)
    })?;
    bench.for_each_subject(rows, &["threads.offload"], |rows, subject| jobs(bench, rows, subject))
}

fn require_thread_per_task(subject: &Subject) -> Result<(), Unmeasured> {
    let reason = "not every task has a thread, so the number of threads is not known";
    let is_per_task = subject.has_workers(Workers::PerTask);
    is_per_task.then_some(()).ok_or_else(|| Unmeasured::NotApplicable(reason.to_owned()))
}

fn trial(bench: &Bench, programs: Vec<Program>, count: u32) -> Trial {
    let groups = vec![group("known", count, 0, Pace::Repeat { times: 1 })];
    bench.tasks(programs, groups, Duration::from_secs(10))
}

fn waiting(bench: &Bench, count: u32, how: How) -> Trial {
    let wait = Action::Sleep { ns: JOB.as_nanos() as u64, how };
    trial(bench, vec![vec![step(wait)]], count)
}

fn difference(seen: u64, known: u64) -> Cases {
    Cases::exact(seen.abs_diff(known) as f64, known)
}

/// All threads live longer than a sampling interval, so both methods must give the same peak.
fn compare_methods(rows: &mut Rows, subject: &Subject, measured: &Measured) {
    let row = rows.row("threads.sampled");
    match measured.observation.both_peaks() {
        (sampled, Some(by_kernel)) => {
            row.add(&subject.id, difference(sampled, by_kernel));
        }
        (_, None) => {
            row.fail(&subject.id, "no pids cgroup can be made here (`quadrant doctor` says why)");
        }
    }
}

fn jobs(bench: &Bench, rows: &mut Rows, subject: &Subject) -> Result<(), Unmeasured> {
    let mut peaks = Vec::new();
    for count in JOBS {
        let measured = bench.run(subject, &waiting(bench, count, How::Offload))?;
        let longest_ns = measured.findings.groups.first().map_or(0, |group| group.latency.max());
        // A job that waits for the thread of another one takes twice as long.
        if u128::from(longest_ns) >= JOB.as_nanos() * 2 {
            let reason = "its pool does not run so many jobs at once, so the number is not known";
            return Err(Unmeasured::NotApplicable(reason.to_owned()));
        }
        peaks.push(measured.observation.threads(measured.loops).peak);
        compare_methods(rows, subject, &measured);
    }
    // Where each task has a thread, a job needs that one and one of the pool.
    let per_job = if subject.has_workers(Workers::PerTask) { 2 } else { 1 };
    let known = u64::from(JOBS[1] - JOBS[0]) * per_job;
    let more = peaks[1].saturating_sub(peaks[0]);
    rows.row("threads.offload").add(&subject.id, difference(more, known));
    Ok(())
}

/// Threads that have ended before the next sample is taken.
fn children(bench: &Bench, rows: &mut Rows, subject: &Subject) -> Result<(), Unmeasured> {
    let parent = vec![
        step(Action::Repeat { times: GENERATIONS, length: 2 }),
        step(Action::Spawn { program: 1, count: CHILDREN }),
        step(Action::Join { how: How::Await }),
    ];
    let measured = bench.run(subject, &trial(bench, vec![parent, vec![step(Action::Yield)]], 1))?;
    // The children and their parent.
    let known = GENERATIONS * u64::from(CHILDREN) + 1;
    let reason = "the kernel accepts no program to count them (`quadrant doctor` says why)";
    let created = measured.observation.threads(measured.loops).created;
    let created = created.ok_or_else(|| Unmeasured::Failed(reason.to_owned()))?;
    rows.row("threads.created").add(&subject.id, difference(created, known));
    Ok(())
}
