//! Where one backend overtakes another along an axis of numbers, in words.
//!
//! Never judges by other rules than the tables: at each value two rivals are compared as if they
//! were alone in a table, and a crossover needs a clear verdict on either side of it. Never
//! attributes to a subject what may be the load driver's limit.
//!
//! A case is kept small when its table is written (`kept`). When its scenario is over, each axis of
//! numbers (`scale`) is followed with the other axes held, two rivals at a time (`course`), and the
//! result is put into words (`sentence`).

mod course;
mod kept;
mod sentence;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::prose::clean;
use crate::record::Record;
use crate::scale::Scale;
use crate::series::Figure;
use crate::table::{Heading, Part, Tint};
use course::{Course, Stop};
use kept::{Contender, KeptCase};

/// What is kept of scenarios that are not over yet, by run and scenario.
#[derive(Debug)]
pub(crate) struct Crossovers {
    /// Whether every scenario is asked about them.
    is_asked: bool,
    kept: BTreeMap<(String, String), Kept>,
}

#[derive(Debug)]
struct Kept {
    scenario: String,
    /// Whether the scenario asks which backend is ahead.
    is_asked: bool,
    cases: Vec<KeptCase>,
}

pub(crate) const UNSURE: &str =
    "~: one trial only, so nothing is sure; use more of them (--trials)";
const UNCLEAR: &str =
    "cannot tell: the ranges are too wide; measure for a longer time (`--until 2%`)";

impl Crossovers {
    pub(crate) fn new(is_asked: bool) -> Self {
        Self { is_asked, kept: BTreeMap::new() }
    }

    /// All records must be of one scenario case.
    pub(crate) fn add(&mut self, records: &[Record]) {
        let Some(first) = records.first().filter(|first| !first.case.is_empty()) else { return };
        let scenario = &first.scenario;
        let is_asked = self.is_asked || first.crossovers;
        let kept = self.kept.entry((first.run_id.clone(), scenario.clone()));
        let kept = kept.or_insert_with(|| Kept {
            scenario: scenario.clone(),
            is_asked,
            cases: Vec::new(),
        });
        kept.cases.push(KeptCase::of(records));
    }

    /// The sweeps of a scenario that is over.
    pub(crate) fn end(&mut self, run_id: &str, scenario: &str) -> Vec<Part> {
        let kept = self.kept.remove(&(run_id.to_owned(), scenario.to_owned()));
        kept.as_ref().map_or_else(Vec::new, sweeps)
    }

    /// Those of all scenarios that are left.
    pub(crate) fn end_all(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.kept).values().flat_map(sweeps).collect()
    }
}

/// Where nothing asks for them, only subjects that differ by their backends are compared.
fn sweeps(kept: &Kept) -> Vec<Part> {
    let contenders = kept.cases.iter().flat_map(|case| &case.contenders);
    let families: BTreeSet<&str> = contenders.map(|it| it.family.as_str()).collect();
    if !kept.is_asked && families.len() > 1 {
        return Vec::new();
    }
    let axes = kept.cases.first().map_or(0, |case| case.axes.len());
    (0..axes).flat_map(|axis| along(kept, axis)).collect()
}

/// The sweeps along one axis: one for each combination of the others' values.
fn along(kept: &Kept, axis: usize) -> Vec<Part> {
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
    held.into_iter().flat_map(|cases| sweep(kept, axis, &scale, cases)).collect()
}

/// One axis of a scenario from its lowest value to its highest, the others held.
fn sweep(kept: &Kept, axis: usize, scale: &Scale, mut cases: Vec<&KeptCase>) -> Vec<Part> {
    let position = |case: &KeptCase| scale.position(&case.axes[axis].value);
    cases.sort_by(|a, b| position(a).total_cmp(&position(b)));
    let by = deciding(&cases);
    let courses = if cases.len() < 2 { Vec::new() } else { courses(&cases, axis, scale, by) };
    if courses.is_empty() {
        return Vec::new();
    }
    let values: Vec<&str> = cases.iter().map(|case| &*case.axes[axis].value).collect();
    let along = format!("along {}: {}", cases[0].axes[axis].axis, values.join(", "));
    let others = cases[0].axes.iter().enumerate().filter(|(index, _)| *index != axis);
    let held = others.map(|(_, held)| held.to_string());
    let by = format!("by {}", figure_name(by, &cases));
    let facts = [along].into_iter().chain(held).chain([by]);
    let heading = Heading {
        labels: vec![clean(&kept.scenario)],
        facts: facts.map(|fact| clean(&fact)).collect(),
        ..Heading::new("crossovers")
    };
    let item = |(index, (family, names, course)): (usize, &Rivals)| {
        // Each name once, as long as it is about the same.
        let is_known = index > 0 && courses[index - 1].0 == *family;
        let name = if is_known { "" } else { family };
        sentence::item(name, course, names.each_ref().map(String::as_str), scale)
    };
    let items = courses.iter().enumerate().map(item).collect();
    let mut parts = vec![Part::Heading(heading), Part::List(items)];
    for (is_due, text) in [
        (courses.iter().any(|(.., course)| course.is_unsure()), UNSURE),
        (courses.iter().any(|(.., course)| course.is_unclear()), UNCLEAR),
    ] {
        parts.extend(is_due.then(|| Part::Text(Tint::Dim, text.to_owned())));
    }
    parts
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

/// Runtime and executor, or that they are the best of theirs; the names of the two, and how they
/// compare.
type Rivals = (String, [String; 2], Course);

/// Every two backends of one runtime and executor, then the best of every two backends.
fn courses(cases: &[&KeptCase], axis: usize, scale: &Scale, by: Figure) -> Vec<Rivals> {
    let mut all = Vec::new();
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
                all.push((family.to_owned(), [first, second].map(str::to_owned), course));
            }
        }
    }
    let backends: BTreeSet<&str> = contenders().map(|c| c.backend.as_str()).collect();
    for [first, second] in pairs(&backends) {
        let rivals = |case: &KeptCase| [case.best_of(first, by), case.best_of(second, by)];
        let course = course(cases, axis, scale, by, rivals);
        if course.has_both() && !course.is_within_one_family() {
            all.push(("best of each".to_owned(), [first, second].map(str::to_owned), course));
        }
    }
    all
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
