//! Turns: several subjects of one case alive at once, one of them running at a time, started anew
//! again and again.
//!
//! Decides which subjects are alive together. Never judges a figure.

use std::path::Path;
use std::time::Duration;

use quadrant_reports::random::SplitMix;
use quadrant_reports::record::claim::Claim;
use quadrant_reports::record::turns::{Turn, sum};
use quadrant_reports::record::{Layout, Noise, Record, Status, Turns};
use quadrant_suite::plan::Plan;

use super::planned_case::PlannedCase;
use super::record::error;
use super::stop::Stop;
use super::warnings;
use crate::adapters::subject::Subject;
use crate::trial::lockstep::{self, Failed, Length};
use crate::trial::{Attention, Limits, Memory, Order};

/// Turns of each subject in one start. More starts tell subjects apart better than more turns.
const ROUNDS: u32 = 7;
/// The time of a start for each subject, its turns included.
pub const TIME_OF_A_START: Duration = Duration::from_millis(150);
/// The most subjects alive at once …
const MEMBERS_MAX: usize = 20;
/// … and the most connections and tasks that they may have together.
const SIZE_MAX: u64 = 24_000;

/// Subjects that are alive together.
pub struct Group<'a> {
    pub number: u32,
    reference: Option<&'a Subject>,
    /// The reference among them.
    pub members: Vec<&'a Subject>,
}

/// What is started together: subjects, each with its plan.
pub struct Sides<'a, 'p> {
    pub case: &'p PlannedCase<'p>,
    pub executable: &'p Path,
    pub limits: Limits,
    pub plans: Vec<(&'a Subject, Plan, Attention)>,
}

/// The result of one start.
pub struct Started<'a> {
    pub sides: Vec<Side<'a>>,
    pub noise: Option<Noise>,
    /// CPU time of all subjects and drivers.
    pub cpu_ns: u64,
}

pub struct Side<'a> {
    pub subject: &'a Subject,
    layout: Layout,
    pub turns: Result<Vec<Turn>, Failed>,
}

/// Why a case is not measured in turns; `None` if it is. Time that passes while a subject is frozen
/// would affect it, or its table needs no subjects that are compared.
pub fn refusal(case: &PlannedCase) -> Option<&'static str> {
    let cold = case.case.work.files.is_some_and(|files| files.cold);
    let compares_cases = "its tables compare cases, of which each needs trials by itself";
    let sleeps = "its tasks sleep, and time passes while they are frozen";
    let needs_trials = |claim: &Claim| {
        let has_conditions = claim.sentence.is_some() && !case.case.expectations.is_empty();
        has_conditions || !claim.suits_turns()
    };
    let is_compared = case.claim.is_some_and(needs_trials);
    case.no_turns()
        .or_else(|| case.sleeps().then_some(sleeps))
        .or_else(|| cold.then_some("its files are cold, and all subjects share one cache"))
        .or_else(|| case.rows_axis.is_some().then_some(compares_cases))
        .or_else(|| is_compared.then_some("its claim is about figures of trials by themselves"))
}

/// All subjects in as few groups as the machine can hold at once, each with the reference.
pub fn groups<'a>(
    case: &PlannedCase,
    subjects: &[&'a Subject],
    reference: Option<&'a Subject>,
) -> Vec<Group<'a>> {
    let size = |subject: &Subject| {
        let plan = case.plan(subject, None);
        plan.tasks_peak() + plan.server.map_or(0, |server| u64::from(server.connections)) + 16
    };
    let is_reference = |subject: &Subject| reference.is_some_and(|it| it.id == subject.id);
    let new = |number| Group { number, reference, members: reference.into_iter().collect() };
    let mut groups = vec![new(0)];
    for &subject in subjects.iter().filter(|subject| !is_reference(subject)) {
        let members = &groups[groups.len() - 1].members;
        let together = members.iter().map(|member| size(member)).sum::<u64>() + size(subject);
        let is_alone = members.len() <= usize::from(reference.is_some());
        if members.len() >= MEMBERS_MAX || together > SIZE_MAX && !is_alone {
            groups.push(new(groups.len() as u32));
        }
        let last = groups.last_mut().expect("there is a first group");
        last.members.push(subject);
    }
    groups
}

impl<'a> Group<'a> {
    /// One start of all members, in an order drawn anew: the first ones warm up the machine for
    /// those that follow.
    pub fn start(
        &self,
        case: &PlannedCase,
        files: Option<&str>,
        executable: &Path,
        limits: Limits,
        chance: &mut SplitMix,
    ) -> Result<Started<'a>, Stop> {
        let mut order = self.members.clone();
        chance.shuffle(&mut order);
        let plan = |subject| (subject, case.plan(subject, files), Attention::None);
        let plans = order.into_iter().map(plan).collect();
        Sides { case, executable, limits, plans }.start(Length::Rounds(ROUNDS), chance)
    }

    /// Puts the result of one start into the record of a subject.
    pub fn fill(&self, record: &mut Record, start: &Started, side: &Side, case: &PlannedCase) {
        let turns = match &side.turns {
            Ok(turns) if sum(turns).operations > 0 => {
                record.status = Status::Ok;
                record.noise.clone_from(&start.noise);
                record.warnings = warnings::noise(start.noise.as_ref(), start.cpu_ns);
                turns.clone()
            }
            Ok(_) => {
                record.reason = Some("no operation was completed in its turns".to_owned());
                Vec::new()
            }
            Err(Failed { status, reason, .. }) => {
                (record.status, record.reason) = (*status, Some(reason.clone()));
                Vec::new()
            }
        };
        record.layout = Some(side.layout);
        record.turns = Some(Turns {
            group: self.number,
            reference: self.reference.map(|subject| subject.id.clone()),
            operation: case.operation(),
            rounds: turns,
        });
    }
}

impl<'a> Sides<'a, '_> {
    /// Starts new processes for all sides, each with a memory layout drawn anew, and lets them take
    /// turns.
    pub fn start(&self, length: Length, chance: &mut SplitMix) -> Result<Started<'a>, Stop> {
        let orders: Vec<Order> = self
            .plans
            .iter()
            .map(|(subject, plan, attention)| {
                let memory = Memory::draw(chance, self.case.allocator);
                let Self { case, executable, limits, .. } = self;
                case.trial(executable, subject, plan, *attention, memory, *limits)
            })
            .collect();
        let measured = lockstep::run(&orders, length, chance.draw()).ok_or(Stop::Interrupted)?;
        let taken: Vec<Turn> =
            measured.sides.iter().flatten().map(|side| sum(&side.turns)).collect();
        let all = sum(&taken);
        let checked = |side: lockstep::Side| match error(&side.findings, side.load.as_ref()) {
            Some(reason) => Err(Failed::new(Status::Failed, reason)),
            None => Ok(side.turns),
        };
        let with_orders = self.plans.iter().zip(&orders).zip(measured.sides);
        let sides = with_orders.map(|(((subject, ..), order), side)| Side {
            subject,
            layout: order.memory.layout,
            turns: side.and_then(checked),
        });
        Ok(Started {
            sides: sides.collect(),
            noise: measured.noise.map(|noise| Noise { run_queue_ns: all.waited_ns, ..noise }),
            cpu_ns: all.thawed.cpu_ns + all.thawed.driver_cpu_ns,
        })
    }
}

impl Side<'_> {
    pub fn is_too_slow(&self) -> bool {
        self.turns.as_ref().is_err_and(|failed| failed.is_too_slow)
    }
}

/// Whether a subject with this result is left out of further starts.
pub fn is_final(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Crashed | Status::TimedOut | Status::Unsupported)
}
