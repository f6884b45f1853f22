//! A row of the table: what is measured, the demand, and the figures of the subjects.
//!
//! The verdict follows from the figures alone and is never set from outside.

use serde::Serialize;

use super::cases::Cases;
use crate::interval::Interval;

/// How a figure is written.
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

    /// A value without an interval is exact, as counts are.
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
    /// Holds the truth, as far as that many cases show; `None` of what is exact or counted.
    pub interval: Option<Interval>,
    /// The number of cases that it is made of.
    pub of: u64,
    #[serde(skip)]
    cases: Cases,
}

/// A subject without a figure, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub reason: String,
    /// Whether it should have been measured. Otherwise the row does not apply to the subject.
    pub is_failure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Reached,
    /// The demand lies inside the figure's interval: more samples would decide.
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

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// For scripts: `stalls.found.5ms`.
    pub key: &'static str,
    pub what: &'static str,
    #[serde(rename = "demand")]
    pub bound: Bound,
    pub unit: Unit,
    pub figures: Vec<Figure>,
    /// Present where all subjects are judged together, instead of each by itself.
    #[serde(skip)]
    pub together: Option<Cases>,
    pub missing: Vec<Missing>,
    /// How it was measured, and what else one has to know to read it.
    pub notes: Vec<String>,
}

