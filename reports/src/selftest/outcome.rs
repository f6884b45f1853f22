//! A whole self-test: its rows and its exit code.
//!
//! Never drops a row: one that was not measured keeps its reason.

use serde::Serialize;

use super::row::{Missing, Row, State};

#[derive(Debug, Clone, Default, Serialize)]
pub struct SelfTest {
    pub rows: Vec<Row>,
    /// The subjects to measure, by id.
    pub subjects: Vec<String>,
    /// Subjects that did not build or load.
    pub broken: Vec<Missing>,
    pub seed: u64,
    pub quick: bool,
    pub interrupted: bool,
    pub took_ns: u64,
    /// The share of CPU time that the host gave to others, where the system reports it.
    pub steal: Option<f64>,
}

impl SelfTest {
    pub fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state() == state).count()
    }

    /// 0 no demand is missed, 1 a demand is not reached, 3 something could not be measured, 4 there
    /// was nothing to measure, 130 interrupted. A row that cannot be decided is no failure:
    /// otherwise a self-test on a good machine would fail by chance.
    pub fn exit_code(&self) -> u8 {
        let failures = self.rows.iter().flat_map(|row| &row.missing).chain(&self.broken);
        if self.interrupted {
            130
        } else if self.count(State::NotReached) > 0 {
            1
        } else if failures.into_iter().any(|missing| missing.is_failure) {
            3
        } else if self.count(State::Reached) + self.count(State::CannotTell) == 0 {
            4
        } else {
            0
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::interval::Interval;
    use crate::selftest::cases::Cases;
    use crate::selftest::row::{Bound, Unit};

    pub(in crate::selftest) fn sample() -> SelfTest {
        let mut found = Row::new(
            "stalls.found.5ms",
            "stalls found, θ = 5 ms",
            Bound::AtLeast(0.995),
            Unit::Share,
        );
        found.add("tokio/multi-thread/epoll", Cases::exact(1.0, 200));
        found.add("smol/multi-thread/epoll", Cases::exact(0.97, 200));
        found.exclude("mio/callbacks/epoll", "this executor has no timers");
        found.note("made by spinning, sleeping and reading in turn");
        let mut overhead = Row::new(
            "trial.overhead",
            "overhead of a trial",
            Bound::AtMost(5e7),
            Unit::Nanoseconds,
        );
        overhead.add("tokio/multi-thread/epoll", Cases::exact(1.23e7, 4));
        let mut created =
            Row::new("threads.created", "threads created", Bound::AtMost(0.0), Unit::Count);
        created.fail_all("the kernel takes no program of ours: bpf(2) is not allowed");
        SelfTest {
            rows: vec![found, overhead, created],
            subjects: vec!["a".into(), "b".into()],
            seed: 7,
            took_ns: 42_000_000_000,
            steal: Some(0.004),
            ..SelfTest::default()
        }
    }

    #[test]
    fn the_exit_code_is_the_worst() {
        let mut test = sample();
        assert_eq!(test.exit_code(), 1);
        test.rows.remove(0);
        assert_eq!(test.exit_code(), 3);
        test.rows.remove(1);
        assert_eq!(test.exit_code(), 0);
        let figure = &mut test.rows[0].figures[0];
        figure.interval = Some(Interval { low: 1e7, high: 6e7 });
        assert_eq!((test.count(State::CannotTell), test.exit_code()), (1, 0));
        test.interrupted = true;
        assert_eq!(test.exit_code(), 130);
        assert_eq!(SelfTest::default().exit_code(), 4);
    }
}
