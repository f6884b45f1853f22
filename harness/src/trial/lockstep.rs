//! Turns: several subjects are alive at once; one runs for some ten milliseconds while the others are
//! frozen, then the next.
//!
//! Most noise lasts longer than a turn, so it affects all subjects alike. What was done is read at
//! each turn's edges, while the subject runs. Never measures a latency: that of a frozen subject means
//! nothing.

use std::time::{Duration, Instant};

use quadrant_reports::random::SplitMix;
use quadrant_reports::record::turns::{Thawed, Turn};
use quadrant_reports::record::{Noise, Status};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::{Stamp, stamp};
use quadrant_suite::control::Message;
use quadrant_suite::outcome::Findings;

use super::order::{Attention, Order};
pub use super::processes::Failed;
use super::processes::{Look, Processes, Stop};
use super::watch::Watch;
use crate::driver::order::Load;
use crate::system::noise::NoiseWatch;
use crate::system::process::{self, RunQueue};
use crate::trial::observe::Observation;

/// A thawed subject finds cold caches and a backlog; measuring begins after this.
const SETTLE: Duration = Duration::from_millis(1);
/// Fewer operations than these make no rate.
const OPERATIONS_PER_TURN_MIN: u64 = 20;
const TURN_MIN: Duration = Duration::from_millis(10);
const TURN_MAX: Duration = Duration::from_millis(500);
/// Short, because there are many starts and the first round, which is left out, warms up as well.
const WARMUP_MAX: Duration = Duration::from_millis(5);

/// How long the subjects of one start take turns.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// This many turns of each.
    Rounds(u32),
    /// All turns together.
    Time(Duration),
}

/// The result of one start.
pub struct Measured {
    /// One for each side; a side that failed did not stop the others.
    pub sides: Vec<Result<Side, Failed>>,
    pub noise: Option<Noise>,
}

/// A side that took all of its turns.
pub struct Side {
    /// Turn `n` of every side belongs to round `n`.
    pub turns: Vec<Turn>,
    pub load: Option<Load>,
    pub findings: Findings,
}

/// Starts the sides, lets them take turns, and ends them. `None` when it was interrupted.
///
/// `seed` decides the order within each round, which is drawn for each. In a fixed order some sides
/// would be at an advantage, because the turn after a side's own is cheaper.
pub fn run(sides: &[Order], length: Length, seed: u64) -> Option<Measured> {
    let mut lockstep = Lockstep { sides: Vec::new(), seed };
    let measured = lockstep.conduct(sides, length);
    drop(lockstep);
    crate::system::orphans::end_all();
    measured
}

struct Lockstep<'a> {
    sides: Vec<Result<Running<'a>, Failed>>,
    seed: u64,
}

/// A side that is alive.
struct Running<'a> {
    order: &'a Order<'a>,
    processes: Processes,
    /// As long as this side needs for a rate.
    turn: Duration,
    watch: Option<Watch>,
    /// When it was frozen.
    frozen: Instant,
    queue: RunQueue,
    turns: Vec<Turn>,
}

/// What was done until one moment of a turn, read while both processes run.
struct Mark {
    at: Stamp,
    operations: u64,
    waited_ns: u64,
}

impl Mark {
    fn now(side: &Processes, order: &Order, queue: &RunQueue) -> Self {
        Self {
            at: stamp(),
            operations: side.board().done(!order.load.is_empty()),
            waited_ns: queue.waited_ns(),
        }
    }
}

/// What was used and done until now, read while both processes are frozen: only then the system's
/// account of CPU time is complete. That of a running thread is updated every few milliseconds, and a
/// turn may have no more than ten.
struct Account {
    operations: u64,
    cpu_ns: u64,
    driver_cpu_ns: u64,
    page_faults: u64,
}

impl Account {
    fn of(side: &Processes, order: &Order) -> Self {
        Self {
            operations: side.board().done(!order.load.is_empty()),
            cpu_ns: process::cpu_ns(side.pid()).unwrap_or(0),
            driver_cpu_ns: side.driver_pid().and_then(process::cpu_ns).unwrap_or(0),
            page_faults: process::page_faults(side.pid()).unwrap_or(0),
        }
    }
}

