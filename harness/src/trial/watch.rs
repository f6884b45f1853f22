//! What is done to a subject while its window is open: pings are sent to it, and it is looked at
//! from outside.

use std::time::{Duration, Instant};

use quadrant_suite::clock::Stamp;

use super::freeze::Freezing;
use super::order::Order;
use super::pacer::Pacer;
use super::processes::Processes;
use super::stalls::Glances;
use crate::observe::Observation;

/// How often the subject is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

pub struct Watch {
    /// None where nothing is to be counted but the workload.
    pacer: Option<Pacer>,
    observation: Observation,
    glances: Glances,
    look_due: Instant,
    freezing: Option<Freezing>,
}

impl Watch {
    /// The window of `subject` has opened.
    pub fn new(order: &Order, observation: Observation, subject: u32) -> Self {
        Self {
            pacer: (!order.gather_evidence).then(|| Pacer::new(order.plan.seed)),
            observation,
            glances: Glances::default(),
            look_due: Instant::now(),
            freezing: order.freeze.map(|freeze| Freezing::begin(freeze, subject)),
        }
    }

    /// Does what is due, and says how long it is until something is again.
    pub fn look(&mut self, trial: &mut Processes, order: &Order) -> Duration {
        let until_ping =
            self.pacer.as_mut().map_or(LOOK_EVERY, |pacer| pacer.ping(trial.controls()));
        if Instant::now() >= self.look_due {
            self.look_due = Instant::now() + LOOK_EVERY;
            self.observation.look(trial.board());
            self.glances.look(trial.board(), order.plan, trial.pid());
        }
        let until_freeze = self.freezing.as_mut().map_or(Duration::MAX, Freezing::tend);
        let until_look = self.look_due.saturating_duration_since(Instant::now());
        until_ping.min(until_look).min(until_freeze)
    }

    /// The window is over: what was seen, and from when to when the subject was made to stand
    /// still. If it still does, it goes on.
    pub fn end(self) -> (Observation, Glances, Option<(Stamp, Stamp)>) {
        let frozen = self.freezing.as_ref().and_then(Freezing::stretch);
        (self.observation, self.glances, frozen)
    }
}
