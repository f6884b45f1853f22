//! A comparison as tables, one for each scenario case, and what they come to.
//!
//! Never lays out a table by itself: it makes the tables that runs are shown in.

use super::metric::{CPU, P99, STALLS, THREADS, THROUGHPUT, shown};
use super::outcome::MetricSummary;
use super::{Basis, Change, ComparedCell, Comparison, Doubt, Names, State, Verdict};
use crate::case_table::{CaseTable, Ranked, Told};
use crate::closing::{grid, joined, named};
use crate::columns::{CellText, Column, Kind, Tint};
use crate::markdown;
use crate::number;
use crate::paint::{Paint, Style};
use crate::prose::{clean, plural, wrap};
use crate::record::Status;
use crate::remarks::{Remark, Remarks};
use crate::series::Figure;
use crate::terminal;

pub(super) fn draw(comparison: &Comparison, names: &Names, style: Style) -> String {
    let paint = Paint::new(style);
    let mut lines = vec![paint.bold("comparison"), String::new()];
    let heads: Vec<(String, String)> =
        heads(comparison, names).map(|(name, text)| (name.to_owned(), text)).into();
    lines.extend(named(&heads, style, |name| paint.dim(name)));
    if !names.unlike.is_empty() {
        lines.push(String::new());
    }
    for text in &names.unlike {
        lines.extend(terminal::prose(&paint.doubtful("unlike"), "unlike", &clean(text), style));
    }
    lines.push(String::new());
    let mut text = joined(lines);
    for table in tables(comparison) {
        text.push_str(&terminal::draw(&table, style));
        text.push('\n');
    }
    let mut lines = vec![format!("{}   {}", paint.bold("summary"), title(comparison))];
    let rows = summary_rows(comparison);
    if !rows.is_empty() {
        lines.push(String::new());
        lines.extend(grid(&HEADINGS, &rows, &paint));
    }
    for (verdict, cells) in flagged(comparison) {
        lines.push(String::new());
        for (cell, what) in cells {
            let word = verdict.word();
            let painted = match verdict {
                Verdict::Regressed => paint.bad(word),
                _ => paint.good(word),
            };
            lines.extend(terminal::prose(&painted, word, &format!("{cell}: {what}"), style));
        }
    }
    lines.push(String::new());
    lines.extend(wrap(&explanation(comparison), style.width).iter().map(|line| paint.dim(line)));
    text + &joined(lines)
}

pub(super) fn page(comparison: &Comparison, names: &Names) -> String {
    let escape = markdown::escape;
    let mut text = "## Comparison\n\n".to_owned();
    for (name, said) in heads(comparison, names) {
        text.push_str(&format!("- {name}: {}\n", escape(&said)));
    }
    for unlike in &names.unlike {
        text.push_str(&format!("- **unlike**: {}\n", escape(&clean(unlike))));
    }
    text.push('\n');
    for table in tables(comparison) {
        text.push_str(&markdown::write(&table));
        text.push('\n');
    }
    text.push_str(&format!("### Summary: {}\n\n", escape(&title(comparison))));
    let rows = summary_rows(comparison);
    if !rows.is_empty() {
        markdown::row(HEADINGS, &mut text);
        markdown::row(
            HEADINGS.map(|heading| if heading == HEADINGS[0] { ":--" } else { "--:" }),
            &mut text,
        );
        for row in &rows {
            let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
            markdown::row(cells.iter().map(String::as_str), &mut text);
        }
        text.push('\n');
    }
    for (verdict, cells) in flagged(comparison) {
        for (cell, what) in cells {
            let said = escape(&format!("{cell}: {what}"));
            text.push_str(&format!("- **{}** {said}\n", verdict.word()));
        }
        text.push('\n');
    }
    text.push_str(&escape(&explanation(comparison)));
    text.push('\n');
    text
}

