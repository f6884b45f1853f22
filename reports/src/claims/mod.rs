//! What a scenario says of its cases together, and whether it is so, subject by subject.
//!
//! Never keeps the records: of each it takes the figures that the scenario names.

mod judge;
mod page;
mod place;
mod undecided;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::effect::Effect;
use crate::expectation_text::expectation_text;
use crate::prose::clean;
use crate::record::claim::{Claim, FIGURES_IN_TURNS, Ratio};
use crate::record::expectation::{Expectation, metric_value};
use crate::record::{AxisValue, CheckedExpectation, Pass, Record, Status};
use crate::series::{Bases, Figure, Series};
use crate::table::{Heading, Item, Part, Tint};
use judge::Answer;
use place::Place;
pub use undecided::undecided;
use verdict::Verdict;
use words::{conditions_json, counts, parts, with};

#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// What is kept of scenarios that are not over yet, by run and scenario.
    open: BTreeMap<(String, String), Kept>,
    /// Of those that are over and have a sentence.
    answers: Vec<ClaimAnswer>,
    /// The verdicts of all that are over, for other programs.
    verdicts: Vec<Value>,
}

#[derive(Debug)]
struct ClaimAnswer {
    scenario: String,
    sentence: String,
    /// One for each row, with what it is about.
    verdicts: Vec<(String, Verdict)>,
}

#[derive(Debug)]
struct Kept {
    claim: Claim,
    cells: BTreeMap<Place, Cell>,
    /// Those that can run some case. What they cannot run is a case without figures.
    subjects: BTreeSet<Vec<AxisValue>>,
    /// The conditions that are no ratios, in the scenario's order.
    entries: Vec<Entry>,
}

/// What one subject reached in one case.
#[derive(Debug, Default)]
struct Cell {
    /// The figures that ratios name, of all trials alone.
    figures: BTreeMap<String, Vec<f64>>,
    in_turns: BTreeMap<Figure, Series>,
}

/// What is expected of a figure in some cases.
#[derive(Debug)]
struct Entry {
    expected: String,
    when: Vec<AxisValue>,
    /// The figures of all trials.
    seen: BTreeMap<Place, Vec<f64>>,
}

/// A scenario's verdicts.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) parts: Vec<Part>,
    /// Subjects for which a ratio is not as expected, or cannot be told. Of a claim, whose verdict is
    /// an answer, there are none.
    pub(crate) missed: u64,
}

/// What has to be so, and whether it is.
#[derive(Debug)]
struct Condition {
    text: String,
    findings: Vec<Finding>,
}

/// Whether a condition is met at one place.
#[derive(Debug)]
struct Finding {
    place: Place,
    answer: Answer,
    /// The figure, or why there is none.
    text: String,
}

impl Claims {
    /// All records must be of one scenario case.
    pub(crate) fn add(&mut self, records: &[Record]) {
        let Some((first, claim)) = records.first().and_then(|it| Some((it, it.claim.as_ref()?)))
        else {
            return;
        };
        let kept = self.open.entry((first.run_id.clone(), first.scenario.clone()));
        let kept = kept.or_insert_with(|| Kept {
            claim: claim.clone(),
            cells: BTreeMap::new(),
            subjects: BTreeSet::new(),
            entries: Vec::new(),
        });
        let alone = records.iter().filter(|record| record.pass == Pass::Alone);
        alone.for_each(|record| kept.add(record));
        if records.iter().any(|record| record.valid_turns().is_some()) {
            kept.add_turns(records);
        }
    }

    pub(crate) fn end(&mut self, run_id: &str, scenario: &str) -> Judged {
        let kept = self.open.remove(&(run_id.to_owned(), scenario.to_owned()));
        kept.map_or_else(Judged::default, |kept| self.judge(scenario, &kept))
    }

    /// Those of all scenarios that are left.
    pub(crate) fn end_all(&mut self) -> Judged {
        let mut all = Judged::default();
        for ((_, scenario), kept) in std::mem::take(&mut self.open) {
            let judged = self.judge(&scenario, &kept);
            all.parts.extend(judged.parts);
            all.missed += judged.missed;
        }
        all
    }

