//! The pass in turns: all subjects of a case alive at once, one of them running at a time, started
//! anew again and again.
//!
//! Decides which subjects take part, and in which groups. Never judges a figure.

use std::path::Path;
use std::time::Duration;

use quadrant_reports::record::{Noise, Status, Turns};
use quadrant_reports::turns::{Turn, sum};
use quadrant_suite::plan::Plan;

use super::cells::PlannedCase;
use super::noise;
use super::record::{Verdict, complaint};
use crate::adapters::subject::{State, Subject};
use crate::trial::lockstep::{self, Failed, Length, Side};
use crate::trial::{Attention, Limits, Memory, Order};
use quadrant_reports::random::SplitMix;

/// Turns of each subject in one start. More starts say more than more turns.
const ROUNDS: u32 = 7;
/// What a start takes for each subject, its turns included.
pub const TIME_OF_A_START: Duration = Duration::from_millis(150);
/// Subjects alive at once …
const MEMBERS_MAX: usize = 20;
/// … and what their connections and tasks may come to.
const BURDEN_MAX: u64 = 24_000;

/// Subjects that are alive together.
pub struct Group<'a> {
    pub number: u32,
    reference: Option<&'a Subject>,
    /// The reference among them.
    pub members: Vec<&'a Subject>,
}

/// What one start came to for one subject.
pub struct Taken<'a> {
    pub subject: &'a Subject,
    pub verdict: Verdict,
    pub turns: Turns,
    pub memory: Memory,
    pub is_too_slow: bool,
}

/// Whether a subject that ended so is left out of further starts.
pub fn is_final(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Crashed | Status::TimedOut | Status::Unsupported)
}

/// Why a case cannot be measured in turns, if so: what goes on while a subject is frozen would
/// meet it all at once.
pub fn unfit(case: &PlannedCase) -> Option<&'static str> {
    let cold = case.case.work.files.is_some_and(|files| files.cold);
    case.unfit_for_turns()
        .or_else(|| {
            case.sleeps().then_some("its tasks sleep, and time passes while they are frozen")
        })
        .or_else(|| cold.then_some("its files are cold, and all subjects share one cache"))
}

/// All subjects in as few groups as the machine can hold at once, each with the reference.
pub fn groups<'a>(
    case: &PlannedCase,
    subjects: &[&'a Subject],
    reference: Option<&'a Subject>,
) -> Vec<Group<'a>> {
    let burden = |subject: &Subject| {
        let plan = case.plan(subject, None);
        plan.tasks_peak() + plan.server.map_or(0, |server| u64::from(server.connections)) + 16
    };
    let is_reference = |subject: &Subject| reference.is_some_and(|it| it.id == subject.id);
    let new = |number| Group { number, reference, members: reference.into_iter().collect() };
    let weight = |group: &Group| group.members.iter().map(|member| burden(member)).sum::<u64>();
    let mut groups = vec![new(0)];
    for subject in subjects.iter().filter(|subject| !is_reference(subject)) {
        let last = groups.last().expect("there is a first group");
        let is_full = last.members.len() >= MEMBERS_MAX
            || weight(last) + burden(subject) > BURDEN_MAX
                && last.members.len() > usize::from(reference.is_some());
        if is_full {
            groups.push(new(groups.len() as u32));
        }
        groups.last_mut().expect("there is a last group").members.push(subject);
    }
    groups
}

impl<'a> Group<'a> {
    /// One start of all members. `None` when it was interrupted.
    pub fn start(
        &self,
        case: &PlannedCase,
        files: Option<&str>,
        executable: &Path,
        limits: Limits,
        chance: &mut SplitMix,
    ) -> Option<Vec<Taken<'a>>> {
        let plans: Vec<Plan> =
            self.members.iter().map(|subject| case.plan(subject, files)).collect();
        // Those that run first warm the machine up for those that follow.
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        chance.shuffle(&mut order);
        let orders: Vec<Order> = order
            .iter()
            .filter_map(|&index| {
                let State::Loadable { library, .. } = &self.members[index].state else {
                    return None;
                };
                Some(Order {
                    executable,
                    library,
                    plan: &plans[index],
                    load: case.load,
                    cpus: &case.division,
                    warmup: case.warmup,
                    measure: case.measure,
                    attention: Attention::None,
                    freeze: None,
                    memory: Memory::draw(chance, case.allocator),
                    limits,
                })
            })
            .collect();
        let measured = lockstep::run(&orders, Length::Rounds(ROUNDS), chance.draw())?;
        let all: Vec<Turn> = measured.sides.iter().flatten().map(|side| sum(&side.turns)).collect();
        let all = sum(&all);
        let noise = measured.noise.map(|noise| Noise { run_queue_ns: all.waited_ns, ..noise });
        let used_ns = all.thawed.cpu_ns + all.thawed.driver_cpu_ns;
        let warnings = noise.as_ref().map(|noise| noise::warnings(noise, used_ns));
        let warnings = warnings.unwrap_or_default();
        let taken = measured.sides.into_iter().zip(&orders).zip(order);
        Some(
            taken
                .map(|((side, made), index)| {
                    let subject = self.members[index];
                    let is_too_slow = side.as_ref().is_err_and(|failed| failed.is_too_slow);
                    let (mut verdict, rounds) = verdict(side);
                    if verdict.status == Status::Ok {
                        verdict.noise.clone_from(&noise);
                        verdict.warnings.clone_from(&warnings);
                    }
                    let turns = Turns {
                        group: self.number,
                        reference: self.reference.map(|subject| subject.id.clone()),
                        operation: case.operation(),
                        rounds,
                    };
                    Taken { subject, verdict, turns, memory: made.memory, is_too_slow }
                })
                .collect(),
        )
    }
}

fn verdict(side: Result<Side, Failed>) -> (Verdict, Vec<Turn>) {
    let failed = |status, reason| (Verdict::without_figures(status, reason), Vec::new());
    let side = match side {
        Ok(side) => side,
        Err(Failed { status, reason, .. }) => return failed(status, reason),
    };
    if let Some(reason) = complaint(&side.findings, side.load.as_ref()) {
        return failed(Status::Failed, reason);
    }
    if sum(&side.turns).operations == 0 {
        let reason = "no operation came to its end in its turns".to_owned();
        return failed(Status::Unmeasured, reason);
    }
    let verdict = Verdict {
        status: Status::Ok,
        reason: None,
        metrics: None,
        noise: None,
        warnings: Vec::new(),
    };
    (verdict, side.turns)
}
