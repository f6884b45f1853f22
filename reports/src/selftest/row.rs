//! One number to reach: what it is about, the demand, and what was reached on which subjects.
//!
//! The verdict follows from the figures alone and is never set by hand.

use serde::Serialize;

use super::cases::Cases;
use crate::interval::Interval;

/// What a figure is, so that it can be written for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share; 1 is everything.
    Share,
    Nanoseconds,
    PerSecond,
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        }
    }

    /// Larger where it is worse.
    fn badness(self, value: f64) -> f64 {
        match self {
            Bound::AtLeast(_) => -value,
            Bound::AtMost(_) => value,
        }
    }

    /// Without an interval a value is taken for exact, as counts are.
    fn judge(self, value: f64, interval: Option<Interval>) -> State {
        let (low, high) = interval.map_or((value, value), |one| (one.low, one.high));
        match (self.is_met(low), self.is_met(high)) {
            (true, true) => State::Reached,
            (false, false) => State::NotReached,
            _ => State::CannotTell,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub subject: String,
    pub value: f64,
    /// Where the truth lies, as far as that many cases tell; `None` of what is exact or counted.
    pub interval: Option<Interval>,
    /// How many single cases it stands on.
    pub of: u64,
    #[serde(skip)]
    cases: Option<Cases>,
}

/// What all subjects come to together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Together {
    pub value: f64,
    pub interval: Option<Interval>,
}

/// A subject without a figure, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub reason: String,
    /// Whether it should have been measured, so that its absence is a failure.
    pub is_failure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Reached,
    /// The demand lies inside the figure's interval: more samples would tell.
    CannotTell,
    NotReached,
    NotMeasured,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Reached => "reached",
            State::CannotTell => "cannot tell",
            State::NotReached => "not reached",
            State::NotMeasured => "not measured here",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// By which scripts know it: `stalls.found.5ms`.
    pub key: String,
    pub what: String,
    pub bound: Bound,
    pub unit: Unit,
    pub figures: Vec<Figure>,
    /// Where all subjects are judged together, and not each by itself: what they come to.
    pub together: Option<Together>,
    pub missing: Vec<Missing>,
    /// By which means it was measured, and what else has to be known to read it.
    pub notes: Vec<String>,
}

impl Row {
    pub fn new(key: impl Into<String>, what: impl Into<String>, bound: Bound, unit: Unit) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
            bound,
            unit,
            figures: Vec::new(),
            together: None,
            missing: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A subject's figure, counted or exact; one that stands on nothing is none.
    pub fn add(&mut self, subject: &str, value: Option<f64>, of: u64) {
        self.push(subject, value, None, of, None);
    }

    /// A figure that is as sure as its interval.
    pub fn add_within(
        &mut self,
        subject: &str,
        value: Option<f64>,
        interval: Option<Interval>,
        of: u64,
    ) {
        self.push(subject, value, interval, of, None);
    }

    /// A share or a quantile, as sure as its cases are many.
    pub fn add_cases(&mut self, subject: &str, cases: Cases) {
        self.push(subject, cases.value(), cases.interval(), cases.count(), Some(cases));
    }

    fn push(
        &mut self,
        subject: &str,
        value: Option<f64>,
        interval: Option<Interval>,
        of: u64,
        cases: Option<Cases>,
    ) {
        match value {
            Some(value) if of > 0 && value.is_finite() => {
                let subject = subject.to_owned();
                self.figures.push(Figure { subject, value, interval, of, cases });
            }
            _ => self.fail(subject, "nothing was seen that could be judged"),
        }
    }

    /// A subject whose figure is missing, and should not be.
    pub fn fail(&mut self, subject: &str, reason: impl Into<String>) {
        self.miss(Some(subject), reason, true);
    }

    /// A subject that this is not about.
    pub fn pass_over(&mut self, subject: &str, reason: impl Into<String>) {
        self.miss(Some(subject), reason, false);
    }

    /// Something that keeps this from being measured for any subject.
    pub fn cannot(&mut self, reason: impl Into<String>) {
        self.miss(None, reason, true);
    }

