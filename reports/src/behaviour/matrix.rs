//! The matrix of checks and subjects, with the reasons beneath it.
//!
//! Never shortens a reason.

use std::collections::BTreeMap;

use quadrant_suite::checks::{Kind, Verdict};

use super::{Answer, Asked, Findings, Found};
use crate::number::counted;
use crate::table::{Cell, Heading, Item, Part, Table, Tint};

const LEGEND: &str = "✓ pass, ✗ fail, ∞ hung, † crashed, ~ known failure, · unsupported, \
? unmeasured, a b c … answers, explained at the end of their row. Where runtimes may differ, no answer is a failure.";

pub(super) fn parts(findings: &Findings) -> Vec<Part> {
    let mut parts = vec![
        Part::Heading(Heading {
            facts: vec![
                counted(findings.checks.len() as u64, "check"),
                counted(findings.subjects.len() as u64, "subject"),
                format!("seed {}", findings.seed),
            ],
            ..Heading::new("behaviour")
        }),
        columns(findings),
    ];
    parts.extend(groups(findings));
    parts.extend(numbers(findings));
    parts.push(Part::Text(Tint::Dim, LEGEND.to_owned()));
    let reasons = reasons(findings);
    if !reasons.is_empty() {
        parts.push(Part::List(reasons));
    }
    parts.push(Part::Text(Tint::Plain, summary(findings)));
    parts
}

/// The checks and their questions.
pub(super) fn list(checks: &[Asked]) -> Vec<Part> {
    let mut table = Table::new(&["check"]);
    let mut items = Vec::new();
    for check in checks {
        let kind = match check.kind {
            Kind::Must => "must",
            Kind::Differs => "differs",
            Kind::Metric => "metric",
        };
        items.push(Item::new(
            Tint::Plain,
            check.id.as_str(),
            format!("{kind}: {}", check.question),
        ));
    }
    table.sentences_heading = "question".to_owned();
    table.sentences = items;
    vec![Part::Table(table)]
}

/// Which number stands for which subject.
pub(super) fn columns(findings: &Findings) -> Part {
    let subjects = findings.subjects.iter().enumerate();
    let columns = subjects.map(|(index, id)| Item::new(Tint::Bold, column(index), id.as_str()));
    Part::List(columns.collect())
}

/// A narrow name: subjects are numbered.
pub(super) fn column(index: usize) -> String {
    (index + 1).to_string()
}

/// A table for each group, without the numbers.
fn groups(findings: &Findings) -> Vec<Part> {
    let mut names: Vec<&str> = Vec::new();
    for check in &findings.checks {
        if !names.contains(&&*check.group) {
            names.push(&check.group);
        }
    }
    let of_group = |group: &&str| {
        let wanted = |check: &Asked| check.group == *group && check.kind != Kind::Metric;
        let columns: Vec<String> = (0..findings.subjects.len()).map(column).collect();
        let columns = columns.iter().map(String::as_str);
        let headings: Vec<&str> = [*group].into_iter().chain(columns).chain([""]).collect();
        let mut table = Table::new(&headings);
        let rows = findings.checks.iter().enumerate();
        for (row, check) in rows.filter(|(_, check)| wanted(check)) {
            let words = words(&findings.answers[row]);
            let marks = findings.of_check(row).map(|found| mark(found, &words));
            let legend: Vec<String> =
                words.iter().map(|(word, letter)| format!("{letter} {word}")).collect();
            let legend = Cell::words(legend.join(", ")).tinted(Tint::Dim);
            table.push(&*check.id, marks.chain([legend]));
        }
        (!table.names.is_empty()).then_some(Part::Table(table))
    };
    names.iter().filter_map(of_group).collect()
}

