//! One case of a duel, start after start.
//!
//! Never measures anything itself; lock-step does.

use std::path::Path;

use quadrant_reports::driver_limit::BUSY_MAX;
use quadrant_reports::duel::{DuelCase, NoResult, Warning, turns_of};
use quadrant_reports::record::{Noise, Status};
use quadrant_reports::turns::{Start, Turn};
use quadrant_suite::plan::Plan;

use super::options::DuelOptions;
use crate::adapters::subject::{State, Subject};
use crate::commands::failure::Failure;
use crate::commands::run::{PlannedCase, complaint, noise, worker_warnings};
use crate::fixtures::FixtureStore;
use crate::system::interrupt;
use crate::terminal::progress::Progress;
use crate::trial::lockstep::{self, Failed, Length, Side};
use crate::trial::{Attention, Limits, Memory, Order};
use quadrant_reports::number::counted;
use quadrant_reports::random::SplitMix;

/// Starts that are made again because the machine spoilt them.
const REPEATS_MAX: u32 = 3;

pub struct Fight<'a> {
    pub options: &'a DuelOptions,
    pub executable: &'a Path,
    pub case: &'a PlannedCase<'a>,
    pub subjects: &'a [Subject],
    pub seed: u64,
}

impl Fight<'_> {
    /// Nothing when it was interrupted.
    pub fn carry_out(
        &self,
        fixtures: &mut FixtureStore,
        progress: &Progress,
    ) -> Result<Option<DuelCase>, Failure> {
        let ids: Vec<String> = self.subjects.iter().map(|subject| subject.id.clone()).collect();
        progress.say(format!("{}  {}", self.case.key(), ids.join(" against ")));
        let fought = match self.obstacle() {
            Some(obstacle) => Err(obstacle),
            None => {
                let files = match self.case.case.work.files {
                    Some(shape) => match fixtures.files(shape.count, shape.bytes) {
                        Ok(set) => {
                            if shape.cold {
                                set.drop_from_cache().map_err(anyhow::Error::new)?;
                            }
                            Some(set.directory().display().to_string())
                        }
                        Err(_) if interrupt::requested() => return Ok(None),
                        Err(error) => return Err(anyhow::Error::new(error).into()),
                    },
                    None => None,
                };
                let Some(fought) = self.starts(files.as_deref(), progress) else {
                    return Ok(None);
                };
                fought
            }
        };
        let work = &self.case.case.work;
        Ok(Some(DuelCase {
            scenario: self.case.scenario.to_owned(),
            question: self.case.question.to_owned(),
            workload: work.summary.clone(),
            case: self.case.case.values.clone(),
            operation: self.case.operation(),
            subjects: ids,
            warnings: self.warnings(fought.as_ref().ok()),
            result: fought.map(|fought| fought.starts),
        }))
    }

    /// What is known before anything runs.
    fn obstacle(&self) -> Option<NoResult> {
        for subject in self.subjects {
            let told = |status, reason| {
                Some(NoResult { subject: Some(subject.id.clone()), status, reason })
            };
            if let State::Broken { reason } = &subject.state {
                return told(Status::Unmeasured, reason.clone());
            }
            if let Some(reason) = subject.unsupported(&self.case.plan(subject, None)) {
                return told(Status::Unsupported, reason);
            }
        }
        let reason = self.case.unfit_for_turns()?;
        Some(NoResult { subject: None, status: Status::Unsupported, reason: reason.to_owned() })
    }

    /// Start after start, or why there is none; nothing when it was interrupted.
    fn starts(&self, files: Option<&str>, progress: &Progress) -> Option<Result<Fought, NoResult>> {
        let plans: Vec<Plan> = self
            .subjects
            .iter()
            .enumerate()
            .map(|(side, subject)| Plan {
                // In a duel everybody has the wrapper and nobody is looked at; to know what both
                // cost together, one has neither and the others have both.
                metered: !self.options.bare_first || side > 0,
                ..self.case.plan(subject, files)
            })
            .collect();
        let mut chance = SplitMix::new(self.seed, &self.case.key());
        let mut fought = Fought::default();
        let mut repeats_left = REPEATS_MAX;
        let length = Length::Time(self.options.time() / self.options.starts);
        let mut number = 0;
        while number < self.options.starts {
            let pairs = self.subjects.iter().zip(&plans);
            let sides: Vec<Order> = pairs.filter_map(|pair| self.side(pair, &mut chance)).collect();
            let measured = lockstep::run(&sides, length, chance.draw())?;
            match turns_of_all(measured.sides) {
                Ok(start) => {
                    fought.starts.push(start);
                    fought.noise.extend(measured.noise);
                    number += 1;
                    progress.advance(1);
                }
                // The machine's doing, not the subject's: a process that did not stop in time.
                Err((_, failure)) if failure.may_pass() && repeats_left > 0 => repeats_left -= 1,
                Err((side, Failed { status, reason, .. })) => {
                    let subject = Some(self.subjects[side].id.clone());
                    return Some(Err(NoResult { subject, status, reason }));
                }
            }
        }
        Some(Ok(fought))
    }

    fn side<'o>(
        &'o self,
        (subject, plan): (&'o Subject, &'o Plan),
        chance: &mut SplitMix,
    ) -> Option<Order<'o>> {
        let State::Loadable { library, .. } = &subject.state else { return None };
        let attention = match self.options.bare_first && plan.metered {
            true => Attention::Usual,
            false => Attention::None,
        };
        Some(Order {
            executable: self.executable,
            library,
            plan,
            load: self.case.load,
            cpus: &self.case.division,
            warmup: self.case.warmup,
            measure: self.options.time(),
            // It tells nothing here; what it costs is what one may want to know.
            attention,
            freeze: None,
            memory: Memory::draw(chance, self.case.allocator),
            limits: Limits::USUAL,
        })
    }

    /// That it has another number of workers than was asked for; a duel has no column for it.
    fn other_workers(&self, subject: &Subject) -> Option<String> {
        let asked = self.case.workers_asked?;
        let asked_for = counted(asked.into(), "worker");
        match subject.workers(asked) {
            had if had == asked => None,
            0 => Some(format!("a thread for each task, where {asked_for} were asked for")),
            had => Some(format!("{had} of the {asked_for} asked for")),
        }
    }

    fn warnings(&self, fought: Option<&Fought>) -> Vec<Warning> {
        let sleeping = self.case.sleeps().then(|| {
            "time goes on for whoever is frozen, so a `sleep` under way then ends early: differences \
             look smaller than they are"
                .to_owned()
        });
        let of_all = self.case.warnings().into_iter().chain(sleeping);
        let mut warnings: Vec<Warning> =
            of_all.map(|text| Warning { subject: None, text }).collect();
        for subject in self.subjects {
            let workers = worker_warnings(self.case, subject).into_iter();
            let of_it = workers.chain(self.other_workers(subject));
            let warning = |text| Warning { subject: Some(subject.id.clone()), text };
            warnings.extend(of_it.map(warning));
        }
        if let Some(fought) = fought {
            let turns = (0..self.subjects.len()).map(|side| turns_of(&fought.starts, side));
            let all = turns.fold(Turn::default(), |a, b| a + b);
            let noise = fought.noise(&all);
            let warned = noise
                .map(|noise| noise::warnings(&noise, all.thawed.cpu_ns + all.thawed.driver_cpu_ns));
            let warned = warned.into_iter().flatten();
            warnings.extend(warned.map(|text| Warning { subject: None, text }));
            warnings.extend(self.subjects.iter().enumerate().filter_map(|(side, subject)| {
                let text = busy_driver(turns_of(&fought.starts, side))?;
                Some(Warning { subject: Some(subject.id.clone()), text })
            }));
        }
        warnings
    }
}