    /// All claims that are judged, if there are several: a single one has just been shown. On a page
    /// there is room for the subjects, in a terminal they are counted.
    pub(crate) fn summary(&self, names_subjects: bool) -> Vec<Part> {
        if self.answers.len() < 2 {
            return Vec::new();
        }
        let heading = Part::Heading(Heading::new("claims"));
        if names_subjects {
            return vec![heading, Part::Table(page::subjects(&self.answers))];
        }
        let items = self.answers.iter().map(|answer| Item {
            details: vec![counts(&answer.verdicts)],
            ..Item::new(Tint::Plain, clean(&answer.scenario), clean(&answer.sentence))
        });
        vec![heading, Part::List(items.collect())]
    }

    /// A list with an object for each scenario and subject.
    pub(crate) fn into_json(self) -> Value {
        Value::Array(self.verdicts)
    }

    fn judge(&mut self, scenario: &str, kept: &Kept) -> Judged {
        let conditions = kept.conditions();
        let rows = rows(&conditions);
        if rows.is_empty() {
            return Judged::default();
        }
        let verdicts = rows.iter().map(|(_, places)| Verdict::of(places));
        let verdicts: Vec<Verdict> = verdicts.collect();
        let parts = parts(scenario, &kept.claim, &conditions, &rows, &verdicts);
        for ((subject, places), verdict) in rows.iter().zip(&verdicts) {
            self.verdicts.push(json!({
                "scenario": scenario,
                "claim": kept.claim.sentence,
                "subject": subject,
                "verdict": verdict.text(),
                "conditions": conditions_json(&conditions, places),
            }));
        }
        let mut missed = 0;
        match kept.claim.sentence.clone() {
            Some(sentence) => {
                let scenario = scenario.to_owned();
                let names = rows.iter().map(|(name, _)| name.clone());
                let verdicts = names.zip(verdicts).collect();
                self.answers.push(ClaimAnswer { scenario, sentence, verdicts });
            }
            None => missed = verdicts.iter().filter(|it| **it != Verdict::Holds).count() as u64,
        }
        Judged { parts, missed }
    }
}

impl Kept {
    fn add(&mut self, record: &Record) {
        let place = Place::of(&record.subject, &record.case);
        if record.status != Status::Unsupported {
            self.subjects.insert(place.subject.clone());
        }
        let Cell { figures, .. } = self.cells.entry(place.clone()).or_default();
        if let Some(metrics) = record.valid_metrics() {
            let named = self.claim.ratios.iter().filter_map(Ratio::expectation);
            let named: BTreeSet<String> = named.map(|it| it.metric).collect();
            for figure in named {
                if let Some(value) = metric_value(metrics, &figure) {
                    figures.entry(figure).or_default().push(value);
                }
            }
        }
        for CheckedExpectation { expected, when, seen, .. } in record.conditions() {
            let is_same = |it: &Entry| it.expected == *expected && it.when == *when;
            let index = self.entries.iter().position(is_same).unwrap_or_else(|| {
                let (expected, when) = (expected.clone(), when.clone());
                self.entries.push(Entry { expected, when, seen: BTreeMap::new() });
                self.entries.len() - 1
            });
            self.entries[index].seen.entry(place.clone()).or_default().extend(seen);
        }
    }

