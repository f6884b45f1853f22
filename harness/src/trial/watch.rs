//! Watches a subject from outside while its window is open, and pings it where no driver does.
//!
//! Never waits: it returns how long nothing is due.

use std::time::{Duration, Instant};

use quadrant_suite::board::Board;
use quadrant_suite::clock::Stamp;

use super::freeze::Freezing;
use super::order::Order;
use super::processes::Processes;
use super::progress_samples::ProgressSamples;
use super::stalls::Glances;
use crate::driver::pacer::Pacer;
use crate::trial::observe::Observation;

/// How often the subject is looked at, at the least.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A look may come this much earlier, to share a wake-up with a ping.
const EARLIER_MAX: Duration = Duration::from_micros(2_500);

pub struct Watch {
    /// `None` where no pings are sent, and where the driver sends them.
    pacer: Option<Pacer>,
    observation: Observation,
    glances: Glances,
    progress: ProgressSamples,
    look_due: Instant,
    freezing: Option<Freezing>,
}

/// What was seen.
pub struct Seen {
    /// See [`ProgressSamples`].
    pub progress: Vec<(u64, u64)>,
    pub observation: Observation,
    pub glances: Glances,
    /// From when to when the subject was frozen on purpose.
    pub frozen: Option<(Stamp, Stamp)>,
}

impl Watch {
    /// The window of `subject` has opened.
    pub fn new(order: &Order, observation: Observation, subject: &Processes) -> Self {
        let is_pacer = order.is_pinged() && order.load.is_empty();
        Self {
            pacer: is_pacer.then(|| Pacer::new(order.plan.seed)),
            observation,
            glances: Glances::default(),
            progress: ProgressSamples::begin(subject.board(), order.plan, order.measure),
            look_due: Instant::now(),
            freezing: order.freeze.map(|freeze| Freezing::begin(freeze, subject.pid())),
        }
    }

    /// Does what is due. Returns how long it is until something is due again.
    pub fn look(&mut self, trial: &mut Processes, order: &Order) -> Duration {
        let until_ping =
            self.pacer.as_mut().map_or(LOOK_EVERY, |pacer| pacer.ping(trial.controls()));
        // Waking up costs most.
        if Instant::now() + EARLIER_MAX >= self.look_due {
            self.look_due = Instant::now() + LOOK_EVERY;
            self.observation.look(trial.board());
            self.glances.look(trial.board(), order.plan, trial.pid());
            self.progress.look(trial.board());
        }
        let until_freeze = self.freezing.as_mut().map_or(Duration::MAX, Freezing::act);
        let until_look = self.look_due.saturating_duration_since(Instant::now());
        until_ping.min(until_look).min(until_freeze)
    }

    /// The subject was frozen for so long: everything is due that much later. In the time that it
    /// runs, it gets as many pings and looks as in a trial.
    pub fn postpone(&mut self, away: Duration) {
        if let Some(pacer) = &mut self.pacer {
            pacer.let_pass(away);
        }
        self.observation.postpone(away);
        self.look_due += away;
    }

    /// The window is over. A subject that is still frozen on purpose goes on.
    pub fn end(self, board: &Board) -> Seen {
        Seen {
            progress: self.progress.end(board),
            observation: self.observation,
            glances: self.glances,
            frozen: self.freezing.as_ref().and_then(Freezing::interval),
        }
    }
}
