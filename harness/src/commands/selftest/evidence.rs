//! The backend by evidence: of every subject what it says, and of one that lies that it does.
//!
//! It goes the way of `run --evidence` from the scenario to the verdict.

use std::path::Path;
use std::time::Duration;

use quadrant_reports::selftest::row::{Bound, Row, Unit};

use super::Part;
use super::bench::{Bench, Interrupted};
use super::extent::Extent;
use crate::adapters::subject::{State, Subject};
use crate::commands::run::{CellOptions, Circumstances, Gathered, PlannedCase, evidence_pass};
use crate::commands::selection::AdapterOptions;
use crate::commands::selection::{Selected, SubjectOptions};
use crate::spec;
use crate::system::interrupt;
use crate::trial::{self, Attention, Ended, Limits, Memory};

pub(super) const PART: Part = Part { name: "backends by evidence", takes, measure };

const SCENARIO: &str = include_str!("evidence.yaml");
/// Says io_uring and blocks its threads.
const LIAR: &str = "faulty/claims-io_uring";

fn takes(_: &Extent, subjects: u32) -> Duration {
    Duration::from_millis(420) * (subjects + 1)
}

fn measure(bench: &mut Bench) -> Result<Vec<Row>, Interrupted> {
    let mut agrees = Row::new(
        "backend.verdict",
        "backend by evidence is the one that is claimed",
        Bound::AtLeast(1.0),
        Unit::Share,
    );
    for subject in bench.shuffled("evidence") {
        match gather(bench, subject)? {
            Ok((gathered, claimed)) => match gathered.evidence {
                Some(evidence) => {
                    let is_it = evidence.backend_seen.word() == claimed;
                    agrees.add(&subject.id, Some(f64::from(u8::from(is_it))), evidence.ops);
                    agrees.note(format!("counted by {}", evidence.method));
                    gathered.warning.into_iter().for_each(|warning| agrees.note(warning));
                }
                None => agrees.fail(&subject.id, gathered.warning.unwrap_or_default()),
            },
            Err(reason) => agrees.pass_over(&subject.id, reason),
        }
    }
    Ok(vec![agrees, control(bench)?])
}

/// A check that lets a liar pass would be none.
fn control(bench: &Bench) -> Result<Row, Interrupted> {
    let mut caught = Row::new(
        "backend.control",
        "a subject that lies about its backend is caught",
        Bound::AtLeast(1.0),
        Unit::Share,
    );
    let options = SubjectOptions {
        runtime: vec![LIAR.to_owned()],
        exclude: Vec::new(),
        source: AdapterOptions { with_test_adapters: true, ..bench.options.source.clone() },
    };
    let found = options.find(Limits::USUAL, &bench.progress).unwrap_or_default();
    let loadable = |subject: &&Subject| matches!(subject.state, State::Loadable { .. });
    let Some(liar) = found.iter().find(loadable) else {
        let reason = found.iter().find_map(|subject| match &subject.state {
            State::Broken { reason } => Some(reason.clone()),
            State::Loadable { .. } => None,
        });
        caught.cannot(match reason {
            Some(reason) => format!("the adapter that lies ({LIAR}) cannot be used: {reason}"),
            None => format!("the adapter that lies ({LIAR}) is not among these adapters"),
        });
        return Ok(caught);
    };
    match gather(bench, liar)? {
        Ok((Gathered { evidence: Some(evidence), warning }, _)) => {
            let is_caught = !evidence.agrees && warning.is_some();
            caught.add(&liar.id, Some(f64::from(u8::from(is_caught))), evidence.ops);
        }
        Ok((Gathered { warning, .. }, _)) => caught.fail(&liar.id, warning.unwrap_or_default()),
        Err(reason) => caught.pass_over(&liar.id, reason),
    }
    Ok(caught)
}

/// What was gathered and what was claimed, or why the subject cannot be asked.
fn gather(
    bench: &Bench,
    subject: &Subject,
) -> Result<Result<(Gathered, String), String>, Interrupted> {
    let State::Loadable { library, executor, .. } = &subject.state else {
        return Ok(Err("it was not built".to_owned()));
    };
    if interrupt::requested() {
        return Err(Interrupted);
    }
    let selected = scenario();
    let circumstances =
        Circumstances { seed: bench.seed(), clock: bench.clock, cpus: bench.cpus.clone() };
    let case = PlannedCase::new(&selected, 0, &CellOptions::default(), &circumstances);
    let plan = case.plan(subject, None);
    if let Some(reason) = subject.unsupported(&plan) {
        return Ok(Err(reason));
    }
    bench.progress.say(format!("{}: {}", PART.name, subject.id));
    let (warmup, measure) = evidence_pass::times(&case);
    let ended = carry_out(&bench.executable, library, &case, &plan, warmup, measure);
    match ended {
        Ended::Interrupted => Err(Interrupted),
        ended => Ok(Ok((evidence_pass::judge(ended, &case, subject), executor.backend.clone()))),
    }
}

fn carry_out(
    executable: &Path,
    library: &Path,
    case: &PlannedCase,
    plan: &quadrant_suite::plan::Plan,
    warmup: Duration,
    measure: Duration,
) -> Ended {
    trial::run(&trial::Order {
        executable,
        library,
        plan,
        load: case.load,
        cpus: &case.division,
        warmup,
        measure,
        attention: Attention::Evidence,
        freeze: None,
        memory: Memory::default(),
        limits: Limits::USUAL,
    })
}

fn scenario() -> Selected {
    let scenario =
        spec::parse("selftest/evidence.yaml", SCENARIO).expect("the scenario is this part's own");
    Selected { name: "selftest/evidence".to_owned(), scenario, cases: vec![0] }
}

#[cfg(test)]
mod tests {
    #[test]
    fn its_scenario_is_one() {
        assert_eq!(super::scenario().scenario.case_count(), 1);
    }
}
