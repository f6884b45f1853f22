//! What watching a subject of many threads takes of a CPU: the pings, the counts, the names.
//!
//! Looks at this process's own CPU time alone, over the windows of some trials.

use std::time::Duration;

use quadrant_reports::selftest::row::{Bound, Row, Unit};
use quadrant_suite::plan::{Action, Group, How, Pace};

use super::Part;
use super::bench::{Bench, Interrupted, Trial, step};
use super::extent::Extent;

pub(super) const PART: Part = Part { name: "what watching costs", takes, measure };

/// Waiting on as many threads, where a subject has a pool that grows so far; where every task has
/// a thread of its own as well, that makes twice as many.
const TASKS: u32 = 60;
const WAIT: Duration = Duration::from_millis(50);

fn takes(extent: &Extent, subjects: u32) -> Duration {
    (extent.watched_window + Duration::from_millis(150)) * subjects
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut row =
        Row::new("watching.cpu", "pings and looks, of one CPU", Bound::AtMost(0.02), Unit::Share);
    let mut threads_most = 0;
    for subject in bench.shuffled("watching") {
        let waits = [How::Offload, How::Await].map(waiting);
        let able = waits
            .iter()
            .map(|program| trial(program.clone(), bench.extent.watched_window))
            .find(|trial| subject.unsupported(&bench.plan(subject, trial)).is_none());
        let Some(trial) = able else {
            row.pass_over(&subject.id, "it has no tasks of its own");
            continue;
        };
        match bench.run(subject, &trial) {
            Ok(measured) => {
                let share = measured.harness_cpu_ns as f64 / measured.window_ns.max(1) as f64;
                row.add(&subject.id, Some(share), measured.window_ns / 1_000_000);
                let threads = measured.observation.threads(measured.loops).peak;
                threads_most = threads_most.max(threads);
            }
            Err(unmeasured) => unmeasured.tell(&subject.id, [&mut row])?,
        }
    }
    row.note(format!("with up to {threads_most} threads; samples are milliseconds of windows"));
    Ok(vec![row])
}

fn waiting(how: How) -> Action {
    Action::Sleep { ns: WAIT.as_nanos() as u64, how }
}

fn trial(wait: Action, window: Duration) -> Trial {
    let group =
        Group { name: "waiting".to_owned(), count: TASKS, program: 0, pace: Pace::BackToBack };
    Trial::of_tasks(vec![vec![step(wait)]], vec![group], window)
}
