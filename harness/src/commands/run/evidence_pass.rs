//! The evidence pass of a cell: a short run that counts system calls and that nobody times.
//!
//! Its figures never stand in a table, and nothing of it reaches a record but what was counted
//! and what follows from that.

use std::time::Duration;

use quadrant_reports::evidence::{self, Pass};
use quadrant_reports::record::Evidence;
use quadrant_suite::plan::{Action, How, Plan};

use super::cells::PlannedCase;
use super::record::Verdict;
use crate::adapters::subject::{State, Subject};
use crate::system::syscall_counter::Counted;
use crate::trial::Ended;

const WARMUP_MAX: Duration = Duration::from_millis(100);
const MEASURE_MAX: Duration = Duration::from_millis(300);

/// What all trials of a cell are told of its evidence.
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

/// What was counted, or why nothing can be made of it.
fn pass(ended: Ended, case: &PlannedCase, plan: &Plan) -> Result<Pass, String> {
    let mut measured = match ended {
        Ended::Measured(measured) => measured,
        Ended::Unmeasured { reason, .. } => return Err(reason),
        Ended::Interrupted => return Err("interrupted".to_owned()),
    };
    let counted = measured.observation.take_evidence();
    let Counted { method, all, of_threads } = counted.ok_or("system calls were not counted")??;
    let verdict = Verdict::of(*measured, case, None);
    let Some(metrics) = verdict.metrics else {
        return Err(verdict.reason.unwrap_or_default());
    };
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
