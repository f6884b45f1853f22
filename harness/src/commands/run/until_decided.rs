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

    /// Adds the records of each case to its part of `records`. `subjects` are those that can run it.
    pub(super) fn measure_until_decided(
        &mut self,
        cases: &[PlannedCase],
        trials: &RangeInclusive<u32>,
        mut subjects: Vec<Vec<&Subject>>,
        records: &mut [Vec<Record>],
    ) -> Result<(), Stop> {
        let is_further = |it: &&Record| it.pass == Pass::Alone && it.trial >= *trials.start();
        self.plan_more(records.iter().flatten().filter(is_further).count());
        for count in 1..=*trials.end() {
            if count > *trials.start() {
                let undecided = claims::undecided(records);
                for (left, of_case) in subjects.iter_mut().zip(&*records) {
                    left.retain(|subject| undecided.contains(&subject.id));
                    let is_missing = |subject: &&&Subject| !is_done(of_case, subject, count - 1);
                    self.plan_more(left.iter().filter(is_missing).count());
                }
            }
            for ((case, left), of_case) in cases.iter().zip(&subjects).zip(&mut *records) {
                self.measure_case(case, left, Some(count), of_case)?;
            }
        }
        Ok(())
    }

    fn plan_more(&mut self, trials: usize) {
        self.planned += trials as u64;
        self.progress.more_trials(trials as u64);
    }
}
