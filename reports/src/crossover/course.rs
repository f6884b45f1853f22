//! Two rivals along an axis: who is ahead at each value, and between which values that changes.
//!
//! Never reads a lead into figures that the tables would call `same` or `unclear`.

use super::kept::Contender;
use crate::bootstrap::{Interval, Sureness, interval};
use crate::standing::{Compared, Standing, compare, logarithms};

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
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Ahead(Lead),
    Same,
    /// The trials vary too much to say.
    Unclear,
    /// Both may have been held up by the load driver.
    Limited,
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
    /// Sure in 99 of 100 cases, where the tables ask for 95.
    pub is_certain: bool,
    /// The load driver may have held up the leader, who would be further ahead.
    pub is_least: bool,
}

/// Two stops between which the lead has changed, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing {
    pub before: usize,
    pub after: usize,
    /// On either side there is more than one lead that luck alone may have made.
    pub is_backed: bool,
}

impl Course {
    /// Between stops with a clear leader; what lies between them is neither's.
    pub(super) fn crossings(&self) -> Vec<Crossing> {
        let led: Vec<(usize, Lead)> = self.leads().collect();
        let legs: Vec<&[(usize, Lead)]> = led.chunk_by(|a, b| a.1.who == b.1.who).collect();
        let is_backed = |leg: &[(usize, Lead)]| match leg {
            [(_, lead)] => lead.is_certain,
            leads => leads.iter().all(|(_, lead)| lead.interval.is_some()),
        };
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
        self.stops.iter().any(|stop| stop.is_of_one_trial())
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
        let spoilt = old.is_least || new.is_least || before.position <= 0.0;
        if crossing.after != crossing.before + 1 || spoilt {
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
    pub(super) fn new(position: f64, value: String, rivals: [Option<Contender>; 2]) -> Self {
        Self { position, value, state: state(&rivals), rivals }
    }

    fn is_of_one_trial(&self) -> bool {
        let measured = self.rivals.iter().flatten().filter(|rival| !rival.merits.is_empty());
        matches!(self.state, State::Ahead(_) | State::Same)
            && measured.map(|rival| rival.merits.len()).min() == Some(1)
    }
}

fn state(rivals: &[Option<Contender>; 2]) -> State {
    let merits = |rival: &Option<Contender>| {
        rival.as_ref().map_or_else(Vec::new, |rival| rival.merits.clone())
    };
    let both = rivals.each_ref().map(merits);
    if let Some(absent) = both.iter().position(Vec::is_empty) {
        return State::Absent(absent);
    }
    let limited = |who: usize| rivals[who].as_ref().is_some_and(|rival| rival.is_limited);
    let compared = compare(&both);
    let [Some(first), Some(second)] = compared[..] else { return State::Unclear };
    let lead = |who: usize, other: Compared| {
        if limited(1 - who) {
            // Who is behind may be so because of the driver.
            return State::Limited;
        }
        State::Ahead(Lead {
            who,
            ratio: 1.0 / other.ratio,
            interval: other
                .interval
                .map(|Interval { low, high }| Interval { low: 1.0 / high, high: 1.0 / low }),
            is_certain: logarithms(&both[who], &both[1 - who])
                .and_then(|logarithms| interval(&logarithms, Sureness::Of99))
                .is_some_and(|interval| interval.low > 0.0),
            is_least: limited(who),
        })
    };
    match (first.standing, second.standing) {
        (Standing::Best, Standing::Slower) => lead(0, second),
        (Standing::Slower, Standing::Best) => lead(1, first),
        _ if limited(0) || limited(1) => State::Limited,
        (Standing::Same, Standing::Same) => State::Same,
        _ => State::Unclear,
    }
}