fn heads(comparison: &Comparison, names: &Names) -> [(&'static str, String); 3] {
    let options = &comparison.options;
    let threshold = percent(options.threshold);
    [
        ("BASE", clean(&names.base)),
        ("NEW", clean(&names.new)),
        (
            "verdict by",
            match &options.metric {
                Some(metric) => format!("{metric}, beyond {threshold}"),
                None => format!("the sharpest figure of each cell, beyond {threshold}"),
            },
        ),
    ]
}

fn percent(share: f64) -> String {
    // Written as short as it was given: 2 %, 0.5 %.
    format!("{} %", (share * 1e6).round() / 1e4)
}

/// The cells of a case stand in one table, in the order the cases first appear.
fn tables(comparison: &Comparison) -> Vec<CaseTable> {
    let mut cases: Vec<Vec<&ComparedCell>> = Vec::new();
    for cell in &comparison.cells {
        let same = |case: &&mut Vec<&ComparedCell>| {
            case[0].key.scenario == cell.key.scenario && case[0].key.case == cell.key.case
        };
        match cases.iter_mut().rev().find(same) {
            Some(case) => case.push(cell),
            None => cases.push(vec![cell]),
        }
    }
    cases.into_iter().map(|cells| table(comparison, &cells)).collect()
}

fn table(comparison: &Comparison, cells: &[&ComparedCell]) -> CaseTable {
    let key = &cells[0].key;
    let axis = |axis: &crate::record::AxisValue| clean(&format!("{}={}", axis.axis, axis.value));
    let (measured, others): (Vec<&ComparedCell>, Vec<&ComparedCell>) =
        cells.iter().copied().partition(|cell| is_measured(cell));
    CaseTable {
        scenario: clean(&key.scenario),
        axes: key.case.iter().map(axis).collect(),
        workload: String::new(),
        question: String::new(),
        columns: if measured.is_empty() { Vec::new() } else { columns(comparison, &measured) },
        subjects: measured
            .iter()
            .map(|cell| Ranked { id: clean(&cell.key.subject), compared: None })
            .collect(),
        without_figures: others.iter().map(|cell| told(cell)).collect(),
        by: Figure::Throughput,
        order: None,
        remarks: Remarks {
            warnings: warned(&measured),
            notes: unrelated(&measured),
            ..Remarks::default()
        },
    }
}

fn is_measured(cell: &ComparedCell) -> bool {
    [&cell.base, &cell.new].iter().all(|state| **state == Some(State::Measured))
}

/// A cell that has no figures on one side or on both.
fn told(cell: &ComparedCell) -> Told {
    let (base, new) =
        (ComparedCell::told(cell.base.as_ref()), ComparedCell::told(cell.new.as_ref()));
    let text = match (cell.verdict, &cell.base, &cell.new) {
        (Some(verdict), ..) => format!("{}: {}", verdict.word(), from_to(base, new)),
        (None, Some(_), None) => "only in BASE".to_owned(),
        (None, None, _) => "only in NEW".to_owned(),
        _ if base == new => format!("in both {new}"),
        _ => format!("no figures: {}", from_to(base, new)),
    };
    let status = match cell.verdict {
        Some(Verdict::Regressed) => Status::Crashed,
        Some(Verdict::CannotTell) => Status::Unmeasured,
        _ => Status::Unsupported,
    };
    Told { id: clean(&cell.key.subject), status, text }
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
    let mut add = |kind, heading: [&str; 2], cell: &dyn Fn(&ComparedCell) -> CellText| {
        columns.push(Column {
            kind,
            heading: heading.map(str::to_owned),
            cells: cells.iter().map(|compared| cell(compared)).collect(),
        });
    };
    let per_second = match operation.as_str() {
        "request" => "requests/s".to_owned(),
        name => format!("{name}/s"),
    };
    let name = |metric: &str| match metric {
        THROUGHPUT => per_second.clone(),
        CPU => format!("CPU per {operation}"),
        metric => clean(metric),
    };
    let of = |cell: &ComparedCell, metric: &str| cell.change(metric).copied();
    add(Kind::Standing, ["", "decided by"], &|cell| {
        let rest = cell.decided_by.as_deref().map_or_else(String::new, name);
        CellText { rest, ..CellText::default() }
    });
    add(Kind::Change, ["", "base → new"], &|cell| {
        let metric = cell.decided_by.as_deref().unwrap_or(THROUGHPUT);
        values(metric, of(cell, metric))
    });
    add(Kind::Change, ["NEW/BASE", "ratio (99 %)"], &|cell| {
        cell.deciding().map_or_else(CellText::none, with_interval)
    });
    add(Kind::Standing, ["", "verdict"], &|cell| verdict(cell, threshold));
    add(Kind::Change, ["smallest", "visible"], &|cell| {
        let smallest = cell.deciding().and_then(|change| change.smallest_visible(threshold));
        CellText::number(smallest.map(number::percent_above))
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
            add(Kind::Change, [&heading[0], &heading[1]], &|cell| {
                judged(of(cell, metric), threshold)
            });
        }
    }
    // Mostly the same in both: then a column of them would say nothing.
    for (metric, heading) in [(THREADS, "threads"), (STALLS, "stalls/trial")] {
        let differs = |cell: &&ComparedCell| {
            cell.change(metric)
                .is_some_and(|change| shown(metric, change.base) != shown(metric, change.new))
        };
        let is_asked_for = comparison.options.metric.as_deref() == Some(metric);
        if !is_asked_for && cells.iter().any(differs) {
            add(Kind::Change, [heading, "base → new"], &|cell| values(metric, of(cell, metric)));
        }
    }
    columns
}

fn values(metric: &str, change: Option<Change>) -> CellText {
    let Some(change) = change else { return CellText::none() };
    let (base, new) = (shown(metric, change.base), shown(metric, change.new));
    let rest = if base == new { String::new() } else { format!(" → {new}") };
    CellText { number: base, rest, tint: Tint::Plain }
}

fn with_interval(change: &Change) -> CellText {
    let number = change.ratio().map_or_else(|| number::NONE.to_owned(), number::fine_ratio);
    let rest = change.interval().map_or_else(String::new, |interval| {
        format!(" ({:.3}…{:.3})", interval.low, interval.high)
    });
    CellText { number, rest, tint: Tint::Plain }
}

fn verdict(cell: &ComparedCell, threshold: f64) -> CellText {
    let Some(verdict) = cell.verdict else { return CellText::none() };
    let below = cell.deciding().and_then(|change| change.below(threshold));
    let rest = match (verdict, below, cell.doubt) {
        (Verdict::Same, Some(below), _) => format!("same (< {})", number::percent_above(below)),
        (_, _, Some(Doubt::Noise)) => "cannot tell: noise".to_owned(),
        (_, _, Some(Doubt::Reference)) => "cannot tell: the reference".to_owned(),
        (_, _, Some(Doubt::Others)) => "cannot tell: as the others".to_owned(),
        _ => verdict.word().to_owned(),
    };
    CellText { number: String::new(), rest, tint: tint(verdict) }
}

/// A figure that does not decide, with a word of its own where it changed.
fn judged(change: Option<Change>, threshold: f64) -> CellText {
    let Some(change) = change else { return CellText::none() };
    let verdict = change.verdict(threshold);
    let rest = match verdict {
        Verdict::Regressed => " worse",
        Verdict::Improved => " better",
        Verdict::Same => "",
        Verdict::CannotTell => " ?",
    };
    let number = change.ratio().map_or_else(|| number::NONE.to_owned(), number::ratio);
    CellText { number, rest: rest.to_owned(), tint: tint(verdict) }
}

fn tint(verdict: Verdict) -> Tint {
    match verdict {
        Verdict::Regressed => Tint::Bad,
        Verdict::Improved => Tint::Good,
        Verdict::Same | Verdict::CannotTell => Tint::Plain,
    }
}

/// Which cells what the machine did between the runs did not cancel in.
fn unrelated(cells: &[&ComparedCell]) -> Vec<Remark> {
    let of = |basis: Basis, text: &str| {
        let is_such = |cell: &&&ComparedCell| {
            !cell.is_reference && cell.deciding().is_some_and(|change| change.basis == basis)
        };
        let such: Vec<String> =
            cells.iter().filter(is_such).map(|cell| clean(&cell.key.subject)).collect();
        let subjects = if such.len() == cells.len() { "all".to_owned() } else { such.join(", ") };
        (!such.is_empty()).then(|| Remark { subjects, text: text.to_owned() })
    };
    let absolute = "compared by absolute figures, because the same reference did not take turns \
                    with it in both runs: what changed on the machine in between is among them";
    let others = "compared relative to the median change of the others, because the same reference \
                  did not take turns with it in both runs: a change that all have in common is \
                  taken for the machine's";
    [of(Basis::Absolute, absolute), of(Basis::Others, others)].into_iter().flatten().collect()
}

/// Which cells were measured beside noise; what it was, the report of that run tells.
fn warned(cells: &[&ComparedCell]) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.verdict != Some(Verdict::Same)) {
        let (base, new) = cell.warned;
        let text = match (base, new) {
            (0, 0) => continue,
            (base, 0) => format!("{} in BASE", trials(base)),
            (0, new) => format!("{} in NEW", trials(new)),
            (base, new) => format!("{} in BASE and {new} in NEW", trials(base)),
        };
        let text = format!("{text} carried warnings; `quadrant report` shows them");
        match remarks.iter_mut().find(|remark| remark.text == text) {
            Some(remark) => remark.subjects.push_str(&format!(", {}", clean(&cell.key.subject))),
            None => remarks.push(Remark { subjects: clean(&cell.key.subject), text }),
        }
    }
    remarks
}