/// The turns of every side, or the first side that failed and why.
fn turns_of_all(sides: Vec<Result<Side, Failed>>) -> Result<Start, (usize, Failed)> {
    let turns = |(index, side): (usize, Result<Side, Failed>)| {
        let side = side.map_err(|failure| (index, failure))?;
        match complaint(&side.findings, side.load.as_ref()) {
            Some(reason) => Err((index, Failed::new(Status::Failed, reason))),
            None => Ok(side.turns),
        }
    };
    sides.into_iter().enumerate().map(turns).collect()
}

/// What came of all starts.
#[derive(Default)]
struct Fought {
    starts: Vec<Start>,
    noise: Vec<Noise>,
}

impl Fought {
    /// The noise of all starts together.
    fn noise(&self, turns: &Turn) -> Option<Noise> {
        self.noise.iter().cloned().reduce(|all, noise| Noise {
            capacity_ns: all.capacity_ns + noise.capacity_ns,
            steal_ns: all.steal_ns + noise.steal_ns,
            others_cpu_ns: all.others_cpu_ns + noise.others_cpu_ns,
            run_queue_ns: turns.waited_ns,
            ..noise
        })
    }
}

fn busy_driver(turns: Turn) -> Option<String> {
    let busy = turns.thawed.driver_cpu_ns as f64 / turns.thawed.elapsed_ns.max(1) as f64;
    (busy > BUSY_MAX).then(|| {
        format!(
            "its load driver was busy {:.0} % of the time: throughput may be limited by it, go by \
             the CPU time",
            (busy * 100.0).min(100.0)
        )
    })
}
