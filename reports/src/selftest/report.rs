//! A whole self-test: its rows, what they come to, and the three ways to write it.
//!
//! Never hides a row: one that was not measured stands there with its reason.

use serde::Serialize;
use serde_json::{Value, json};

use super::row::{Bound, Missing, Row, State};
use super::table;
use crate::format::Format;
use crate::interval::Interval;
use crate::paint::Style;

#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    pub rows: Vec<Row>,
    /// Those that were to be measured, by id.
    pub subjects: Vec<String>,
    /// Subjects that could not even be asked.
    pub broken: Vec<Missing>,
    pub seed: u64,
    pub quick: bool,
    pub interrupted: bool,
    pub took_ns: u64,
    /// CPU time that the host gave to others meanwhile, as a share; where the system tells.
    pub steal: Option<f64>,
}

#[derive(Serialize)]
struct RowOut<'a> {
    key: &'a str,
    what: &'a str,
    demand: Value,
    unit: super::row::Unit,
    state: State,
    reached: Option<f64>,
    interval: Option<Interval>,
    worst_subject: Option<&'a str>,
    samples: u64,
    figures: &'a [super::row::Figure],
    missing: &'a [Missing],
    notes: &'a [String],
}

impl SelfTest {
    pub fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state() == state).count()
    }

    /// 0 nothing missed, 1 something not reached, 3 something could not be measured, 4 there was
    /// nothing to measure, 130 interrupted. What cannot be told is no miss: a self-test on a
    /// machine that measures well would fail by chance otherwise.
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

    pub fn write(&self, format: Format, style: Style) -> String {
        match format {
            Format::Markdown => table::page(self),
            Format::Json => self.json(),
            _ => table::draw(self, style),
        }
    }

    fn json(&self) -> String {
        let rows: Vec<RowOut> = self.rows.iter().map(row_out).collect();
        let whole = json!({
            "seed": self.seed,
            "quick": self.quick,
            "interrupted": self.interrupted,
            "took_ns": self.took_ns,
            "steal": self.steal,
            "subjects": self.subjects,
            "broken": self.broken,
            "rows": rows,
        });
        format!("{whole:#}\n")
    }
}

fn row_out(row: &Row) -> RowOut<'_> {
    RowOut {
        key: &row.key,
        what: &row.what,
        demand: match row.bound {
            Bound::AtLeast(least) => json!({ "at_least": least }),
            Bound::AtMost(most) => json!({ "at_most": most }),
        },
        unit: row.unit,
        state: row.state(),
        reached: row.reached(),
        interval: row.interval(),
        worst_subject: row.worst().map(|figure| &*figure.subject),
        samples: row.samples(),
        figures: &row.figures,
        missing: &row.missing,
        notes: &row.notes,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::selftest::row::Unit;

    pub(in crate::selftest) fn sample() -> SelfTest {
        let mut found = Row::new(
            "stalls.found.5ms",
            "stalls found, θ = 5 ms",
            Bound::AtLeast(0.995),
            Unit::Share,
        );
        found.add("tokio/multi-thread/epoll", Some(1.0), 200);
        found.add("smol/multi-thread/epoll", Some(0.97), 200);
        found.pass_over("mio/callbacks/epoll", "this executor has no timers");
        found.note("made by spinning, sleeping and reading in turn");
        let mut overhead = Row::new(
            "trial.overhead",
            "overhead of a trial",
            Bound::AtMost(5e7),
            Unit::Nanoseconds,
        );
        overhead.add("tokio/multi-thread/epoll", Some(1.23e7), 4);
        let mut created =
            Row::new("threads.created", "threads created", Bound::AtMost(0.0), Unit::Count);
        created.cannot("the kernel takes no program of ours: bpf(2) is not allowed");
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
    fn the_exit_code_tells_the_worst() {
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

    #[test]
    fn json_has_every_row_with_its_figures() {
        let value: Value =
            serde_json::from_str(&sample().write(Format::Json, Style::PLAIN)).unwrap();
        let rows = value["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0]["state"], "not_reached");
        assert_eq!(rows[0]["demand"]["at_least"], 0.995);
        assert_eq!(rows[0]["worst_subject"], "smol/multi-thread/epoll");
        assert_eq!(rows[2]["reached"], Value::Null);
        assert_eq!(rows[2]["missing"][0]["is_failure"], true);
    }
}