/// A letter for each answer in words.
fn words(answers: &[Answer]) -> BTreeMap<String, char> {
    let words = answers.iter().filter_map(|answer| match answer {
        Answer::Found(Verdict::Answer { word, .. }) => Some((word.clone(), ' ')),
        _ => None,
    });
    let mut words: BTreeMap<String, char> = words.collect();
    for (letter, place) in ('a'..='z').zip(words.values_mut()) {
        *place = letter;
    }
    words
}

fn mark(found: Found<'_>, words: &BTreeMap<String, char>) -> Cell {
    let answer = found.answer;
    let (mark, tint) = match answer {
        _ if found.is_known_failure() => ("~".to_owned(), Tint::Doubtful),
        Answer::Found(Verdict::Pass { .. }) => ("✓".to_owned(), Tint::Good),
        Answer::Found(Verdict::Fail { .. }) => ("✗".to_owned(), Tint::Bad),
        Answer::Found(Verdict::Answer { word, .. }) => (words[word].to_string(), Tint::Plain),
        Answer::Found(Verdict::Number { .. }) => (answer.text(), Tint::Plain),
        Answer::Found(Verdict::Unsupported { .. }) => ("·".to_owned(), Tint::Dim),
        Answer::Hung(_) => ("∞".to_owned(), failure_tint(found)),
        Answer::Crashed(_) => ("†".to_owned(), failure_tint(found)),
        Answer::Unmeasured(_) => ("?".to_owned(), Tint::Doubtful),
    };
    Cell::words(mark).tinted(tint)
}

fn failure_tint(found: Found<'_>) -> Tint {
    if found.is_new_failure() { Tint::Bad } else { Tint::Doubtful }
}

/// The numbers, with a row for each subject.
fn numbers(findings: &Findings) -> Option<Part> {
    let is_metric = |row: &usize| findings.checks[*row].kind == Kind::Metric;
    let metrics: Vec<usize> = (0..findings.checks.len()).filter(is_metric).collect();
    let names = metrics.iter().map(|row| &*findings.checks[*row].id);
    let mut table = Table::new(&["numbers"].into_iter().chain(names).collect::<Vec<_>>());
    for (index, subject) in findings.subjects.iter().enumerate() {
        let cells = metrics.iter().filter_map(|row| findings.of_check(*row).nth(index));
        let cell = |found: Found<'_>| match found.answer {
            Answer::Found(Verdict::Number { value, unit }) => {
                Cell::number(super::number(*value)).with(format!(" {unit}"))
            }
            _ => mark(found, &BTreeMap::new()),
        };
        table.push(subject.as_str(), cells.map(cell));
    }
    (!metrics.is_empty()).then_some(Part::Table(table))
}

