//! Where one backend overtakes another along an axis of numbers, in words.
//!
//! Never judges by other rules than the tables: at each value two rivals are compared as their
//! rows would be if they stood alone in a table, and a crossover needs a clear answer on either
//! side of it. Never takes a figure that may be the load driver's for the subject's.
//!
//! A case is kept small when its table is written (`kept`). When its scenario is over, each axis of
//! numbers (`scale`) is gone along with the other axes held, two rivals at a time (`course`), and
//! what became of them is said (`sentence`) and laid out (`layout`).

mod course;
mod kept;
mod layout;
mod scale;
mod sentence;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

pub(crate) use layout::parts;

use crate::prose::clean;
use crate::record::Record;
use crate::series::Figure;
use course::{Course, Stop};
use kept::{Contender, KeptCase};
use scale::Scale;

/// What is kept of scenarios that are not over yet.
#[derive(Debug, Default)]
pub(crate) struct Crossovers(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    run_id: String,
    scenario: String,
    cases: Vec<KeptCase>,
}

/// One axis of a scenario from its lowest value to its highest, the others held.
#[derive(Debug, PartialEq)]
pub(crate) struct Sweep {
    pub scenario: String,
    pub axis: String,
    pub values: Vec<String>,
    /// `how=await`: the other axes.
    pub held: Vec<String>,
    /// What the rivals are compared by.
    pub by: String,
    pub sentences: Vec<Sentence>,
    /// Some of it stands on a single trial.
    pub is_unsure: bool,
    /// Some of it could not be told, because trials vary.
    pub is_unclear: bool,
}

/// What became of two rivals.
#[derive(Debug, PartialEq)]
pub(crate) struct Sentence {
    /// Runtime and executor that they are backends of, or that they are the best of theirs.
    pub whom: String,
    /// Where one overtakes the other, or that it does not.
    pub headline: String,
    /// What that stands on, and who stood for each side.
    pub details: Vec<String>,
}

impl Crossovers {
    /// All records must be of one scenario case.
    pub(crate) fn add(&mut self, records: &[Record]) {
        let Some(first) = records.first().filter(|first| !first.case.is_empty()) else { return };
        let index = self.index(&first.run_id, &first.scenario).unwrap_or_else(|| {
            let (run_id, scenario) = (first.run_id.clone(), first.scenario.clone());
            self.0.push(Kept { run_id, scenario, cases: Vec::new() });
            self.0.len() - 1
        });
        self.0[index].cases.push(KeptCase::of(records));
    }

    /// What there is to say of a scenario, now that it is over.
    pub(crate) fn end(&mut self, run_id: &str, scenario: &str) -> Vec<Sweep> {
        self.index(run_id, scenario).map_or_else(Vec::new, |index| sweeps(&self.0.remove(index)))
    }

    /// The same of all that were left.
    pub(crate) fn end_all(&mut self) -> Vec<Sweep> {
        std::mem::take(&mut self.0).iter().flat_map(sweeps).collect()
    }

    fn index(&self, run_id: &str, scenario: &str) -> Option<usize> {
        self.0.iter().position(|kept| kept.run_id == run_id && kept.scenario == scenario)
    }
}

fn sweeps(kept: &Kept) -> Vec<Sweep> {
    let axes = kept.cases.first().map_or(0, |case| case.axes.len());
    (0..axes).flat_map(|axis| along(kept, axis)).collect()
}

/// The sweeps along one axis: one for each combination of the others' values.
fn along(kept: &Kept, axis: usize) -> Vec<Sweep> {
    let all = || kept.cases.iter().filter(|case| case.axes.len() > axis);
    let Some(scale) = Scale::of(all().map(|case| case.axes[axis].value.as_str())) else {
        return Vec::new();
    };
    let mut held: Vec<Vec<&KeptCase>> = Vec::new();
    let mut places: HashMap<Vec<&str>, usize> = HashMap::new();
    for case in all() {
        let place = *places.entry(case.held(axis)).or_insert(held.len());
        if place == held.len() {
            held.push(Vec::new());
        }
        held[place].push(case);
    }
    held.into_iter().filter_map(|cases| sweep(kept, axis, &scale, cases)).collect()
}

