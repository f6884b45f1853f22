//! Measures the cases of a claim together, a trial of each cell at a time, until its verdicts are known.
//!
//! Never judges: the reports do.

use std::ops::RangeInclusive;

use quadrant_reports::claims;
use quadrant_reports::record::{Pass, Record};

use super::all_cases::Run;
use super::measure_case::is_done;
use super::planned_case::PlannedCase;
use super::stop::Stop;
use super::turns;
use crate::adapters::subject::Subject;
use crate::commands::selection::Selected;

impl Run {
    /// The fewest and the most trials of each cell, if the scenario's cases are measured so.
    pub(super) fn trials_until_decided(&self, selected: &Selected) -> Option<RangeInclusive<u32>> {
        selected.scenario.claim()?;
        let takes_turns = |&index| turns::refusal(&self.plan(selected, index)).is_none();
        let trials = self.options.cells.trials_until_decided()?;
        (!selected.cases.iter().any(takes_turns)).then_some(trials)
    }

    /// Adds the records of each case to its part of `records`.
    pub(super) fn measure_until_decided(
        &mut self,
        cases: &[PlannedCase],
        trials: &RangeInclusive<u32>,
        subjects: &[&Subject],
        records: &mut [Vec<Record>],
    ) -> Result<(), Stop> {
        let is_further = |it: &&Record| it.pass == Pass::Alone && it.trial >= *trials.start();
        self.plan_more(records.iter().flatten().filter(is_further).count());
        let mut left = subjects.to_vec();
        for count in 1..=*trials.end() {
            if count > *trials.start() {
                let undecided = claims::undecided(records);
                left.retain(|subject| undecided.contains(&subject.id));
                let cells = cases.iter().zip(&*records);
                self.plan_more(
                    cells.map(|(case, of_case)| missing(case, &left, of_case, count)).sum(),
                );
            }
            for (case, of_case) in cases.iter().zip(&mut *records) {
                self.measure_case(case, &left, Some(count), of_case)?;
            }
        }
        Ok(())
    }

    fn plan_more(&mut self, trials: usize) {
        self.planned += trials as u64;
        self.progress.more_trials(trials as u64);
    }
}

/// How many subjects have one trial too few.
fn missing(case: &PlannedCase, subjects: &[&Subject], records: &[Record], trials: u32) -> usize {
    let is_missing = |subject: &&&Subject| {
        case.refusal(subject).is_none() && !is_done(records, subject, trials - 1)
    };
    subjects.iter().filter(is_missing).count()
}
