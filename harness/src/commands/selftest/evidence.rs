//! Backends by evidence: whether each subject uses the backend that it declares, and whether a
//! subject with a false declaration is detected.
//!
//! Takes the same way as `run --evidence`, from the scenario to the verdict, and no other.

use quadrant_reports::selftest::cases::Cases;
use quadrant_reports::selftest::row::Row;

use super::bench::{Bench, Interrupted, Rows, Unmeasured};
use crate::adapters::discovery::Purpose;
use crate::adapters::subject::{State, Subject};
use crate::commands::run::{CellOptions, Circumstances, Gathered, PlannedCase, evidence_pass};
use crate::commands::selection::AdapterOptions;
use crate::commands::selection::{Selected, SubjectOptions};
use crate::spec::{self, Scenario};
use crate::trial::{self, Attention, Ended, Limits, Memory};

const SCENARIO: &str = "\
name: evidence
question: By what does a server wait?
server: { steps: [recv, send] }
load: { connections: 4, send: 64B }
time: { warmup: 50ms, measure: 300ms }
";
/// Declares io_uring and blocks its threads.
const LIAR: &str = "faulty/claims-io_uring";
const VERDICT: &str = "backend.verdict";
const CONTROL: &str = "backend.control";

pub fn measure(bench: &Bench, rows: &mut Rows) -> Result<(), Interrupted> {
    bench.for_each_subject(rows, &[VERDICT], |rows, subject| {
        let (Gathered { evidence, warning }, declared) = gather(bench, subject)?;
        let Some(evidence) = evidence else {
            return Err(Unmeasured::Failed(warning.unwrap_or_default()));
        };
        let row = rows.row(VERDICT);
        let agrees = evidence.backend_seen.word() == declared;
        row.add(&subject.id, Cases::exact(f64::from(agrees), evidence.ops));
        row.note(format!("counted by {}", evidence.method));
        warning.into_iter().for_each(|warning| row.note(warning));
        Ok(())
    })?;
    match find_liar(bench) {
        Ok(liar) => {
            let result = detect(bench, &liar, rows.row(CONTROL));
            rows.keep_reason(&liar.id, &[CONTROL], result)
        }
        Err(reason) => {
            rows.row(CONTROL).fail_all(reason);
            Ok(())
        }
    }
}

/// A check that a false declaration passes would prove nothing.
fn detect(bench: &Bench, liar: &Subject, row: &mut Row) -> Result<(), Unmeasured> {
    let (Gathered { evidence, warning }, _) = gather(bench, liar)?;
    let Some(evidence) = evidence else {
        return Err(Unmeasured::Failed(warning.unwrap_or_default()));
    };
    let is_detected = !evidence.agrees && warning.is_some();
    row.add(&liar.id, Cases::exact(f64::from(is_detected), evidence.ops));
    Ok(())
}

fn find_liar(bench: &Bench) -> Result<Subject, String> {
    let options = SubjectOptions {
        runtime: vec![LIAR.to_owned()],
        exclude: Vec::new(),
        source: AdapterOptions { with_test_adapters: true, ..bench.options.source.clone() },
    };
    let found = options.find(Purpose::Subjects, Limits::USUAL, &bench.progress).unwrap_or_default();
    let mut problem = format!("the test adapter {LIAR} is not among these adapters");
    for subject in found {
        match &subject.state {
            State::Loadable { .. } => return Ok(subject),
            State::Broken { reason } => {
                problem = format!("the test adapter {LIAR} cannot be used: {reason}");
            }
        }
    }
    Err(problem)
}

/// The evidence, and the backend that the subject declares.
fn gather(bench: &Bench, subject: &Subject) -> Result<(Gathered, String), Unmeasured> {
    let State::Loadable { library, executor, .. } = &subject.state else {
        return Err(Unmeasured::Failed("it was not built".to_owned()));
    };
    let selected = Selected { name: "evidence".to_owned(), scenario: scenario(), cases: vec![0] };
    let circumstances =
        Circumstances { seed: bench.seed, clock: bench.clock, cpus: bench.cpus.clone() };
    let case = PlannedCase::new(&selected, 0, &CellOptions::default(), &circumstances);
    let plan = case.plan(subject, None);
    if let Some(reason) = subject.unsupported(&plan) {
        return Err(Unmeasured::NotApplicable(reason));
    }
    bench.show_progress(subject)?;
    let (warmup, measure) = evidence_pass::times(&case);
    let ended = trial::run(&trial::Order {
        executable: &bench.executable,
        library,
        plan: &plan,
        load: case.load(),
        backends: &case.backends,
        cpus: &case.division,
        warmup,
        measure,
        attention: Attention::Evidence,
        freeze: None,
        memory: Memory::default(),
        limits: Limits::USUAL,
    });
    match ended {
        Ended::Interrupted => Err(Unmeasured::Interrupted),
        ended => Ok((evidence_pass::judge(ended, &case, subject), executor.backend.clone())),
    }
}

fn scenario() -> Scenario {
    spec::parse("selftest", SCENARIO).expect("a unit test parses this scenario")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_scenario_has_one_case() {
        assert_eq!(super::scenario().case_count(), 1);
    }
}
