//! The evidence pass of a cell: a short trial that counts system calls, to check the backend.
//!
//! Its latencies and rates never reach a record or a table: counting makes them slower.

use std::time::Duration;

use quadrant_reports::record::Evidence;
use quadrant_reports::record::evidence::{self, Pass};
use quadrant_suite::plan::{Action, How, Plan};

use super::planned_case::PlannedCase;
use super::record::figures;
use crate::adapters::subject::{State, Subject};
use crate::system::syscall_counter::Counted;
use crate::trial::Ended;

const WARMUP_MAX: Duration = Duration::from_millis(100);
const MEASURE_MAX: Duration = Duration::from_millis(300);

/// What goes into the records of all trials of the cell.
pub struct Gathered {
    pub evidence: Option<Evidence>,
    pub warning: Option<String>,
}

/// Warm-up and window of the pass.
pub fn times(case: &PlannedCase) -> (Duration, Duration) {
    (case.warmup.min(WARMUP_MAX), case.measure.min(MEASURE_MAX))
}

pub fn judge(ended: Ended, case: &PlannedCase, subject: &Subject) -> Gathered {
    let State::Loadable { executor, .. } = &subject.state else {
        return Gathered { evidence: None, warning: None };
    };
    match pass(ended, case, &case.plan(subject, None)) {
        Ok(pass) => {
            let evidence = evidence::judge(pass, &executor.backend);
            let warning = evidence::contradiction(&evidence, &executor.backend);
            Gathered { evidence: Some(evidence), warning }
        }
        Err(reason) => Gathered {
            evidence: None,
            warning: Some(format!("no evidence of its backend: {reason}")),
        },
    }
}

/// What was counted, or why it cannot be used.
fn pass(ended: Ended, case: &PlannedCase, plan: &Plan) -> Result<Pass, String> {
    let mut measured = match ended {
        Ended::Measured(measured) => measured,
        Ended::Unmeasured { reason, .. } => return Err(reason),
        Ended::Interrupted => return Err("interrupted".to_owned()),
    };
    let counted = measured.observation.take_evidence();
    let Counted { method, all, of_threads } = counted.ok_or("system calls were not counted")??;
    let advice = "this pass never lasts longer".to_owned();
    let metrics = figures(*measured, case, advice).map_err(|(_, reason)| reason)?;
    let others = metrics.groups.iter();
    Ok(Pass {
        method,
        syscalls: all,
        of_loops: of_threads,
        ops: metrics.ops + others.clone().map(|group| group.ops).sum::<u64>(),
        in_flight: metrics.concurrency.peak
            + others.map(|group| group.concurrency.peak).sum::<u64>(),
        uses_sockets: plan.server.is_some(),
        reads_files: plays(plan, |action| {
            matches!(action, Action::ReadFile { how: How::Await, .. })
        }),
        goes_around: plays(plan, |action| match action {
            Action::Recv { how } | Action::Send { how } | Action::Sleep { how, .. } => {
                *how != How::Await
            }
            _ => false,
        }),
    })
}

fn plays(plan: &Plan, is_it: impl Fn(&Action) -> bool) -> bool {
    plan.programs.iter().flatten().any(|step| is_it(&step.action))
}