impl<'a> Lockstep<'a> {
    fn conduct(&mut self, orders: &'a [Order<'a>], length: Length) -> Option<Measured> {
        for order in orders {
            self.sides.push(failure(Self::begin(order))?);
        }
        let noise = self.watch_noise();
        let mut chance = SplitMix::new(self.seed, "turns");
        let mut order: Vec<usize> = (0..self.sides.len()).collect();
        let mut end = None;
        for round in 0.. {
            // The first round is for warming up.
            let is_over = match length {
                Length::Rounds(rounds) => round > rounds,
                Length::Time(time) => {
                    round > 1 && Instant::now() >= *end.get_or_insert(Instant::now() + time)
                }
            };
            if is_over {
                break;
            }
            chance.shuffle(&mut order);
            for &index in &order {
                self.turn_of(index, round > 0)?;
            }
        }
        let noise = noise.and_then(NoiseWatch::end);
        let mut ended = Vec::new();
        for side in self.sides.drain(..) {
            ended.push(match side {
                Ok(side) => failure(side.finish())?,
                Err(failure) => Err(failure),
            });
        }
        Some(Measured { sides: ended, noise })
    }

    /// Starts a side, warms it up alone and freezes it.
    fn begin(order: &'a Order<'a>) -> Result<Running<'a>, Stop> {
        let mut side = Processes::start(order)?;
        side.board().enter(Phase::Warmup, stamp());
        side.send(Message::Go);
        let began = Instant::now();
        let done = |side: &Processes| side.board().done(!order.load.is_empty());
        let before = done(&side);
        // Longer for slow work, to find out how slow it is.
        let warmup = order.warmup.min(WARMUP_MAX);
        let warm = side.wait(warmup.max(TURN_MAX), |side| {
            match began.elapsed() >= warmup && done(side) - before >= OPERATIONS_PER_TURN_MIN {
                true => Look::Done(()),
                false => Look::Again(Duration::from_millis(1)),
            }
        })?;
        let operations = done(&side) - before;
        if warm.is_none() && operations < OPERATIONS_PER_TURN_MIN {
            let reason = format!(
                "too slow for turns: it did {operations} operations in {} ms, and a turn needs \
                 {OPERATIONS_PER_TURN_MIN}; use `run` and more trials",
                began.elapsed().as_millis()
            );
            let failed = Failed::new(Status::Unmeasured, reason);
            return Err(Stop::Failed(Failed { is_too_slow: true, ..failed }));
        }
        let needed = began.elapsed() * OPERATIONS_PER_TURN_MIN as u32 / operations.max(1) as u32;
        let turn = needed.clamp(TURN_MIN, TURN_MAX);
        side.board().enter(Phase::Measuring, stamp());
        let watch = (order.attention == Attention::Usual)
            .then(|| Watch::new(order, Observation::begin(side.pid(), None, false), &side));
        let queue = RunQueue::of(&side.pids());
        side.freeze()?;
        let (frozen, turns) = (Instant::now(), Vec::new());
        Ok(Running { order, processes: side, turn, watch, frozen, queue, turns })
    }

    /// Of all sides together: no side is noise for another.
    fn watch_noise(&self) -> Option<NoiseWatch> {
        let alive: Vec<&Running> = self.sides.iter().flatten().collect();
        let pids: Vec<u32> = alive.iter().flat_map(|side| side.processes.pids()).collect();
        let (first, others) = pids.split_first()?;
        Some(NoiseWatch::begin(*first, others, alive[0].order.cpus))
    }

    /// One turn of a side, unless it has failed. It is kept if it `counts`.
    fn turn_of(&mut self, index: usize, counts: bool) -> Option<()> {
        let Ok(side) = &mut self.sides[index] else { return Some(()) };
        let made = side.turn();
        match failure(made)? {
            Ok(turn) if counts => side.turns.push(turn),
            Ok(_) => {}
            Err(failure) => self.sides[index] = Err(failure),
        }
        Some(())
    }
}

impl Running<'_> {
    fn turn(&mut self) -> Result<Turn, Stop> {
        let order = self.order;
        let watch = &mut self.watch;
        if let Some(watch) = watch {
            watch.postpone(self.frozen.elapsed());
        }
        let mut look = |side: &mut Processes| {
            let wait = watch.as_mut().map_or(TURN_MAX, |watch| watch.look(side, order));
            Look::<()>::Again(wait)
        };
        let side = &mut self.processes;
        let before = Account::of(side, order);
        let thawed = stamp();
        side.thaw()?;
        side.wait(SETTLE, &mut look)?;
        let begin = Mark::now(side, order, &self.queue);
        side.wait(self.turn, &mut look)?;
        let end = Mark::now(side, order, &self.queue);
        side.freeze()?;
        self.frozen = Instant::now();
        let clock = order.plan.clock;
        let thawed_ns = clock.ns_between(thawed, stamp());
        let after = Account::of(side, order);
        Ok(Turn {
            elapsed_ns: clock.ns_between(begin.at, end.at),
            operations: end.operations - begin.operations,
            waited_ns: end.waited_ns.saturating_sub(begin.waited_ns),
            thawed: Thawed {
                elapsed_ns: thawed_ns,
                operations: after.operations - before.operations,
                cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
                driver_cpu_ns: after.driver_cpu_ns.saturating_sub(before.driver_cpu_ns),
                page_faults: after.page_faults.saturating_sub(before.page_faults),
            },
        })
    }

    fn finish(mut self) -> Result<Side, Stop> {
        self.processes.thaw()?;
        self.processes.board().enter(Phase::Over, stamp());
        let (load, findings) = self.processes.finish()?;
        Ok(Side { turns: self.turns, load, findings })
    }
}

/// `None` for an interruption, which ends all sides; a failure ends one.
fn failure<T>(result: Result<T, Stop>) -> Option<Result<T, Failed>> {
    match result {
        Ok(value) => Some(Ok(value)),
        Err(Stop::Failed(failed)) => Some(Err(failed)),
        Err(Stop::Interrupted) => None,
    }
}