fn sweep(kept: &Kept, axis: usize, scale: &Scale, mut cases: Vec<&KeptCase>) -> Option<Sweep> {
    let position = |case: &KeptCase| scale.position(&case.axes[axis].value);
    cases.sort_by(|a, b| position(a).total_cmp(&position(b)));
    if cases.len() < 2 {
        return None;
    }
    let by = deciding(&cases);
    let mut sentences = Vec::new();
    let (mut is_unsure, mut is_unclear) = (false, false);
    for (whom, [first, second], course) in courses(&cases, axis, scale, by) {
        is_unsure |= course.is_unsure();
        is_unclear |= course.is_unclear();
        sentences.push(sentence::tell(whom, &course, [&first, &second], scale));
    }
    let shown = |case: &&KeptCase| clean(&case.axes[axis].value);
    let others = cases[0].axes.iter().enumerate().filter(|(index, _)| *index != axis);
    (!sentences.is_empty()).then(|| Sweep {
        scenario: clean(&kept.scenario),
        axis: clean(&cases[0].axes[axis].axis),
        values: cases.iter().map(shown).collect(),
        held: others.map(|(_, held)| clean(&format!("{}={}", held.axis, held.value))).collect(),
        by: clean(&figure_name(by, &cases)),
        sentences,
        is_unsure,
        is_unclear,
    })
}

/// One figure for all values, because a change of the figure would look like a change of the lead:
/// CPU time, which the load driver does not limit, as soon as throughput fails at one of them.
fn deciding(cases: &[&KeptCase]) -> Figure {
    let decides = |figure| cases.iter().any(|case| case.by == figure);
    let order = [Figure::P99, Figure::Cpu, Figure::Throughput];
    order.into_iter().find(|figure| decides(*figure)).unwrap_or(Figure::Throughput)
}

fn figure_name(by: Figure, cases: &[&KeptCase]) -> String {
    let operation = cases.iter().map(|case| case.operation.as_str()).find(|name| !name.is_empty());
    let operation = operation.unwrap_or("operation");
    match by {
        Figure::P99 => "p99 latency".to_owned(),
        Figure::Cpu => {
            format!("CPU per {operation}, as the load driver was the limit at some values")
        }
        Figure::Throughput if operation == "request" => "requests/s".to_owned(),
        Figure::Throughput => format!("{operation}/s"),
    }
}

/// Whom a course is about, what its two rivals are called, and how they fared.
type Told = (String, [String; 2], Course);

/// Every two backends of one runtime and executor, then the best of every two backends.
fn courses(cases: &[&KeptCase], axis: usize, scale: &Scale, by: Figure) -> Vec<Told> {
    let mut told = Vec::new();
    let contenders = || cases.iter().flat_map(|case| &case.contenders);
    let families: BTreeSet<&str> = contenders().map(|c| c.family.as_str()).collect();
    for family in families {
        let of_family = contenders().filter(|c| c.family == family);
        let rivals: BTreeSet<&str> = of_family.map(|c| c.rival.as_str()).collect();
        for [first, second] in pairs(&rivals) {
            let find = |case: &KeptCase, rival: &str| {
                case.contenders.iter().find(|c| c.family == family && c.rival == rival).cloned()
            };
            let rivals = |case: &KeptCase| [find(case, first), find(case, second)];
            let course = course(cases, axis, scale, by, rivals);
            if course.has_both() {
                told.push((family.to_owned(), [first, second].map(str::to_owned), course));
            }
        }
    }
    let backends: BTreeSet<&str> = contenders().map(|c| c.backend.as_str()).collect();
    for [first, second] in pairs(&backends) {
        let rivals = |case: &KeptCase| [case.best_of(first, by), case.best_of(second, by)];
        let course = course(cases, axis, scale, by, rivals);
        if course.has_both() && !course.is_within_one_family() {
            told.push(("best of each".to_owned(), [first, second].map(str::to_owned), course));
        }
    }
    told
}

fn pairs<'a>(names: &BTreeSet<&'a str>) -> Vec<[&'a str; 2]> {
    let names: Vec<&str> = names.iter().copied().collect();
    let with_later = |(index, first): (usize, &&'a str)| {
        let first = *first;
        names[index + 1..].iter().map(move |second| [first, *second]).collect::<Vec<_>>()
    };
    names.iter().enumerate().flat_map(with_later).collect()
}

fn course(
    cases: &[&KeptCase],
    axis: usize,
    scale: &Scale,
    by: Figure,
    rivals: impl Fn(&KeptCase) -> [Option<Contender>; 2],
) -> Course {
    let stop = |case: &&KeptCase| {
        let value = &case.axes[axis].value;
        Stop::new(scale.position(value), clean(value), rivals(case), by)
    };
    Course { stops: cases.iter().map(stop).collect() }
}
