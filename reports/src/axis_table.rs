//! Tables of one subject each, with the values of an axis as rows.
//!
//! Never compares by turns, which relate the subjects of one case: only the trials by themselves are
//! kept, until the last case of their scenario is there.

use std::collections::{BTreeMap, HashMap};

use crate::case_table::CaseTable;
use crate::columns::Rows;
use crate::crossover::UNSURE;
use crate::figures::{Cell, spoils_others};
use crate::record::{AxisValue, Pass, Record};
use crate::scale::Scale;
use crate::table::{Part, Tint};
use crate::view::View;

/// What is kept of scenarios that are not over yet, by run and scenario.
#[derive(Debug, Default)]
pub(crate) struct AxisTables(BTreeMap<(String, String), Kept>);

#[derive(Debug, Default)]
struct Kept {
    axis: String,
    /// Of the axis, in the order in which their first cases ended.
    values: Vec<String>,
    /// The combinations of the other axes' values, in the same order, and their places there.
    others: Vec<Vec<AxisValue>>,
    places: HashMap<Vec<AxisValue>, usize>,
    /// By subject and place: what one table is made of.
    records: BTreeMap<(String, usize), Vec<Record>>,
}

/// The axis whose values are to be rows, if the case of these records has it: that of the option, else
/// that of the scenario.
pub(crate) fn axis(record: &Record, view: &View) -> Option<String> {
    let asked = [&view.rows, &record.rows_axis].into_iter().flatten();
    asked.into_iter().find(|axis| record.case.iter().any(|it| it.axis == **axis)).cloned()
}

/// The records that a table of this kind is made of. A trial in turns counts if it went so wrong
/// that the others cannot be believed.
pub(crate) fn used(records: &[Record]) -> impl Iterator<Item = &Record> + Clone {
    records.iter().filter(|it| it.pass == Pass::Alone || spoils_others(it.status))
}

impl AxisTables {
    /// All records must be of one scenario case.
    pub(crate) fn add(&mut self, axis: &str, records: &[Record]) {
        let Some(first) = records.first() else { return };
        let kept = self.0.entry((first.run_id.clone(), first.scenario.clone())).or_default();
        axis.clone_into(&mut kept.axis);
        let (own, others): (Vec<_>, Vec<_>) =
            first.case.iter().cloned().partition(|it| it.axis == axis);
        let value = own.into_iter().map(|it| it.value).next().unwrap_or_default();
        if !kept.values.contains(&value) {
            kept.values.push(value.clone());
        }
        let place = *kept.places.entry(others.clone()).or_insert(kept.others.len());
        if place == kept.others.len() {
            kept.others.push(others);
        }
        for record in used(records) {
            let mut record = Record { turns: None, ..record.clone() };
            // In such a table the case is what the subject is in others.
            let case = format!("{axis}={value}");
            let subject = std::mem::replace(&mut record.subject.id, case);
            kept.records.entry((subject, place)).or_default().push(record);
        }
    }

    pub(crate) fn end(
        &mut self,
        run_id: &str,
        scenario: &str,
        view: &View,
        width: usize,
    ) -> Tables {
        let kept = self.0.remove(&(run_id.to_owned(), scenario.to_owned()));
        kept.map_or_else(Vec::new, |kept| kept.tables(view, width))
    }

    /// Those of all scenarios that are left.
    pub(crate) fn end_all(&mut self, view: &View, width: usize) -> Tables {
        let kept = std::mem::take(&mut self.0).into_values();
        kept.flat_map(|kept| kept.tables(view, width)).collect()
    }
}

type Tables = Vec<CaseTable>;

