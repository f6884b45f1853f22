//! A comparison as parts of a report: a table for each scenario case, and a summary.
//!
//! Never decides about a verdict.

use std::collections::HashMap;

use super::metric::{CPU, P99, STALLS, THREADS, THROUGHPUT, shown};
use super::outcome::{MetricSummary, metrics};
use super::{Basis, Change, ComparedCell, Comparison, Doubt, Names, State, Verdict};
use crate::case_table::table_of;
use crate::number::{self, counted};
use crate::prose::{clean, per_second};
use crate::remarks::{note, warning};
use crate::table::{Cell, Column, Heading, Item, Part, Table, Tint};

pub(super) fn parts(comparison: &Comparison, names: &Names) -> Vec<Part> {
    let unlike = names.unlike.iter().map(|text| Item::new(Tint::Doubtful, "unlike", clean(text)));
    let heads = heads(comparison, names).into_iter().chain(unlike);
    let mut parts = vec![Part::Heading(Heading::new("comparison")), Part::List(heads.collect())];
    for case in cases(comparison) {
        parts.extend(case_parts(comparison, &case));
    }
    let summary = Heading { facts: title(comparison), ..Heading::new("summary") };
    parts.push(Part::Heading(summary));
    parts.push(Part::Table(summary_table(comparison)));
    parts.push(Part::List(changed(comparison)));
    parts.push(Part::Text(Tint::Dim, explanation(comparison)));
    parts.retain(|part| match part {
        Part::List(items) => !items.is_empty(),
        Part::Table(table) => !table.names.is_empty() || !table.sentences.is_empty(),
        Part::Heading(_) | Part::Text(..) => true,
    });
    parts
}

fn heads(comparison: &Comparison, names: &Names) -> [Item; 3] {
    let options = &comparison.options;
    let threshold = number::short_percent(options.threshold);
    let by = match &options.metric {
        Some(metric) => format!("{metric}, beyond {threshold}"),
        None => format!("the sharpest figure of each cell, beyond {threshold}"),
    };
    let item = |name, text: &str| Item::new(Tint::Dim, name, clean(text));
    [item("BASE", &names.base), item("NEW", &names.new), item("verdict by", &by)]
}

/// The cells of each case, in the order the cases first appear.
fn cases(comparison: &Comparison) -> Vec<Vec<&ComparedCell>> {
    let mut cases: Vec<Vec<&ComparedCell>> = Vec::new();
    let mut places = HashMap::new();
    for cell in &comparison.cells {
        let place = *places.entry(cell.key.case()).or_insert(cases.len());
        if place == cases.len() {
            cases.push(Vec::new());
        }
        cases[place].push(cell);
    }
    cases
}

fn case_parts(comparison: &Comparison, cells: &[&ComparedCell]) -> [Part; 3] {
    let key = &cells[0].key;
    let heading = Heading {
        labels: key.case.iter().map(|axis| clean(&axis.to_string())).collect(),
        ..Heading::new(clean(&key.scenario))
    };
    let (measured, others): (Vec<&ComparedCell>, Vec<&ComparedCell>) =
        cells.iter().copied().partition(|cell| is_measured(cell));
    let table = Table {
        names: measured.iter().map(|cell| clean(&cell.key.subject)).collect(),
        columns: if measured.is_empty() { Vec::new() } else { columns(comparison, &measured) },
        ..table_of(others.iter().map(|cell| no_figures(cell)))
    };
    let notes = warned(&measured).into_iter().chain(unrelated(&measured));
    [Part::Heading(heading), Part::Table(table), Part::List(notes.collect())]
}

fn is_measured(cell: &ComparedCell) -> bool {
    [&cell.base, &cell.new].iter().all(|state| **state == Some(State::Measured))
}