impl Row {
    pub fn new(key: &'static str, what: &'static str, bound: Bound, unit: Unit) -> Self {
        Self {
            key,
            what,
            bound,
            unit,
            figures: Vec::new(),
            together: None,
            missing: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A subject's figure. Without a value or cases the subject has failed.
    pub fn add(&mut self, subject: &str, cases: Cases) {
        let (interval, of) = (cases.interval(), cases.count());
        match cases.value() {
            Some(value) if of > 0 && value.is_finite() => {
                let subject = subject.to_owned();
                self.figures.push(Figure { subject, value, interval, of, cases });
            }
            _ => self.fail(subject, "there was nothing to judge"),
        }
    }

    /// A subject whose figure is missing, and should not be.
    pub fn fail(&mut self, subject: &str, reason: &str) {
        self.miss(Some(subject), reason, true);
    }

    /// A subject that the row does not apply to.
    pub fn exclude(&mut self, subject: &str, reason: &str) {
        self.miss(Some(subject), reason, false);
    }

    /// Something that prevents the figures of all subjects.
    pub fn fail_all(&mut self, reason: impl AsRef<str>) {
        self.miss(None, reason.as_ref(), true);
    }

    fn miss(&mut self, subject: Option<&str>, reason: &str, is_failure: bool) {
        let subject = subject.map(str::to_owned);
        let missing = Missing { subject, reason: reason.to_owned(), is_failure };
        // Once, however many trials have the same reason.
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    /// Adds a sentence, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Keeps one figure for each subject, its worst.
    pub fn keep_worst(&mut self) {
        let mut kept: Vec<Figure> = Vec::new();
        for figure in std::mem::take(&mut self.figures) {
            let badness = |figure: &Figure| self.bound.badness(figure.value);
            match kept.iter_mut().find(|one| one.subject == figure.subject) {
                Some(one) if badness(one) >= badness(&figure) => {}
                Some(one) => *one = figure,
                None => kept.push(figure),
            }
        }
        self.figures = kept;
    }

    /// The figure that decides: one that misses the demand before one that may, and of those the
    /// worst.
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

    /// The figure that is compared with the demand, and its interval.
    fn decisive(&self) -> Option<(f64, Option<Interval>)> {
        let worst = self.worst()?;
        match &self.together {
            Some(all) => Some((all.value()?, all.interval())),
            None => Some((worst.value, worst.interval)),
        }
    }

    pub fn reached(&self) -> Option<f64> {
        Some(self.decisive()?.0)
    }

    pub fn interval(&self) -> Option<Interval> {
        self.decisive()?.1
    }

    pub fn state(&self) -> State {
        let Some((value, interval)) = self.decisive() else { return State::NotMeasured };
        match self.bound.judge(value, interval) {
            State::CannotTell if self.bound.is_met(value) && self.is_reached_by_all() => {
                State::Reached
            }
            state => state,
        }
    }

    /// Whether the pooled cases of all subjects are enough to be sure of the demand, where those of
    /// one subject are not.
    fn is_reached_by_all(&self) -> bool {
        let all = Cases::pooled(self.figures.iter().map(|figure| &figure.cases));
        let state = all.and_then(|all| Some(self.bound.judge(all.value()?, all.interval())));
        state == Some(State::Reached)
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
            row.add(&index.to_string(), Cases::exact(*value, 10));
        }
        row
    }

    fn within(value: f64, interval: Interval, of: u64) -> Cases {
        Cases::Known { value: Some(value), interval: Some(interval), of }
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
    fn the_figure_of_all_replaces_the_worst() {
        let mut row = row(Bound::AtMost(0.2), &[0.0, 0.4]);
        assert_eq!(row.state(), State::NotReached);
        row.together = Some(Cases::exact(0.15, 1));
        assert_eq!(row.state(), State::Reached);
        let interval = Some(Interval { low: 0.1, high: 0.3 });
        row.together = Some(Cases::Known { value: Some(0.15), interval, of: 1 });
        assert_eq!((row.state(), row.interval()), (State::CannotTell, interval));
    }

    #[test]
    fn a_demand_inside_the_interval_is_undecided() {
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
    fn a_miss_goes_before_a_doubtful_figure() {
        let mut row = row(Bound::AtMost(0.02), &[0.001]);
        row.add("doubtful", within(0.03, Interval { low: 0.01, high: 0.05 }, 3));
        assert_eq!(
            (row.worst().unwrap().subject.as_str(), row.state()),
            ("doubtful", State::CannotTell)
        );
        row.add("missed", within(0.025, Interval { low: 0.021, high: 0.03 }, 9));
        assert_eq!(
            (row.worst().unwrap().subject.as_str(), row.state()),
            ("missed", State::NotReached)
        );
    }

    #[test]
    fn pooled_cases_decide_where_one_subject_cannot() {
        let mut row = row(Bound::AtLeast(0.995), &[]);
        row.add("a", Cases::share(200, 200));
        assert_eq!(row.state(), State::CannotTell);
        for _ in 0..5 {
            row.add("b", Cases::share(200, 200));
        }
        assert_eq!(row.state(), State::Reached);
        // One that misses it is not hidden by the others.
        row.add("c", Cases::share(198, 200));
        assert_eq!((row.worst().unwrap().subject.as_str(), row.state()), ("c", State::CannotTell));
        row.add("d", Cases::share(180, 200));
        assert_eq!(row.state(), State::NotReached);
    }

    #[test]
    fn without_figures_no_demand_is_reached() {
        let mut row = row(Bound::AtMost(0.0), &[]);
        assert_eq!(row.state(), State::NotMeasured);
        row.together = Some(Cases::exact(0.0, 1));
        assert_eq!(row.state(), State::NotMeasured);
        row.add("x", Cases::exact(0.0, 0));
        row.add("y", Cases::exact(None, 5));
        row.add("z", Cases::exact(f64::NAN, 5));
        assert_eq!(row.state(), State::NotMeasured);
        assert_eq!(row.missing.iter().filter(|missing| missing.is_failure).count(), 3);
    }

    #[test]
    fn of_several_figures_the_worst_is_kept() {
        let mut row = row(Bound::AtMost(0.0), &[]);
        for (subject, value) in [("a", 1.0), ("b", 2.0), ("a", 3.0), ("b", 1.0)] {
            row.add(subject, Cases::exact(value, 1));
        }
        row.keep_worst();
        let kept: Vec<(&str, f64)> =
            row.figures.iter().map(|one| (one.subject.as_str(), one.value)).collect();
        assert_eq!(kept, [("a", 3.0), ("b", 2.0)]);
    }
}