    /// All records of one case.
    fn add_turns(&mut self, records: &[Record]) {
        let bases = Bases::new(records.iter());
        let mut subjects: BTreeMap<Place, Vec<&Record>> = BTreeMap::new();
        for record in records {
            subjects.entry(Place::of(&record.subject, &record.case)).or_default().push(record);
        }
        for (place, records) in subjects {
            // The reference may have taken part in the turns only.
            let Some(cell) = self.cells.get_mut(&place) else { continue };
            for figure in [Figure::Throughput, Figure::Cpu] {
                let series = Series::new(records.iter().copied(), &bases, figure);
                cell.in_turns.insert(figure, series);
            }
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let ratios = self.claim.ratios.iter().filter_map(|ratio| self.ratio(ratio));
        let entries = self.entries.iter().filter_map(|entry| self.entry(entry));
        entries.chain(ratios).collect()
    }

    fn ratio(&self, ratio: &Ratio) -> Option<Condition> {
        let expected = ratio.expectation()?;
        let findings = self.pairs(ratio).into_iter().map(|(place, pair)| {
            let in_turns = if ratio.suits_turns() { Cell::in_turns(pair, &expected) } else { None };
            let (answer, text) = match in_turns {
                Some(effect) => judge::effect(effect, &expected),
                None => judge::ratio(Cell::alone(pair, &expected), &expected),
            };
            Finding { place, answer, text }
        });
        let mut findings: Vec<Finding> = findings.collect();
        if findings.is_empty() && ratio.is_of_subjects() {
            let text = words::no_pairs(ratio);
            let (place, answer) = (Place::default(), Answer::CannotTell);
            findings.push(Finding { place, answer, text });
        }
        Some(Condition { text: words::ratio(ratio, &expected), findings })
    }

    /// Both sides of a ratio for each subject that can run one of them, at each value of the axes that
    /// it does not name. Where it names parts of subjects, there have to be both sides; without `to`,
    /// each subject is the other side of the one that `of` names.
    fn pairs(&self, ratio: &Ratio) -> BTreeMap<Place, [Option<&Cell>; 2]> {
        let mut pairs: BTreeMap<Place, [Option<&Cell>; 2]> = BTreeMap::new();
        for (place, cell) in self.cells.iter().filter(|(place, _)| self.is_able(place)) {
            if ratio.to.is_empty() {
                let of = Place { subject: ratio.of.clone(), axes: place.axes.clone() };
                if *place != of {
                    pairs.insert(place.clone(), [self.cells.get(&of), Some(cell)]);
                }
            } else if let Some(side) = [&ratio.of, &ratio.to].iter().position(|it| place.has(it)) {
                pairs.entry(place.without(&ratio.of)).or_default()[side] = Some(cell);
            }
        }
        if ratio.is_of_subjects() {
            pairs.retain(|_, pair| pair.iter().all(Option::is_some));
        }
        pairs
    }

    fn entry(&self, entry: &Entry) -> Option<Condition> {
        let expected = Expectation::parse(&entry.expected)?;
        let seen = entry.seen.iter().filter(|(place, _)| self.is_able(place));
        let findings = seen.map(|(place, values)| {
            let (answer, text) = judge::figure(values, &expected);
            Finding { place: place.without_axes(&entry.when), answer, text }
        });
        let text = expectation_text(&entry.expected) + &with(&entry.when);
        Some(Condition { text, findings: findings.collect() })
    }

    fn is_able(&self, place: &Place) -> bool {
        self.subjects.contains(&place.subject)
    }
}

impl Cell {
    /// The ratio of a figure of two subjects that were measured in turns.
    fn in_turns(pair: [Option<&Self>; 2], expected: &Expectation) -> Option<Effect> {
        let index = FIGURES_IN_TURNS.iter().position(|it| *it == expected.metric)?;
        let figure = [Figure::Throughput, Figure::Cpu][index];
        let [of, to] = pair.map(|cell| cell?.in_turns.get(&figure));
        of?.against(to?)
    }

    fn alone<'a>(pair: [Option<&'a Self>; 2], expected: &Expectation) -> [&'a [f64]; 2] {
        pair.map(|cell| cell?.figures.get(&expected.metric))
            .map(|it| it.map_or(&[][..], Vec::as_slice))
    }
}

/// The places of each subject, and whether all conditions are met there.
type Row = (String, Vec<(Place, Answer)>);

/// For each subject, whether all conditions are met at its places. A finding counts at every place
/// that lies within its own: what fixes fewer axes is a condition at all of their values.
fn rows(conditions: &[Condition]) -> Vec<Row> {
    let findings = || conditions.iter().flat_map(|condition| &condition.findings);
    let places: BTreeSet<&Place> = findings().map(|finding| &finding.place).collect();
    let is_split = |place: &Place| places.iter().any(|it| *it != place && it.is_within(place));
    let mut rows: BTreeMap<String, Vec<(Place, Answer)>> = BTreeMap::new();
    for place in places.iter().filter(|place| !is_split(place)) {
        let answers = findings().filter(|it| place.is_within(&it.place)).map(|it| it.answer);
        let answer = answers.reduce(Answer::and).unwrap_or(Answer::CannotTell);
        rows.entry(place.subject_name()).or_default().push(((*place).clone(), answer));
    }
    rows.values_mut().for_each(|places| place::sort(places, |(place, _)| place));
    rows.into_iter().collect()
}