/// A cell that has no figures on one side or on both.
fn no_figures(cell: &ComparedCell) -> Item {
    let (base, new) = (
        ComparedCell::status_text(cell.base.as_ref()),
        ComparedCell::status_text(cell.new.as_ref()),
    );
    let text = match (cell.verdict, &cell.base, &cell.new) {
        (Some(verdict), ..) => format!("{}: {}", verdict.word(), from_to(base, new)),
        (None, Some(_), None) => "only in BASE".to_owned(),
        (None, None, _) => "only in NEW".to_owned(),
        _ if base == new => format!("in both {new}"),
        _ => format!("no figures: {}", from_to(base, new)),
    };
    let tint = match cell.verdict {
        Some(Verdict::Regressed) => Tint::Bad,
        Some(Verdict::CannotTell) => Tint::Doubtful,
        _ => Tint::Dim,
    };
    Item::new(tint, clean(&cell.key.subject), text)
}

fn from_to(base: &str, new: &str) -> String {
    match (base, new) {
        ("ok", new) => format!("was ok, now {new}"),
        (base, "ok") => format!("now ok, was {base}"),
        (base, new) => format!("was {base}, now {new}"),
    }
}

fn columns(comparison: &Comparison, cells: &[&ComparedCell]) -> Vec<Column> {
    let threshold = comparison.options.threshold;
    let operation = clean(&cells[0].operation);
    let mut columns = Vec::new();
    let mut add = |heading: [&str; 2], cell: &dyn Fn(&ComparedCell) -> Cell| {
        columns.push(Column::new(heading, cells.iter().map(|one| cell(one))));
    };
    let per_second = per_second(&operation);
    let name = |metric: &str| match metric {
        THROUGHPUT => per_second.clone(),
        CPU => format!("CPU per {operation}"),
        metric => clean(metric),
    };
    let of = |cell: &ComparedCell, metric: &str| cell.change(metric).copied();
    add(["", "decided by"], &|cell| {
        Cell::words(cell.decided_by.as_deref().map_or_else(String::new, name))
    });
    add(["", "base → new"], &|cell| {
        let metric = cell.decided_by.as_deref().unwrap_or(THROUGHPUT);
        values(metric, of(cell, metric))
    });
    add(["NEW/BASE", "ratio (99 %)"], &|cell| {
        cell.deciding().map_or_else(Cell::none, with_interval)
    });
    add(["", "verdict"], &|cell| verdict(cell, threshold));
    add(["smallest", "visible"], &|cell| {
        let smallest = cell.deciding().and_then(|change| change.smallest_visible(threshold));
        Cell::maybe(smallest.map(number::percent_above))
    });
    for (metric, heading) in [
        (THROUGHPUT, [per_second.clone(), "ratio".to_owned()]),
        (CPU, [format!("CPU per {operation}"), "ratio".to_owned()]),
        ("latency.p50", ["latency".to_owned(), "p50 ratio".to_owned()]),
        (P99, ["latency".to_owned(), "p99 ratio".to_owned()]),
        ("impact.p99", ["ping".to_owned(), "p99 ratio".to_owned()]),
    ] {
        let decides_all = cells.iter().all(|cell| cell.decided_by.as_deref() == Some(metric));
        if !decides_all && cells.iter().any(|cell| cell.change(metric).is_some()) {
            add([&heading[0], &heading[1]], &|cell| judged(of(cell, metric), threshold));
        }
    }
    // Shown only if they differ, because mostly they are the same in both runs.
    for (metric, heading) in [(THREADS, "threads"), (STALLS, "stalls/trial")] {
        let differs = |cell: &&ComparedCell| {
            cell.change(metric)
                .is_some_and(|change| shown(metric, change.base) != shown(metric, change.new))
        };
        let is_asked_for = comparison.options.metric.as_deref() == Some(metric);
        if !is_asked_for && cells.iter().any(differs) {
            add([heading, "base → new"], &|cell| values(metric, of(cell, metric)));
        }
    }
    columns
}

fn values(metric: &str, change: Option<Change>) -> Cell {
    let Some(change) = change else { return Cell::none() };
    let (base, new) = (shown(metric, change.base), shown(metric, change.new));
    let arrow = if base == new { String::new() } else { format!(" → {new}") };
    Cell::number(base).with(arrow)
}

