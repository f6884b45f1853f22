//! Two rivals along an axis: who is ahead at each value, and between which values that changes.
//!
//! Never reads a lead into figures that the tables would not tell apart.

use super::kept::Contender;
use crate::effect::{Effect, Verdict};
use crate::interval::Interval;
use crate::series::Figure;

/// Two rivals from the lowest value of an axis to the highest.
#[derive(Debug)]
pub(super) struct Course {
    pub stops: Vec<Stop>,
}

/// What there is between two rivals at one value.
#[derive(Debug)]
pub(super) struct Stop {
    /// In the least unit of the axis.
    pub position: f64,
    /// As the scenario writes it.
    pub value: String,
    pub rivals: [Option<Contender>; 2],
    pub state: State,
    pub is_of_one_trial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Ahead(Lead),
    Same,
    /// The trials vary too much to say.
    Unclear,
    /// One of them, by its number, has no figures.
    Absent(usize),
}

/// Who is ahead, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lead {
    pub who: usize,
    /// Above 1.
    pub ratio: f64,
    /// Of the ratio; `None` of a single trial.
    pub interval: Option<Interval>,
}

/// Two stops between which the lead has changed, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing {
    pub before: usize,
    pub after: usize,
    /// No lead on either side stands on a single trial.
    pub is_backed: bool,
}

impl Course {
    /// Between stops with a clear leader; what lies between them is neither's.
    pub(super) fn crossings(&self) -> Vec<Crossing> {
        let led: Vec<(usize, Lead)> = self.leads().collect();
        let legs: Vec<&[(usize, Lead)]> = led.chunk_by(|a, b| a.1.who == b.1.who).collect();
        let is_backed = |leg: &[(usize, Lead)]| leg.iter().all(|(_, lead)| lead.interval.is_some());
        let crossing = |pair: &[&[(usize, Lead)]]| {
            let ([.., (before, _)], [(after, _), ..]) = (pair[0], pair[1]) else { return None };
            let is_backed = is_backed(pair[0]) && is_backed(pair[1]);
            Some(Crossing { before: *before, after: *after, is_backed })
        };
        legs.windows(2).filter_map(crossing).collect()
    }

    /// Stops with a clear leader.
    pub(super) fn leads(&self) -> impl Iterator<Item = (usize, Lead)> {
        self.stops.iter().enumerate().filter_map(|(index, stop)| match stop.state {
            State::Ahead(lead) => Some((index, lead)),
            _ => None,
        })
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.stops.iter().any(|stop| stop.is_of_one_trial)
    }

    pub(super) fn is_unclear(&self) -> bool {
        self.stops.iter().any(|stop| stop.state == State::Unclear)
    }

    /// Whether both were measured at one value at least.
    pub(super) fn has_both(&self) -> bool {
        self.stops.iter().any(|stop| !matches!(stop.state, State::Absent(_)))
    }

    /// Whether it is a course of one runtime and executor, told of by itself.
    pub(super) fn is_within_one_family(&self) -> bool {
        let families =
            || self.stops.iter().flat_map(|stop| stop.rivals.iter().flatten()).map(|c| &c.family);
        families().all(|family| Some(family) == families().next())
    }

    /// Where both are level, if the lead changes from one value to the next: on a line drawn
    /// through both ratios, in logarithms. `None` where that line is known too little: where by
    /// the intervals of the ratios the place may lie anywhere in more than half of the gap.
    pub(super) fn level_at(&self, crossing: Crossing) -> Option<f64> {
        let (before, after) = (&self.stops[crossing.before], &self.stops[crossing.after]);
        let (State::Ahead(old), State::Ahead(new)) = (before.state, after.state) else {
            return None;
        };
        if crossing.after != crossing.before + 1 || before.position <= 0.0 {
            return None;
        }
        let way = |old: f64, new: f64| old.ln() / (old.ln() + new.ln());
        let (of_old, of_new) = (old.interval?, new.interval?);
        let earliest = way(of_old.low, of_new.high);
        let latest = way(of_old.high, of_new.low);
        if latest - earliest > 0.5 {
            return None;
        }
        let (from, to) = (before.position.ln(), after.position.ln());
        Some((from + (to - from) * way(old.ratio, new.ratio)).exp())
    }
}

impl Stop {
    pub(super) fn new(
        position: f64,
        value: String,
        rivals: [Option<Contender>; 2],
        by: Figure,
    ) -> Self {
        let (state, is_of_one_trial) = state(&rivals, by);
        Self { position, value, state, rivals, is_of_one_trial }
    }
}

/// Who is ahead, and whether that stands on a single trial.
fn state(rivals: &[Option<Contender>; 2], by: Figure) -> (State, bool) {
    let merits = |who: usize| rivals[who].as_ref().and_then(|rival| rival.merits.as_ref());
    let (first, second) = match [merits(0), merits(1)] {
        [Some(first), Some(second)] => (first, second),
        [None, _] => return (State::Absent(0), false),
        [_, None] => return (State::Absent(1), false),
    };
    let Some(effect) = first.against(second, by) else { return (State::Unclear, false) };
    let effect = if by.is_better_more() { effect } else { effect.inverse() };
    let lead = |who, effect: Effect| {
        State::Ahead(Lead { who, ratio: effect.ratio(), interval: effect.interval() })
    };
    let state = match effect.hint(by.rule()) {
        Verdict::More => lead(0, effect),
        Verdict::Less => lead(1, effect.inverse()),
        Verdict::Same => State::Same,
        Verdict::CannotTell => State::Unclear,
    };
    (state, effect.interval().is_none() && state != State::Unclear)
}