impl Kept {
    /// Subject by subject.
    fn tables(mut self, view: &View, width: usize) -> Tables {
        if let Some(scale) = Scale::of(self.values.iter().map(String::as_str)) {
            self.values.sort_by(|a, b| scale.position(a).total_cmp(&scale.position(b)));
        }
        let rows = Rows::Values(&self.axis);
        let row = |cell: &Cell| {
            let value = rows.name(&cell.subject.id);
            self.values.iter().position(|it| it == value)
        };
        let mut tables = Vec::new();
        let mut is_unsure = false;
        for ((subject, place), records) in &self.records {
            let mut cells = Cell::all_of(records);
            cells.sort_by_key(row);
            let trials = cells.iter().filter(|cell| cell.figures().is_some());
            let trials = trials.map(|it| it.trials.iter().filter(|it| it.has_figures()).count());
            is_unsure |= trials.clone().count() > 1 && trials.clone().min() == Some(1);
            let others = self.others[*place].iter().map(ToString::to_string);
            let labels = [subject.clone()].into_iter().chain(others).collect();
            tables.extend(CaseTable::of(&cells, rows, labels, view, width));
        }
        if let Some(last) = tables.last_mut().filter(|_| is_unsure) {
            last.parts.push(Part::Text(Tint::Dim, UNSURE.to_owned()));
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::style::Style;
    use crate::terminal;
    use crate::tests::sample::{self, InTurns};

    fn at(values: &[(&str, &str)], mut records: Vec<Record>) -> Vec<Record> {
        let value =
            |(axis, at): &(&str, &str)| AxisValue { axis: (*axis).into(), value: (*at).into() };
        for record in &mut records {
            record.case = values.iter().map(value).collect();
        }
        records
    }

    /// Trials of one subject, whose rates differ by some per cent.
    fn trials(subject: &str, count: u32, rate: f64, apart: f64) -> Vec<Record> {
        let drift = |trial: u32| 1.0 + apart * (f64::from(trial * 2 % 5) - 2.0);
        (0..count).map(|it| sample::ok(subject, it, rate * drift(it), 30)).collect()
    }

    fn drawn(axis: &str, cases: &[Vec<Record>], style: Style) -> String {
        let mut tables = AxisTables::default();
        cases.iter().for_each(|records| tables.add(axis, records));
        let first = &cases[0][0];
        let tables = tables.end(&first.run_id, &first.scenario, &View::default(), style.width);
        let texts = tables.iter().map(|table| terminal::draw(&table.parts, style));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// What is slow, what is about as good as the best, and what cannot run.
    fn ways_to_wait() -> Vec<Vec<Record>> {
        let way = |how: &str, a: f64, apart: f64, b: Vec<Record>| {
            at(&[("how", how)], [b, trials("a/b/epoll", 5, a, apart)].concat())
        };
        let reason = Some("no pool for blocking work");
        let other = |rate| trials("d/e/f", 5, rate, 0.01);
        let no_pool = sample::no_figures("d/e/f", 0, Status::Unsupported, reason);
        vec![
            way("blocking", 100.0, 0.01, other(99.0)),
            way("await", 900.0, 0.01, other(800.0)),
            way("forced", 880.0, 0.03, vec![]),
            way("offload", 890.0, 0.004, vec![no_pool]),
        ]
    }

    #[test]
    fn each_subject_has_a_row_for_each_value() {
        insta::assert_snapshot!(drawn("how", &ways_to_wait(), Style::PLAIN));
    }

    #[test]
    fn eighty_columns_keep_the_ratio_to_the_best_row() {
        let style = Style { color: false, width: 80 };
        insta::assert_snapshot!(drawn("how", &ways_to_wait()[..2], style));
    }

    #[test]
    fn numbers_ascend_and_one_trial_is_not_sure() {
        let case = |workload: &str, connections: &str, how: &str, rate| {
            let mut records = trials("a/b/c", 1, rate, 0.0);
            records[0].workload = format!("{workload}, closed loop");
            if connections == "64" {
                records[0].warnings = vec!["it was not steady".to_owned()];
            }
            at(&[("connections", connections), ("how", how)], records)
        };
        let mut cases: Vec<Vec<Record>> = ["1024", "8", "64"]
            .into_iter()
            .zip([600.0, 50.0, 300.0])
            .flat_map(|(connections, rate)| {
                let workload = format!("{connections} clients");
                ["await", "blocking"].map(|how| case(&workload, connections, how, rate))
            })
            .collect();
        cases.pop();
        insta::assert_snapshot!(drawn("connections", &cases, Style::PLAIN));
    }

    #[test]
    fn rows_without_figures_keep_their_reasons() {
        let crashed =
            || sample::no_figures("a/b/c", 0, Status::Crashed, Some("killed by signal 6"));
        let never = || sample::no_figures("d/e/f", 0, Status::Unsupported, Some("no ring here"));
        let cases = [
            at(&[("size", "1MiB")], [trials("a/b/c", 2, 10.0, 0.01), vec![never()]].concat()),
            at(&[("size", "4KiB")], vec![crashed(), never()]),
        ];
        insta::assert_snapshot!(drawn("size", &cases, Style::PLAIN));
    }

    #[test]
    fn turns_count_only_where_they_go_wrong() {
        let case = |how: &str, speed: f64| {
            let turns = InTurns::new(10).records(&[("a/b/c", 5_000.0 * speed)]);
            at(&[("how", how)], [turns, trials("a/b/c", 3, 100.0 * speed, 0.01)].concat())
        };
        let mut cases = [case("await", 3.0), case("blocking", 1.0)];
        let text = drawn("how", &cases, Style::PLAIN);
        assert!(text.contains(" 300 ±") && !text.contains("turns"), "{text}");
        (cases[1][2].status, cases[1][2].turns) = (Status::Crashed, None);
        let text = drawn("how", &cases, Style::PLAIN);
        assert!(text.contains("\n blocking") && text.contains("crashed 1 of"), "{text}");
    }
}