fn with_interval(change: &Change) -> Cell {
    Cell::fine_ratio(change.ratio(), change.interval())
}

fn verdict(cell: &ComparedCell, threshold: f64) -> Cell {
    let Some(verdict) = cell.verdict else { return Cell::words(number::NONE) };
    let below = cell.deciding().and_then(|change| change.below(threshold));
    let words = match (verdict, below, cell.doubt) {
        (Verdict::Same, Some(below), _) => format!("same (< {})", number::percent_above(below)),
        (_, _, Some(Doubt::Noise)) => "cannot tell: noise".to_owned(),
        (_, _, Some(Doubt::Reference)) => "cannot tell: the reference".to_owned(),
        (_, _, Some(Doubt::Others)) => "cannot tell: as the others".to_owned(),
        _ => verdict.word().to_owned(),
    };
    Cell::words(words).tinted(tint(verdict))
}

/// A figure that does not decide, with a word if it changed.
fn judged(change: Option<Change>, threshold: f64) -> Cell {
    let Some(change) = change else { return Cell::none() };
    let verdict = change.verdict(threshold);
    let word = match verdict {
        Verdict::Regressed => " worse",
        Verdict::Improved => " better",
        Verdict::Same => "",
        Verdict::CannotTell => " ?",
    };
    Cell::maybe(change.ratio().map(number::ratio)).with(word).tinted(tint(verdict))
}

fn tint(verdict: Verdict) -> Tint {
    match verdict {
        Verdict::Regressed => Tint::Bad,
        Verdict::Improved => Tint::Good,
        Verdict::Same | Verdict::CannotTell => Tint::Plain,
    }
}

/// The cells in which a change of the machine between the runs does not cancel out.
fn unrelated(cells: &[&ComparedCell]) -> Vec<Item> {
    const TEXTS: [(Basis, &str); 2] = [
        (
            Basis::Absolute,
            "compared by absolute figures, because the same reference did not take turns with it \
             in both runs: what changed on the machine in between is among them",
        ),
        (
            Basis::Others,
            "compared relative to the median change of the others, because the same reference did \
             not take turns with it in both runs: a change that all have in common is taken for \
             the machine's",
        ),
    ];
    let of = |(basis, text): (Basis, &str)| {
        let is_such = |cell: &&&ComparedCell| {
            !cell.is_reference && cell.deciding().is_some_and(|change| change.basis == basis)
        };
        let such: Vec<&str> =
            cells.iter().filter(is_such).map(|cell| cell.key.subject.as_str()).collect();
        let subjects = if such.len() == cells.len() { "all".to_owned() } else { such.join(", ") };
        (!such.is_empty()).then(|| note(&subjects, text))
    };
    TEXTS.into_iter().filter_map(of).collect()
}

/// The cells whose trials carry warnings; the report of that run shows them.
fn warned(cells: &[&ComparedCell]) -> Vec<Item> {
    let mut warned: Vec<(String, Vec<&str>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.verdict != Some(Verdict::Same)) {
        let (base, new) = cell.warned;
        let text = match (base, new) {
            (0, 0) => continue,
            (base, 0) => format!("{} in BASE", counted(base, "trial")),
            (0, new) => format!("{} in NEW", counted(new, "trial")),
            (base, new) => format!("{} in BASE and {new} in NEW", counted(base, "trial")),
        };
        match warned.iter_mut().find(|(known, _)| *known == text) {
            Some((_, subjects)) => subjects.push(&cell.key.subject),
            None => warned.push((text, vec![&cell.key.subject])),
        }
    }
    let item = |(text, subjects): &(String, Vec<&str>)| {
        let text = format!("{text} carried warnings; `quadrant report` shows them");
        warning(&subjects.join(", "), &text)
    };
    warned.iter().map(item).collect()
}