fn trials(count: u64) -> String {
    plural(count, "trial", "trials")
}

/// `7 cells compared: 1 regressed, 6 same; 2 only in BASE`.
fn title(comparison: &Comparison) -> String {
    let counts = comparison.counts();
    let listed = |all: &[(u64, &str)]| {
        let said: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", number::count(*count)))
            .collect();
        said.join(", ")
    };
    let compared = match counts.compared() {
        0 => "nothing could be compared".to_owned(),
        cells => format!(
            "{} compared: {}",
            plural(cells, "cell", "cells"),
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
    let said = [compared, left_out, order(comparison)];
    said.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn order(comparison: &Comparison) -> String {
    let pairs = comparison.pairs;
    if pairs.compared == 0 {
        return String::new();
    }
    format!(
        "of {} of subjects {} in the same order in both runs and {} in the opposite one",
        plural(pairs.compared, "pair", "pairs"),
        number::count(pairs.confirmed),
        number::count(pairs.contradicted)
    )
}

const HEADINGS: [&str; 7] =
    ["metric", "worse", "better", "same", "cannot tell", "geometric mean of NEW/BASE", "over"];

fn summary_rows(comparison: &Comparison) -> Vec<[String; 7]> {
    let blank =
        |count: u64| if count == 0 { number::NONE.to_owned() } else { number::count(count) };
    let row = |MetricSummary { name, counts, ratios }: MetricSummary| {
        [
            clean(&name),
            blank(counts.regressed),
            blank(counts.improved),
            blank(counts.same),
            blank(counts.cannot_tell),
            ratios.value().map_or_else(|| number::NONE.to_owned(), number::fine_ratio),
            plural(ratios.count(), "cell", "cells"),
        ]
    };
    comparison.metrics().into_iter().map(row).collect()
}

/// Every cell that regressed or improved, again, where nobody has to look for it.
fn flagged(comparison: &Comparison) -> Vec<(Verdict, Vec<(String, String)>)> {
    [Verdict::Regressed, Verdict::Improved]
        .into_iter()
        .map(|verdict| {
            let cells: Vec<(String, String)> =
                comparison.of_verdict(verdict).map(|cell| (cell_name(cell), why(cell))).collect();
            (verdict, cells)
        })
        .filter(|(_, cells)| !cells.is_empty())
        .collect()
}

fn cell_name(cell: &ComparedCell) -> String {
    let axes = cell.key.case.iter().map(|axis| format!("{}={}", axis.axis, axis.value));
    let words: Vec<String> = std::iter::once(cell.key.scenario.clone())
        .chain(axes)
        .chain([cell.key.subject.clone()])
        .collect();
    clean(&words.join(" "))
}

fn why(cell: &ComparedCell) -> String {
    match (cell.decided_by.as_deref(), cell.deciding()) {
        (Some(metric), Some(change)) => {
            let CellText { number, rest, .. } = with_interval(change);
            format!("{metric} {number}{rest}")
        }
        _ => from_to(ComparedCell::told(cell.base.as_ref()), ComparedCell::told(cell.new.as_ref())),
    }
}

fn explanation(comparison: &Comparison) -> String {
    let threshold = percent(comparison.options.threshold);
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
