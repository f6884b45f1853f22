//! Lock-step: several subjects alive at once, of which one at a time runs and the others are
//! frozen, in turns of some ten milliseconds.
//!
//! Whatever the machine does lasts longer than a turn, so it meets all of them alike. It reads
//! what was done at each turn's edges, while the subject runs. It never tells a latency: those
//! of a frozen subject mean nothing.

use std::time::{Duration, Instant};

use quadrant_reports::duel::{Round, Thawed, Turn};
use quadrant_reports::record::{Noise, Status};
use quadrant_suite::board::Phase;
use quadrant_suite::clock::{Stamp, stamp};
use quadrant_suite::control::Message;
use quadrant_suite::outcome::Findings;

use super::order::{Attention, Order};
use super::processes::{Look, Processes, Stop, because};
use super::watch::Watch;
use crate::driver::order::Load;
use crate::machine::noise::NoiseWatch;
use crate::machine::process;
use crate::machine::run_queue::RunQueue;
use crate::observe::Observation;

/// A thawed subject finds cold caches and what has piled up; it is not looked at before this is
/// over.
const SETTLE: Duration = Duration::from_millis(1);
/// The least that makes a turn's count a rate.
const OPERATIONS_PER_TURN_MIN: u64 = 20;
const TURN_MIN: Duration = Duration::from_millis(10);
/// There are many bouts, and the first turns warm up as well.
const WARMUP_MAX: Duration = Duration::from_millis(100);
const TURN_MAX: Duration = Duration::from_millis(500);

/// What came of some time in lock-step.
pub enum Ended {
    Measured(Measured),
    /// The side that could not go on, by its index, and why.
    Unmeasured {
        side: usize,
        status: Status,
        reason: String,
    },
    Interrupted,
}

/// The turns, and what each side had to say in the end.
pub struct Measured {
    pub rounds: Vec<Round>,
    pub results: Vec<(Option<Load>, Findings)>,
    pub noise: Option<Noise>,
}

/// Lets the sides take turns for `time`, warmed up before.
pub fn run(sides: &[Order], time: Duration) -> Ended {
    let ended = Lockstep::begin(sides).and_then(|mut lockstep| lockstep.conduct(time));
    crate::machine::orphans::end_all();
    match ended {
        Ok(measured) => Ended::Measured(measured),
        Err((_, Stop::Interrupted)) => Ended::Interrupted,
        Err((side, Stop::Because(status, reason))) => Ended::Unmeasured { side, status, reason },
    }
}

/// A failure has a side.
type Result<T> = std::result::Result<T, (usize, Stop)>;

struct Lockstep<'a> {
    sides: &'a [Order<'a>],
    running: Vec<Processes>,
    watches: Vec<Option<Watch>>,
    /// Since when each side stands still.
    frozen: Vec<Instant>,
    queues: Vec<RunQueue>,
    turn: Duration,
}

/// What has been done at one moment of a turn, while both processes run.
struct Mark {
    at: Stamp,
    operations: u64,
    waited_ns: u64,
}

impl Mark {
    fn now(side: &Processes, order: &Order, queue: &RunQueue) -> Self {
        Self {
            at: stamp(),
            operations: side.board().done(order.load.is_some()),
            waited_ns: queue.waited_ns(),
        }
    }
}

/// What has been used and done while both processes stand still: only then the system's account
/// of CPU time is complete. That of a thread which runs on and on is brought up to date every few
/// milliseconds, and a turn has no more than ten.
struct Account {
    operations: u64,
    cpu_ns: u64,
    driver_cpu_ns: u64,
}

impl Account {
    fn of(side: &Processes, order: &Order) -> Self {
        Self {
            operations: side.board().done(order.load.is_some()),
            cpu_ns: process::cpu_ns(side.pid()).unwrap_or(0),
            driver_cpu_ns: side.driver_pid().and_then(process::cpu_ns).unwrap_or(0),
        }
    }
}

