//! One case of a duel: its subjects take turns, start after start.
//!
//! Never interprets a ratio; the reports do.

use std::path::Path;

use quadrant_reports::duel::{DuelCase, NoResult, Warning, turns_of};
use quadrant_reports::number::counted;
use quadrant_reports::random::SplitMix;
use quadrant_reports::record::Noise;
use quadrant_reports::record::driver_limit::BUSY_MAX;
use quadrant_reports::record::turns::{Start, Turn};
use quadrant_suite::plan::Plan;

use super::options::DuelOptions;
use crate::adapters::subject::Subject;
use crate::commands::run::{PlannedCase, Sides, Stop, place_files, warnings};
use crate::fixtures::FixtureStore;
use crate::terminal::progress::Progress;
use crate::trial::lockstep::{Failed, Length};
use crate::trial::{Attention, Limits};

/// Starts that are repeated because the machine spoilt them.
const REPEATS_MAX: u32 = 3;

pub struct Case<'a> {
    pub options: &'a DuelOptions,
    pub executable: &'a Path,
    pub planned: &'a PlannedCase<'a>,
    pub subjects: &'a [Subject],
    pub seed: u64,
}

/// The turns and the noise of all starts.
#[derive(Default)]
struct Starts {
    turns: Vec<Start>,
    noise: Vec<Noise>,
}

impl Case<'_> {
    pub fn measure(
        &self,
        fixtures: &mut FixtureStore,
        progress: &Progress,
    ) -> Result<DuelCase, Stop> {
        let planned = self.planned;
        let ids: Vec<String> = self.subjects.iter().map(|subject| subject.id.clone()).collect();
        progress.say(format!("{}  {}", planned.key(), ids.join(" against ")));
        let measured = match self.refusal() {
            Some(refusal) => Err(refusal),
            None => self.starts(fixtures, progress)?,
        };
        Ok(DuelCase {
            scenario: planned.scenario.to_owned(),
            question: planned.question.to_owned(),
            workload: planned.case.work.summary.clone(),
            case: planned.case.values.clone(),
            operation: planned.operation(),
            subjects: ids,
            warnings: self.warnings(measured.as_ref().ok()),
            result: measured.map(|starts| starts.turns),
        })
    }

    /// Why the case cannot be measured, where that is known before a start.
    fn refusal(&self) -> Option<NoResult> {
        self.subjects.iter().find_map(|subject| {
            let (status, reason) = self.planned.refusal(subject)?;
            Some(NoResult { subject: Some(subject.id.clone()), status, reason })
        })
    }

    /// All starts, or the first failure that a repetition does not remove.
    fn starts(
        &self,
        fixtures: &mut FixtureStore,
        progress: &Progress,
    ) -> Result<Result<Starts, NoResult>, Stop> {
        let files = place_files(self.planned, fixtures)?.directory;
        let plans = self.subjects.iter().enumerate().map(|(side, subject)| {
            // All sides have the poll wrapper and none is observed. To measure what both cost
            // together, the first side has neither and the others have both.
            let metered = !self.options.bare_first || side > 0;
            let is_observed = self.options.bare_first && metered;
            let attention = if is_observed { Attention::Usual } else { Attention::None };
            let plan = Plan { metered, ..self.planned.plan(subject, files.as_deref()) };
            (subject, plan, attention)
        });
        let sides = Sides {
            case: self.planned,
            executable: self.executable,
            limits: Limits::USUAL,
            plans: plans.collect(),
        };
        let length = Length::Time(self.options.time() / self.options.starts);
        let mut chance = SplitMix::new(self.seed, &self.planned.key());
        let mut starts = Starts::default();
        let mut repeats_left = REPEATS_MAX;
        while starts.turns.len() < self.options.starts as usize {
            let started = sides.start(length, &mut chance)?;
            let turns = started.sides.into_iter();
            let turns = turns.map(|side| side.turns.map_err(|failed| (side.subject, failed)));
            match turns.collect::<Result<Start, _>>() {
                Ok(turns) => {
                    starts.turns.push(turns);
                    starts.noise.extend(started.noise);
                    progress.advance(1);
                }
                // Caused by the machine: a process that did not stop in time.
                Err((_, failed)) if failed.may_pass() && repeats_left > 0 => repeats_left -= 1,
                Err((subject, Failed { status, reason, .. })) => {
                    let subject = Some(subject.id.clone());
                    return Ok(Err(NoResult { subject, status, reason }));
                }
            }
        }
        Ok(Ok(starts))
    }

    /// That a subject has another number of workers than asked for; a duel has no column for it.
    fn other_workers(&self, subject: &Subject) -> Option<String> {
        let asked = self.planned.workers_asked?;
        let asked_for = counted(asked.into(), "worker");
        match subject.workers(asked) {
            had if had == asked => None,
            0 => Some(format!("a thread for each task, where {asked_for} were asked for")),
            had => Some(format!("{had} of the {asked_for} asked for")),
        }
    }

    fn warnings(&self, starts: Option<&Starts>) -> Vec<Warning> {
        let of_all = |text: String| Warning { subject: None, text };
        let mut warnings: Vec<Warning> = self.planned.warnings().into_iter().map(of_all).collect();
        if self.planned.sleeps() {
            let text = "time goes on for a frozen subject, so a `sleep` or a slow read then ends \
                        early: differences look smaller than they are";
            warnings.push(of_all(text.to_owned()));
        }
        let of_one = |subject: &Subject| {
            let id = subject.id.clone();
            move |text: String| Warning { subject: Some(id.clone()), text }
        };
        for subject in self.subjects {
            let texts = warnings::workers(self.planned, subject).into_iter();
            warnings.extend(texts.chain(self.other_workers(subject)).map(of_one(subject)));
        }
        let Some(starts) = starts else { return warnings };
        let turns: Vec<Turn> =
            (0..self.subjects.len()).map(|side| turns_of(&starts.turns, side)).collect();
        let cpu_ns = |turn: &Turn| turn.thawed.cpu_ns + turn.thawed.driver_cpu_ns;
        let noise = starts.noise.iter().cloned().reduce(|all, noise| Noise {
            capacity_ns: all.capacity_ns + noise.capacity_ns,
            steal_ns: all.steal_ns + noise.steal_ns,
            others_cpu_ns: all.others_cpu_ns + noise.others_cpu_ns,
            run_queue_ns: all.run_queue_ns + noise.run_queue_ns,
            ..noise
        });
        let noise = warnings::noise(noise.as_ref(), turns.iter().map(cpu_ns).sum());
        warnings.extend(noise.into_iter().map(of_all));
        for (subject, turns) in self.subjects.iter().zip(&turns) {
            warnings.extend(busy_driver(turns).map(of_one(subject)));
        }
        warnings
    }
}

fn busy_driver(turns: &Turn) -> Option<String> {
    let busy = turns.driver_busy();
    (busy > BUSY_MAX).then(|| {
        format!(
            "its load driver was busy {:.0} % of the time: throughput may be limited by it, go by \
             the CPU time",
            (busy * 100.0).min(100.0)
        )
    })
}
