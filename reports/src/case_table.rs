//! The report of one scenario case, or of one subject in several: its table, and what stands above and
//! beneath it.
//!
//! Never leaves a row out: without figures it stands beneath, with its status and reason.

use std::collections::BTreeSet;

use crate::columns::{Row, Rows, choose, columns, sort};
use crate::figures::{Cell, Outcome, severity, status_tint};
use crate::number::{self, counted};
use crate::prose::clean;
use crate::ramp;
use crate::ranking::{Ranking, Standing};
use crate::record::{Cpus, Metrics, Pass, Record, Status};
use crate::remarks::remarks;
use crate::series::Figure;
use crate::shared_remarks::{self, Remark};
use crate::statistics::median;
use crate::table::{Heading, Item, Part, Table, Tint};
use crate::terminal::Block;
use crate::view::View;

pub(crate) struct CaseTable {
    pub scenario: String,
    /// What decides the order.
    pub by: Figure,
    /// Subjects that have figures, best first, with how they stand to the best.
    pub standings: Vec<(String, Option<Standing>)>,
    /// With the reasons.
    pub without_figures: Vec<(String, Status, String)>,
    /// The names of the columns.
    pub columns: BTreeSet<&'static str>,
    /// Those of columns that did not fit.
    pub left_out: BTreeSet<&'static str>,
    /// What is to be remarked once, at the end of the run.
    pub shared: Vec<Remark>,
    pub parts: Vec<Part>,
}

impl CaseTable {
    /// `None` of no records. All must be of one scenario case.
    pub(crate) fn new(records: &[Record], view: &View, width: usize) -> Option<Self> {
        let labels = records.first()?.case.iter().map(ToString::to_string).collect();
        Self::of(&Cell::all_of(records), Rows::Subjects, labels, view, width)
    }

    /// `labels` are what all rows have in common.
    pub(crate) fn of(
        cells: &[Cell],
        are: Rows,
        labels: Vec<String>,
        view: &View,
        width: usize,
    ) -> Option<Self> {
        let records = || cells.iter().flat_map(|cell| cell.trials.iter().copied());
        let first = records().next()?;
        let (heading, noun, ranking) = match are {
            Rows::Subjects => ("subject", "subject", Ranking::new(cells)),
            Rows::Values(axis) => (axis, "row", Ranking::of_cases(cells)),
        };
        let mut order = ranking.order;
        let is_by_name = are != Rows::Subjects && matches!(view.sort, None | Some("subject"));
        if is_by_name {
            order.sort_unstable();
        }
        let row = |index: &usize| {
            let cell = &cells[*index];
            Some(Row { cell, figures: cell.figures()?, compared: ranking.compared[*index] })
        };
        let mut rows: Vec<Row> = order.iter().filter_map(row).collect();
        if let Some(by) = view.sort.filter(|_| !is_by_name) {
            sort(&mut rows, by);
        }
        let thresholds = records().filter_map(Record::valid_metrics);
        let mut thresholds: Vec<u64> = thresholds.map(|it| it.stalls.threshold_ns).collect();
        thresholds.dedup();
        let operation = records().find_map(Record::operation).filter(|_| !rows.is_empty());
        let columns = operation.map_or_else(Vec::new, |operation| {
            columns(operation, &thresholds, ranking.by, &rows, are)
        });
        let mut missing = without_figures(cells);
        if are == Rows::Subjects {
            missing.sort_by_key(|(cell, ..)| &cell.subject.id);
        }
        missing.sort_by_key(|(_, status, _)| severity(*status));
        let mut table = Table {
            heading: clean(heading),
            names: rows.iter().map(|row| clean(are.name(&row.cell.subject.id))).collect(),
            ..table_of(grouped(&missing, are, noun).into_iter())
        };
        let mut left_out = BTreeSet::new();
        let block = Block::beside_names(&table, width);
        let columns = choose(columns, &view.columns, block, &mut left_out);
        let names = columns.iter().map(|(name, _)| *name).collect();
        table.columns = columns.into_iter().map(|(_, column)| column).collect();
        let heading = Heading {
            title: clean(&first.scenario),
            labels: labels.iter().map(|label| clean(label)).collect(),
            facts: vec![workload(cells)],
            text: clean(&first.question),
        };
        let why = if are == Rows::Subjects { "order" } else { "best" };
        let why = ranking.why.as_deref().map(|text| Item::new(Tint::Bold, why, clean(text)));
        let notes: Vec<Item> = why.into_iter().chain(remarks(cells)).collect();
        let mut parts = vec![Part::Heading(heading), Part::Table(table)];
        parts.extend(ramp::tables(&rows));
        parts.extend((!notes.is_empty()).then_some(Part::List(notes)));
        Some(Self {
            scenario: clean(&first.scenario),
            by: ranking.by,
            standings: rows
                .iter()
                .map(|row| (clean(&row.cell.subject.id), row.compared.map(|best| best.standing)))
                .collect(),
            without_figures: missing
                .iter()
                .map(|(cell, status, text)| (clean(&cell.subject.id), *status, (*text).to_owned()))
                .collect(),
            columns: names,
            left_out,
            shared: shared_remarks::of_case(cells),
            parts,
        })
    }
}