impl<'a> Lockstep<'a> {
    /// Starts every side, warms it up by itself and freezes it.
    fn begin(sides: &'a [Order<'a>]) -> Result<Self> {
        let mut lockstep = Self {
            sides,
            running: Vec::new(),
            watches: Vec::new(),
            frozen: Vec::new(),
            queues: Vec::new(),
            turn: TURN_MIN,
        };
        for (index, side) in sides.iter().enumerate() {
            lockstep.warm_up(side).map_err(|stop| (index, stop))?;
        }
        Ok(lockstep)
    }

    fn warm_up(&mut self, order: &'a Order<'a>) -> std::result::Result<(), Stop> {
        let mut side = Processes::start(order)?;
        side.board().enter(Phase::Warmup, stamp());
        side.tell(Message::Go);
        let began = Instant::now();
        let before = side.board().done(order.load.is_some());
        // Longer for slow work, to know how slow it is.
        let warmup = order.warmup.min(WARMUP_MAX);
        let longest = warmup.max(TURN_MAX);
        let warm = side.wait(longest, |side| {
            match began.elapsed() >= warmup
                && side.board().done(order.load.is_some()) - before >= OPERATIONS_PER_TURN_MIN
            {
                true => Look::Done(()),
                false => Look::Again(Duration::from_millis(5)),
            }
        })?;
        let done = side.board().done(order.load.is_some()) - before;
        if warm.is_none() && done < OPERATIONS_PER_TURN_MIN {
            return Err(because(
                Status::Unmeasured,
                format!(
                    "did {done} operations in {} ms: turns long enough for so slow a workload \
                     would no longer meet the same weather; use `run` and more trials",
                    began.elapsed().as_millis()
                ),
            ));
        }
        let needed = began.elapsed() * OPERATIONS_PER_TURN_MIN as u32 / done.max(1) as u32;
        self.turn = self.turn.max(needed.min(TURN_MAX));
        side.board().enter(Phase::Measuring, stamp());
        let watch = || Watch::new(order, Observation::begin(side.pid(), None, false), &side);
        self.watches.push((order.attention == Attention::Usual).then(watch));
        let processes: Vec<u32> =
            [Some(side.pid()), side.driver_pid()].into_iter().flatten().collect();
        self.queues.push(RunQueue::of(&processes));
        side.freeze()?;
        self.frozen.push(Instant::now());
        self.running.push(side);
        Ok(())
    }

    fn conduct(&mut self, time: Duration) -> Result<Measured> {
        let weather = self.watch_noise();
        let end = Instant::now() + time;
        let mut rounds = Vec::new();
        while Instant::now() < end {
            rounds.push(self.round()?);
        }
        let noise = weather.and_then(NoiseWatch::end);
        let results = (0..self.running.len()).map(|index| self.finish(index));
        Ok(Measured { rounds, results: results.collect::<Result<_>>()?, noise })
    }

    /// All sides together: none of them is a neighbour of another.
    fn watch_noise(&self) -> Option<NoiseWatch> {
        let mut all =
            self.running.iter().flat_map(|side| [Some(side.pid()), side.driver_pid()]).flatten();
        let first = all.next()?;
        Some(NoiseWatch::begin(first, &all.collect::<Vec<_>>(), self.sides[0].cpus))
    }

    /// Every side twice: there and back, so that a drift within the round meets all alike.
    fn round(&mut self) -> Result<Round> {
        let count = self.running.len();
        let there = (0..count).map(|index| self.turn_of(index)).collect::<Result<Vec<_>>>()?;
        let mut back =
            (0..count).rev().map(|index| self.turn_of(index)).collect::<Result<Vec<_>>>()?;
        back.reverse();
        Ok(Round {
            sides: there.into_iter().zip(back).map(|(there, back)| [there, back]).collect(),
        })
    }

    fn turn_of(&mut self, index: usize) -> Result<Turn> {
        self.turn(index).map_err(|stop| (index, stop))
    }

    fn turn(&mut self, index: usize) -> std::result::Result<Turn, Stop> {
        let order = &self.sides[index];
        let watch = &mut self.watches[index];
        if let Some(watch) = watch {
            watch.let_pass(self.frozen[index].elapsed());
        }
        let mut look = |side: &mut Processes| {
            let wait = watch.as_mut().map_or(TURN_MAX, |watch| watch.look(side, order));
            Look::<()>::Again(wait)
        };
        let side = &mut self.running[index];
        let before = Account::of(side, order);
        let thawed = stamp();
        side.thaw()?;
        side.wait(SETTLE, &mut look)?;
        let begin = Mark::now(side, order, &self.queues[index]);
        side.wait(self.turn, &mut look)?;
        let end = Mark::now(side, order, &self.queues[index]);
        side.freeze()?;
        self.frozen[index] = Instant::now();
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
            },
        })
    }

    fn finish(&mut self, index: usize) -> Result<(Option<Load>, Findings)> {
        let side = &mut self.running[index];
        let finished = side.thaw().and_then(|()| {
            side.board().enter(Phase::Over, stamp());
            side.finish()
        });
        finished.map_err(|stop| (index, stop))
    }
}
