//! How much there is to do, known before anything is begun.

use std::time::Duration;

use super::cells::PlannedCase;
use super::evidence_pass;
use super::turns_pass;
use quadrant_reports::number::counted;

/// What starting, ending and watching a trial adds to its time.
const TRIAL_OVERHEAD: Duration = Duration::from_millis(40);

#[derive(Default)]
pub struct Estimate {
    cases: u64,
    pub trials: u64,
    time: Duration,
}

impl Estimate {
    /// Adds a case that `cells` subjects can run: each `trials` times by itself, in `starts` starts
    /// in turns and, where evidence is gathered, once more for that.
    pub fn add(
        &mut self,
        case: &PlannedCase,
        cells: u32,
        trials: u32,
        starts: u32,
        evidence: bool,
    ) {
        self.cases += 1;
        self.trials += u64::from(cells) * u64::from(trials + starts);
        let of_one = |(warmup, measure)| warmup + measure + TRIAL_OVERHEAD;
        let mut of_cell = of_one((case.warmup, case.measure)) * trials;
        if evidence {
            of_cell += of_one(evidence_pass::times(case));
        }
        of_cell += turns_pass::TIME_OF_A_START * starts;
        self.time += of_cell * cells;
    }

    pub fn in_words(&self, subjects: usize) -> String {
        format!(
            "{} and {}: {}, some {} s",
            counted(self.cases, "case"),
            counted(subjects as u64, "subject"),
            counted(self.trials, "trial"),
            self.time.as_secs().max(1)
        )
    }
}
