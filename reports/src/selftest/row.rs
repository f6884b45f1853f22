//! One number to reach: what it is about, the demand, and what was reached on which subjects.
//!
//! The verdict follows from the figures alone and is never set by hand.

use serde::Serialize;

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

    /// Whether `a` is worse than `b`.
    fn is_worse(self, a: f64, b: f64) -> bool {
        match self {
            Bound::AtLeast(_) => a < b,
            Bound::AtMost(_) => a > b,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub subject: String,
    pub value: f64,
    /// How many single cases it stands on.
    pub of: u64,
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
    NotReached,
    NotMeasured,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Reached => "reached",
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
    pub together: Option<f64>,
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

    /// A subject's figure; one that stands on nothing is none.
    pub fn add(&mut self, subject: &str, value: Option<f64>, of: u64) {
        match value {
            Some(value) if of > 0 && value.is_finite() => {
                self.figures.push(Figure { subject: subject.to_owned(), value, of });
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

    pub fn worst(&self) -> Option<&Figure> {
        self.figures.iter().reduce(|worst, next| {
            if self.bound.is_worse(next.value, worst.value) { next } else { worst }
        })
    }

    /// What is held against the bound.
    pub fn reached(&self) -> Option<f64> {
        let worst = self.worst()?;
        Some(self.together.unwrap_or(worst.value))
    }

    pub fn state(&self) -> State {
        match self.reached() {
            None => State::NotMeasured,
            Some(value) if self.bound.is_met(value) => State::Reached,
            Some(_) => State::NotReached,
        }
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
        row.together = Some(0.15);
        assert_eq!(row.state(), State::Reached);
    }

    #[test]
    fn nothing_is_reached_by_nothing() {
        let mut row = row(Bound::AtMost(0.0), &[]);
        assert_eq!(row.state(), State::NotMeasured);
        row.together = Some(0.0);
        assert_eq!(row.state(), State::NotMeasured);
        row.add("x", Some(0.0), 0);
        row.add("y", None, 5);
        row.add("z", Some(f64::NAN), 5);
        assert_eq!(row.state(), State::NotMeasured);
        assert_eq!(row.missing.iter().filter(|missing| missing.is_failure).count(), 3);
    }
}
