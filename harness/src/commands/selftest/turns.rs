//! Comparisons in lock-step: several sides of one subject, each with work of its own, take turns.
//!
//! Never judges a turn.

use quadrant_reports::random::SplitMix;
use quadrant_reports::record::turns::Start;

use super::bench::{Bench, Prepared, Trial, Unmeasured};
use crate::adapters::subject::Subject;
use crate::commands::run::{fresh_seed, trial_error};
use crate::system::allocator::Allocator;
use crate::trial::lockstep::{self, Failed, Length};
use crate::trial::{Attention, Memory, Order};

/// Starts that are repeated because the machine did not stop a process in time.
const REPEATS_MAX: u32 = 3;

/// What a subject does on one side. All sides together take as long as the first one's trial.
pub struct Side<'a> {
    pub trial: &'a Trial,
    /// With all instruments, as in a trial; otherwise with none.
    pub measured: bool,
}

/// Makes `count` starts, each with new processes.
pub fn starts(
    bench: &Bench,
    subject: &Subject,
    sides: &[Side],
    count: usize,
) -> Result<Vec<Start>, Unmeasured> {
    let mut prepared: Vec<Prepared> =
        sides.iter().map(|side| bench.prepare(subject, side.trial)).collect::<Result<_, _>>()?;
    for (prepared, side) in prepared.iter_mut().zip(sides) {
        prepared.plan.metered = side.measured;
    }
    let mut chance = SplitMix::new(fresh_seed(), "starts");
    let mut starts = Vec::new();
    let mut repeats_left = REPEATS_MAX;
    while starts.len() < count {
        bench.show_progress(subject)?;
        let mut orders: Vec<Order> = prepared.iter().map(Prepared::order).collect();
        for order in &mut orders {
            if !order.plan.metered {
                order.attention = Attention::None;
            }
            order.memory = Memory::draw(&mut chance, Allocator::default());
        }
        let time = Length::Time(sides[0].trial.measure);
        let measured =
            lockstep::run(&orders, time, chance.draw()).ok_or(Unmeasured::Interrupted)?;
        match measured.sides.into_iter().collect::<Result<Vec<_>, Failed>>() {
            Ok(sides) => {
                let wrong = |side: &lockstep::Side| trial_error(&side.findings, side.load.as_ref());
                if let Some(reason) = sides.iter().find_map(wrong) {
                    return Err(Unmeasured::Failed(reason));
                }
                starts.push(sides.into_iter().map(|side| side.turns).collect());
            }
            Err(failure) if failure.may_pass() && repeats_left > 0 => repeats_left -= 1,
            Err(failure) => return Err(Unmeasured::Failed(failure.reason)),
        }
    }
    Ok(starts)
}