    fn miss(&mut self, subject: Option<&str>, reason: impl Into<String>, is_failure: bool) {
        let subject = subject.map(str::to_owned);
        let missing = Missing { subject, reason: reason.into(), is_failure };
        // Once, however many trials say so.
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// A sentence, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The figure that decides: one that is not reached before one that cannot be told, and of
    /// those the worst.
    pub fn worst(&self) -> Option<&Figure> {
        let key = |figure: &Figure| {
            let state = self.bound.judge(figure.value, figure.interval);
            (state, self.bound.badness(figure.value))
        };
        self.figures.iter().max_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }

    /// What is held against the bound.
    pub fn reached(&self) -> Option<f64> {
        let worst = self.worst()?;
        Some(self.together.map_or(worst.value, |together| together.value))
    }

    /// Of what is held against the bound.
    pub fn interval(&self) -> Option<Interval> {
        let worst = self.worst()?;
        self.together.map_or(worst.interval, |together| together.interval)
    }

    pub fn state(&self) -> State {
        let Some(value) = self.reached() else { return State::NotMeasured };
        match self.bound.judge(value, self.interval()) {
            State::CannotTell if self.is_reached_by_all_cases(value) => State::Reached,
            state => state,
        }
    }

    /// Whether no subject misses the demand, and the cases of all subjects together are enough to
    /// be sure of it where those of one are not.
    fn is_reached_by_all_cases(&self, worst: f64) -> bool {
        let cases: Option<Vec<&Cases>> =
            self.figures.iter().map(|figure| figure.cases.as_ref()).collect();
        let all = cases.and_then(Cases::together);
        let is_sure = all.is_some_and(|all| {
            all.value()
                .is_some_and(|value| self.bound.judge(value, all.interval()) == State::Reached)
        });
        self.bound.is_met(worst) && is_sure
    }

    pub fn samples(&self) -> u64 {
        self.figures.iter().map(|figure| figure.of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bound: Bound, values: &[f64]) -> Row {
        let mut row = Row::new("a", "a", bound, Unit::Share);
        for (index, value) in values.iter().enumerate() {
            row.add(&index.to_string(), Some(*value), 10);
        }
        row
    }

    #[test]
    fn the_worst_subject_decides() {
        let found = row(Bound::AtLeast(0.995), &[1.0, 0.99, 1.0]);
        assert_eq!(
            (found.worst().unwrap().subject.as_str(), found.state()),
            ("1", State::NotReached)
        );
        let errors = row(Bound::AtMost(0.02), &[0.001, 0.019]);
        assert_eq!(
            (errors.worst().unwrap().subject.as_str(), errors.state()),
            ("1", State::Reached)
        );
        assert_eq!(errors.samples(), 20);
    }

    #[test]
    fn together_goes_before_the_worst() {
        let mut row = row(Bound::AtMost(0.2), &[0.0, 0.4]);
        assert_eq!(row.state(), State::NotReached);
        row.together = Some(Together { value: 0.15, interval: None });
        assert_eq!(row.state(), State::Reached);
        let interval = Some(Interval { low: 0.1, high: 0.3 });
        row.together = Some(Together { value: 0.15, interval });
        assert_eq!((row.state(), row.interval()), (State::CannotTell, interval));
    }

    #[test]
    fn an_interval_around_the_bound_cannot_be_told() {
        let mut row = row(Bound::AtLeast(0.97), &[0.99]);
        let mut judged = |low, high| {
            row.figures[0].interval = Some(Interval { low, high });
            row.state()
        };
        assert_eq!(judged(0.98, 1.0), State::Reached);
        assert_eq!(judged(0.96, 1.0), State::CannotTell);
        assert_eq!(judged(0.95, 0.96), State::NotReached);
    }

    #[test]
    fn what_misses_goes_before_what_cannot_be_told() {
        let mut row = row(Bound::AtMost(0.02), &[0.001]);
        row.add_within("doubtful", Some(0.03), Some(Interval { low: 0.01, high: 0.05 }), 3);
        assert_eq!(
            (row.worst().unwrap().subject.as_str(), row.state()),
            ("doubtful", State::CannotTell)
        );
        row.add_within("missed", Some(0.025), Some(Interval { low: 0.021, high: 0.03 }), 9);
        assert_eq!(
            (row.worst().unwrap().subject.as_str(), row.state()),
            ("missed", State::NotReached)
        );
    }

    #[test]
    fn all_subjects_together_are_sure_where_one_is_not() {
        let mut row = row(Bound::AtLeast(0.995), &[]);
        row.add_cases("a", Cases::share(200, 200));
        assert_eq!(row.state(), State::CannotTell);
        for _ in 0..5 {
            row.add_cases("b", Cases::share(200, 200));
        }
        assert_eq!(row.state(), State::Reached);
        // One that misses it is not hidden by the others.
        row.add_cases("c", Cases::share(198, 200));
        assert_eq!((row.worst().unwrap().subject.as_str(), row.state()), ("c", State::CannotTell));
        row.add_cases("d", Cases::share(180, 200));
        assert_eq!(row.state(), State::NotReached);
    }

    #[test]
    fn nothing_is_reached_by_nothing() {
        let mut row = row(Bound::AtMost(0.0), &[]);
        assert_eq!(row.state(), State::NotMeasured);
        row.together = Some(Together { value: 0.0, interval: None });
        assert_eq!(row.state(), State::NotMeasured);
        row.add("x", Some(0.0), 0);
        row.add("y", None, 5);
        row.add("z", Some(f64::NAN), 5);
        assert_eq!(row.state(), State::NotMeasured);
        assert_eq!(row.missing.iter().filter(|missing| missing.is_failure).count(), 3);
    }
}
