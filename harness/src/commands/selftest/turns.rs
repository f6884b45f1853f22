//! Lock-step for the parts that compare: the same subject on several sides, each with work of
//! its own.
//!
//! Never judges a turn.

use std::time::Duration;

use quadrant_reports::record::Status;
use quadrant_reports::turns::Start;
use quadrant_suite::description::Workers;
use quadrant_suite::plan::Plan;

use super::bench::{Bench, Trial, Unmeasured};
use crate::adapters::subject::{State, Subject};
use crate::commands::run::{fresh_seed, trial_error};
use crate::system::allocator::Allocator;
use crate::system::cpus::Division;
use crate::trial::lockstep::{self, Failed, Length};
use crate::trial::{Attention, Limits, Memory, Order};
use quadrant_reports::random::SplitMix;

/// Starts that are made again because the machine spoilt them.
const REPEATS_MAX: u32 = 3;

/// What a subject does on one side.
pub struct Side<'a> {
    pub trial: &'a Trial,
    /// With all instruments, as in a trial; otherwise with none.
    pub measured: bool,
}

/// A load like that of a run of many connections: the driver is busy all the time, and a subject
/// has as many workers as CPUs.
pub fn saturating(bench: &Bench) -> Trial {
    const CONNECTIONS: u32 = 256;
    let mut trial = Trial::of_echo(CONNECTIONS, None, Duration::ZERO);
    trial.workers = bench.division(&trial).subject.len() as u32;
    trial
}

/// One that can do it, if possible with a single loop: those vary the least from start to start.
pub fn steady_subject<'b>(bench: &'b Bench, trial: &Trial) -> Option<&'b Subject> {
    let is_able = |subject: &&Subject| subject.unsupported(&bench.plan(subject, trial)).is_none();
    let able: Vec<&Subject> = bench.subjects.iter().filter(is_able).collect();
    let has_one_worker = |subject: &&&Subject| subject.has_workers(Workers::One);
    able.iter().find(has_one_worker).or(able.first()).copied()
}

/// Many starts of `time` each, with new processes for each.
pub fn starts(
    bench: &Bench,
    subject: &Subject,
    sides: &[Side],
    count: u32,
    time: Duration,
) -> Result<Vec<Start>, Unmeasured> {
    let State::Loadable { library, .. } = &subject.state else {
        return Err(Unmeasured::Failed("it was not built".to_owned()));
    };
    let plans: Vec<Plan> = sides
        .iter()
        .map(|side| Plan { metered: side.measured, ..bench.plan(subject, side.trial) })
        .collect();
    if let Some(reason) = plans.iter().find_map(|plan| subject.unsupported(plan)) {
        return Err(Unmeasured::PassedOver(reason));
    }
    let divisions: Vec<Division> = sides.iter().map(|side| bench.division(side.trial)).collect();
    let mut chance = SplitMix::new(fresh_seed(), "starts");
    let mut starts = Vec::new();
    let mut repeats_left = REPEATS_MAX;
    while starts.len() < count as usize {
        bench.say(&subject.id);
        let order = |((side, plan), cpus)| -> Order {
            let Side { trial, measured }: &Side = side;
            Order {
                executable: &bench.executable,
                library,
                plan,
                load: trial.load,
                cpus,
                warmup: trial.warmup,
                measure: time,
                attention: if *measured { Attention::Usual } else { Attention::None },
                freeze: None,
                memory: Memory::draw(&mut chance, Allocator::default()),
                limits: Limits::USUAL,
            }
        };
        let in_turns: Vec<Order> = sides.iter().zip(&plans).zip(&divisions).map(order).collect();
        let measured = lockstep::run(&in_turns, Length::Time(time), chance.draw());
        let sides = measured.ok_or(Unmeasured::Interrupted)?.sides;
        match sides.into_iter().collect::<Result<Vec<_>, Failed>>() {
            Ok(sides) => {
                let wrong = |side: &lockstep::Side| trial_error(&side.findings, side.load.as_ref());
                if let Some(reason) = sides.iter().find_map(wrong) {
                    return Err(Unmeasured::Failed(reason));
                }
                starts.push(sides.into_iter().map(|side| side.turns).collect());
            }
            Err(failure) if failure.status == Status::Unmeasured && repeats_left > 0 => {
                repeats_left -= 1;
            }
            Err(failure) => return Err(Unmeasured::Failed(failure.reason)),
        }
    }
    Ok(starts)
}