/// A table that so far holds the rows without figures.
pub(crate) fn table_of(without_figures: impl Iterator<Item = Item>) -> Table {
    Table {
        sentences: without_figures.collect(),
        sentences_heading: "why there are no figures".to_owned(),
        ..Table::new(&["subject"])
    }
}

fn without_figures<'c>(cells: &'c [Cell]) -> Vec<(&'c Cell<'c>, Status, &'c str)> {
    let missing = |cell: &'c Cell<'c>| match &cell.outcome {
        Outcome::Measured(_) => None,
        Outcome::NoFigures { status, text } => Some((cell, *status, text.as_str())),
    };
    cells.iter().filter_map(missing).collect()
}

/// One item for each reason: of one row, or of several with their names behind it.
fn grouped(missing: &[(&Cell, Status, &str)], are: Rows, noun: &str) -> Vec<Item> {
    let mut reasons: Vec<(Status, &str, Vec<String>)> = Vec::new();
    for (cell, status, text) in missing {
        let name = clean(are.name(&cell.subject.id));
        match reasons.iter_mut().find(|(_, known, _)| known == text) {
            Some((.., names)) => names.push(name),
            None => reasons.push((*status, text, vec![name])),
        }
    }
    let item = |(status, text, names): (Status, &str, Vec<String>)| match &*names {
        [one] => Item::new(status_tint(status), one, text),
        many => {
            let text = format!("{text} ({})", many.join(", "));
            Item::new(status_tint(status), counted(many.len() as u64, noun), text)
        }
    };
    reasons.into_iter().map(item).collect()
}

/// `64 B, closed loop, 3 trials × 1 s, 10 starts in turns`.
fn workload(cells: &[Cell]) -> String {
    let records = || cells.iter().flat_map(|cell| cell.trials.iter().copied());
    let most = |pass| cells.iter().map(|cell| cell.of_pass(pass).count()).max().unwrap_or_default();
    let lengths: Vec<f64> = records()
        .filter_map(Record::valid_metrics)
        .map(|metrics: &Metrics| metrics.elapsed_ns as f64)
        .collect();
    let length = median(&lengths).map_or_else(String::new, |length| {
        // Two digits were asked for; the rest is how late the window closed.
        let unit = 10_f64.powf(length.max(10.0).log10().floor() - 1.0);
        format!(" × {}", number::round_duration(((length / unit).round() * unit) as u64))
    });
    let number_of = |count: usize, noun: &str, rest: &str| match count {
        0 => String::new(),
        count => counted(count as u64, noun) + rest,
    };
    let trials = number_of(most(Pass::Alone), "trial", &length);
    // A reference takes part in every group of a start.
    let in_turns = records().filter(|record| record.valid_turns().is_some());
    let starts = in_turns.map(|record| record.trial);
    let starts = starts.max().map_or(0, |last| last as usize + 1);
    let starts = number_of(starts, "start", " in turns");
    let cpus = records().find_map(|record| record.cpus.as_ref());
    let parts = [work(records()), trials, starts, cpus.map_or_else(String::new, places)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// What the work of all cases has in common: `64 B, closed loop`.
fn work<'a>(mut records: impl Iterator<Item = &'a Record>) -> String {
    let parts = |record: &'a Record| record.workload.split(", ");
    let mut common: Vec<&str> = records.next().into_iter().flat_map(parts).collect();
    for record in records {
        common.retain(|part| parts(record).any(|other| other == *part));
    }
    clean(&common.join(", "))
}

/// `subject on CPU 0, driver on CPU 1`.
fn places(cpus: &Cpus) -> String {
    let on = |who: &str, cpus: &[usize]| match cpus {
        [one] => format!("{who} on CPU {one}"),
        many => format!("{who} on CPUs {}", number::ranges(many)),
    };
    match (cpus.subject.as_slice(), cpus.driver.as_slice()) {
        ([], _) => String::new(),
        (subject, []) => on("subject", subject),
        (subject, driver) if subject == driver => on("subject and driver", subject),
        (subject, driver) => format!("{}, {}", on("subject", subject), on("driver", driver)),
    }
}