/// `7 cells compared: 1 regressed, 6 same; 2 only in BASE`.
fn title(comparison: &Comparison) -> Vec<String> {
    let counts = comparison.counts();
    let listed = |all: &[(u64, &str)]| {
        let some = all.iter().filter(|(count, _)| *count > 0);
        let some = some.map(|(count, what)| format!("{} {what}", number::count(*count)));
        some.collect::<Vec<_>>().join(", ")
    };
    let compared = match counts.compared() {
        0 => "nothing could be compared".to_owned(),
        cells => format!(
            "{} compared: {}",
            counted(cells, "cell"),
            listed(&[
                (counts.regressed, "regressed"),
                (counts.improved, "improved"),
                (counts.same, "same"),
                (counts.cannot_tell, "cannot tell"),
            ])
        ),
    };
    let left_out = listed(&[
        (counts.without_figures, "without figures in both"),
        (counts.only_in_base, "only in BASE"),
        (counts.only_in_new, "only in NEW"),
    ]);
    [compared, left_out, order(comparison)].into_iter().filter(|fact| !fact.is_empty()).collect()
}

fn order(comparison: &Comparison) -> String {
    let pairs = comparison.pairs;
    if pairs.compared == 0 {
        return String::new();
    }
    format!(
        "of {} of subjects {} in the same order in both runs and {} in the opposite one",
        counted(pairs.compared, "pair"),
        number::count(pairs.confirmed),
        number::count(pairs.contradicted)
    )
}

fn summary_table(comparison: &Comparison) -> Table {
    let mut table = Table::new(&[
        "metric",
        "worse",
        "better",
        "same",
        "cannot tell",
        "geometric mean of NEW/BASE",
        "over",
    ]);
    for MetricSummary { name, counts, ratios } in metrics(&comparison.cells, &comparison.options) {
        let counts = [counts.regressed, counts.improved, counts.same, counts.cannot_tell];
        let mean = Cell::maybe(ratios.value().map(number::fine_ratio));
        let over = Cell::number(counted(ratios.count(), "cell"));
        table.push(clean(&name), counts.map(Cell::count).into_iter().chain([mean, over]));
    }
    table
}

/// Every cell that regressed or improved, once more, so that none has to be searched for.
fn changed(comparison: &Comparison) -> Vec<Item> {
    let of = |verdict: Verdict| {
        let such = comparison.cells.iter().filter(move |cell| cell.verdict == Some(verdict));
        such.map(move |cell| {
            let text = format!("{}: {}", cell_name(cell), why(cell));
            Item::new(tint(verdict), verdict.word(), text)
        })
    };
    [Verdict::Regressed, Verdict::Improved].into_iter().flat_map(of).collect()
}

fn cell_name(cell: &ComparedCell) -> String {
    let axes = cell.key.case.iter().map(ToString::to_string);
    let words: Vec<String> = std::iter::once(cell.key.scenario.clone())
        .chain(axes)
        .chain([cell.key.subject.clone()])
        .collect();
    clean(&words.join(" "))
}

fn why(cell: &ComparedCell) -> String {
    match (cell.decided_by.as_deref(), cell.deciding()) {
        (Some(metric), Some(change)) => format!("{metric} {}", with_interval(change).text()),
        _ => from_to(
            ComparedCell::status_text(cell.base.as_ref()),
            ComparedCell::status_text(cell.new.as_ref()),
        ),
    }
}

fn explanation(comparison: &Comparison) -> String {
    let threshold = number::short_percent(comparison.options.threshold);
    let is_single = |cell: &ComparedCell| {
        cell.deciding().is_some_and(|change| {
            change.interval().is_none() && change.ratio().is_some() && change.new > 0.0
        })
    };
    let single = if comparison.cells.iter().any(is_single) {
        " With a single trial on either side nothing is sure: run with --trials 3 or more."
    } else {
        ""
    };
    format!(
        "regressed, improved (worse, better): all of the 99 % interval of NEW/BASE lies more than \
         {threshold} away from 1, or a cell lost or gained its figures. same (< 4 %): the interval \
         lies within this bound. cannot tell (?): anything else; more starts or trials help. \
         cannot tell: noise: there is a change, and the noise that a run warned of may explain it. \
         smallest visible: a change of this size would have been found.{single}"
    )
}
