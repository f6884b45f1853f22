//! The tables below that of a case with a rate that changes: latency and backlog over that rate.
//!
//! Never judges: at which rate answers are late enough is for the reader.

use std::collections::BTreeSet;

use crate::columns::Row;
use crate::number;
use crate::prose::clean;
use crate::record::{LoadMetrics, Metrics, Pass, RampSlice};
use crate::statistics::median;
use crate::table::{Cell, Column, Part, Table};

/// One for all clients, or for each group of clients that has a ramp.
pub(crate) fn tables(rows: &[Row]) -> Vec<Part> {
    let trials = rows.iter().flat_map(|row| trials(row));
    let groups = trials.flat_map(|metrics| &metrics.groups);
    let groups: BTreeSet<&str> = groups.map(|group| group.name.as_str()).collect();
    let of_all = table(rows, None);
    of_all.into_iter().chain(groups.into_iter().filter_map(|it| table(rows, Some(it)))).collect()
}

fn trials<'a>(row: &'a Row<'_>) -> impl Iterator<Item = &'a Metrics> {
    row.cell.of_pass(Pass::Alone).filter_map(|record| record.valid_metrics())
}

/// Of all clients, or of a group of them.
fn load<'a>(metrics: &'a Metrics, group: Option<&str>) -> Option<&'a LoadMetrics> {
    match group {
        None => metrics.load.as_ref(),
        Some(name) => metrics.groups.iter().find(|group| group.name == name)?.load.as_ref(),
    }
}

/// Three lines for each subject, in the order of the rows; `None` of any other load.
fn table(rows: &[Row], group: Option<&str>) -> Option<Part> {
    let ramps: Vec<(&Row, Vec<&[RampSlice]>)> = rows
        .iter()
        .map(|row| {
            let ramps = trials(row).filter_map(|metrics| Some(&*load(metrics, group)?.ramp));
            (row, ramps.filter(|ramp| !ramp.is_empty()).collect())
        })
        .filter(|(_, ramps): &(_, Vec<_>)| !ramps.is_empty())
        .collect();
    let rates = ramps.first()?.1.first()?.iter();
    let heading = |slice: &RampSlice| ["".to_owned(), number::rate(slice.asked_per_sec as f64)];
    let columns = rates.map(|slice| Column { heading: heading(slice), cells: Vec::new() });
    let due = "due at requests/s";
    let heading_of_rows = group.map_or(due.to_owned(), |name| format!("{}, {due}", clean(name)));
    let mut table = Table { columns: columns.collect(), ..Table::new(&[&heading_of_rows]) };
    for (row, ramps) in ramps {
        let duration = |ns: f64| number::duration(ns as u64);
        let p50 = cells(&ramps, |slice| latency(slice, 0.5, slice.p50_ns), duration);
        let p99 = cells(&ramps, |slice| latency(slice, 0.99, slice.p99_ns), duration);
        let backlog = |slice: &RampSlice| {
            (slice.due > 0).then_some(Figure { value: slice.backlog_peak as f64, is_least: false })
        };
        let backlog = cells(&ramps, backlog, |count| number::count(count as u64));
        let id = clean(&row.cell.subject.id);
        for (name, cells) in [("p50", p50), ("p99", p99), ("backlog", backlog)] {
            table.push(format!("{id} {name}"), cells);
        }
    }
    Some(Part::Table(table))
}

struct Figure {
    value: f64,
    /// The true one may be larger.
    is_least: bool,
}

/// Where fewer requests than the quantile's share were answered, it is one of those that were not:
/// their age when the window closed is less than their latency.
fn latency(slice: &RampSlice, share: f64, ns: u64) -> Option<Figure> {
    let is_least = (slice.answered as f64) < slice.due as f64 * share;
    (ns > 0).then_some(Figure { value: ns as f64, is_least })
}

/// One for each slice: the median of the trials that have that figure.
fn cells(
    ramps: &[&[RampSlice]],
    figure: impl Fn(&RampSlice) -> Option<Figure>,
    written: impl Fn(f64) -> String,
) -> Vec<Cell> {
    let slices = ramps.iter().map(|ramp| ramp.len()).max().unwrap_or_default();
    let of_slice = |index: usize| {
        let figures = ramps.iter().filter_map(|ramp| figure(ramp.get(index)?));
        let figures: Vec<Figure> = figures.collect();
        let values: Vec<f64> = figures.iter().map(|figure| figure.value).collect();
        let least = if figures.iter().any(|figure| figure.is_least) { "≥ " } else { "" };
        Cell::maybe(median(&values).map(|value| format!("{least}{}", written(value))))
    };
    (0..slices).map(of_slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case_table::CaseTable;
    use crate::record::Record;
    use crate::style::Style;
    use crate::terminal;
    use crate::tests::sample;
    use crate::view::View;

    /// The second subject is late from the middle on.
    fn records() -> Vec<Record> {
        let slice = |index: u64, late: bool| RampSlice {
            asked_per_sec: 1_450 + 1_950 * index,
            due: 100,
            answered: if late && index > 4 { 140 - 10 * index } else { 100 },
            p50_ns: if late && index > 4 { 40_000_000 } else { 90_000 + 1_000 * index },
            p99_ns: if late && index > 4 { 80_000_000 * index } else { 400_000 },
            backlog_peak: if late && index > 4 { 1_000 * index } else { 0 },
        };
        let trial = |id: &str, trial: u32, late: bool| {
            sample::edit(sample::ok(id, trial, 8_000.0, 300), |metrics| {
                let ramp = (0..10).map(|index| slice(index, late)).collect();
                metrics.load = Some(LoadMetrics { ramp, ..sample::load(64, 64, Some(8_000)) });
            })
        };
        (0..3)
            .flat_map(|number| {
                [
                    trial("tokio/current-thread/epoll", number, false),
                    trial("smol/current-thread/epoll", number, true),
                ]
            })
            .collect()
    }

    #[test]
    fn latency_stands_over_the_rate() {
        for width in [120, 80] {
            let table = CaseTable::new(&records(), &View::default(), width).unwrap();
            let text = terminal::draw(&table.parts[2..3], Style { color: false, width });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            if width == 120 {
                insta::assert_snapshot!(text);
            }
        }
    }

    #[test]
    fn other_loads_have_no_such_table() {
        let table = CaseTable::new(&sample::open_loop(), &View::default(), 120).unwrap();
        let tables = table.parts.iter().filter(|part| matches!(part, Part::Table(_)));
        assert_eq!(tables.count(), 1);
    }
}