/// Why a check failed, hung, crashed or was not run. One reason of several subjects stands once.
fn reasons(findings: &Findings) -> Vec<Item> {
    let is_single = findings.checks.len() == 1;
    let mut items: Vec<Item> = Vec::new();
    for row in 0..findings.checks.len() {
        let mut by_reason: Vec<(Found<'_>, Vec<&str>)> = Vec::new();
        for found in findings.of_check(row) {
            // What is unsupported is plain in the matrix, and often the same in many checks.
            let is_shown = match found.answer {
                Answer::Found(Verdict::Fail { .. }) | Answer::Hung(_) | Answer::Crashed(_) => true,
                answer => answer.is_unsupported() && is_single,
            };
            if !is_shown {
                continue;
            }
            let is_same =
                |other: &Found<'_>| (other.answer, other.known) == (found.answer, found.known);
            match by_reason.iter_mut().find(|(other, _)| is_same(other)) {
                Some((_, subjects)) => subjects.push(found.subject),
                None => by_reason.push((found, vec![found.subject])),
            }
        }
        items.extend(by_reason.iter().map(|(found, on)| reason(findings, *found, on)));
    }
    items.extend(passing_now(findings));
    items.extend(unmeasured(findings));
    // A single check shows what it has seen everywhere.
    if is_single {
        let check = &findings.checks[0];
        items.push(Item::new(Tint::Plain, check.id.as_str(), check.question.as_str()));
        let others = findings.each().filter(|it| !it.is_failure() && !it.answer.is_unsupported());
        items.extend(others.map(|Found { subject, answer, .. }| {
            let text = format!("{}: {}", answer.short(), answer.text());
            Item::new(Tint::Plain, subject, text)
        }));
    }
    items
}

fn reason(findings: &Findings, found: Found<'_>, on: &[&str]) -> Item {
    let Found { check, answer, known, .. } = found;
    let text = format!("{}: {}", answer.short(), answer.text());
    let mut item = Item::new(failure_tint(found), check.id.as_str(), text);
    item.details.push(format!("on {}", on.join(", ")));
    if found.is_failure() {
        item.details.extend(known.map(|known| known.text()));
    }
    if found.is_new_failure() {
        item.details.push(check.why.clone());
        item.details.push(format!("explained by: quadrant check --explain {}", check.id));
    }
    if found.is_failure() {
        item.details.push(format!("again: {}", findings.command(&check.id, on[0])));
    }
    item
}

/// What was declared to fail and does not, once for each declaration.
fn passing_now(findings: &Findings) -> Vec<Item> {
    let mut by_place: BTreeMap<&str, Vec<Found<'_>>> = BTreeMap::new();
    for found in findings.each().filter(Found::passes_now) {
        let place = found.known.map_or("", |known| &known.place);
        by_place.entry(place).or_default().push(found);
    }
    let item = |(place, found): (&str, Vec<Found<'_>>)| {
        let subjects: Vec<&str> = found.iter().map(|found| found.subject).collect();
        let (subjects, check) = (subjects.join(", "), &found[0].check.id);
        let text = format!("{check} on {subjects}: remove {place}, or narrow its `subject`");
        Item::new(Tint::Doubtful, "now passes", text)
    };
    by_place.into_iter().map(item).collect()
}

/// What kept checks from running, once for all of them.
fn unmeasured(findings: &Findings) -> impl Iterator<Item = Item> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for found in findings.each() {
        if let Answer::Unmeasured(reason) = found.answer {
            *counts.entry(reason).or_default() += 1;
        }
    }
    counts.into_iter().map(|(reason, count)| {
        let text = format!("{reason} ({})", counted(count, "check"));
        Item::new(Tint::Doubtful, "unmeasured", text)
    })
}

fn summary(findings: &Findings) -> String {
    let count = |wanted: fn(&Found<'_>) -> bool| findings.each().filter(wanted).count() as u64;
    let failed = count(|it| it.is_new_failure());
    let known = count(|it| it.is_known_failure());
    let passed = count(|it| matches!(it.answer, Answer::Found(Verdict::Pass { .. })));
    let unsupported = count(|it| it.answer.is_unsupported());
    let unmeasured = count(|it| it.answer.is_unmeasured());
    let all = findings.each().count() as u64;
    let answers = all - failed - known - passed - unsupported - unmeasured;
    let mut text = format!(
        "{passed} passed, {}, ",
        if failed == 0 { "none failed".to_owned() } else { format!("{failed} FAILED") }
    );
    if known > 0 {
        text += &format!("{}, ", counted(known, "known failure"));
    }
    text += &format!("{}, {unsupported} unsupported", counted(answers, "answer"));
    if unmeasured > 0 {
        text += &format!(", {unmeasured} could not be run");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{findings, known};
    use super::*;
    use crate::style::Style;
    use crate::terminal;

    #[test]
    fn each_outcome_has_its_mark_and_failures_their_reason() {
        let text = terminal::draw(&parts(&findings()), Style::PLAIN);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn known_failures_have_their_own_mark() {
        let mut findings = findings();
        findings.known = vec![known("a/b#1", false, &[(0, 0), (0, 1)])];
        findings.known.push(known("a/b#2", true, &[(2, 1)]));
        let text = terminal::draw(&parts(&findings), Style::PLAIN);
        insta::assert_snapshot!(text);
    }
}
