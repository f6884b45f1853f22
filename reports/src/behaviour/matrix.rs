//! The matrix of checks and subjects, with the reasons beneath it.
//!
//! Never shortens a reason.

use std::collections::BTreeMap;

use quadrant_suite::checks::{Kind, Verdict};

use super::{Answer, Asked, Findings};
use crate::number::counted;
use crate::table::{Cell, Heading, Item, Part, Table, Tint};

const LEGEND: &str = "✓ pass, ✗ fail, ∞ hung, † crashed, · unsupported, ? unmeasured, a b c … answers, \
explained at the end of their row. Where runtimes may differ, no answer is a failure.";

pub(super) fn parts(findings: &Findings) -> Vec<Part> {
    let subjects = findings.subjects.iter().enumerate();
    let columns = subjects.map(|(index, id)| Item::new(Tint::Bold, column(index), id.as_str()));
    let mut parts = vec![
        Part::Heading(Heading {
            facts: vec![
                counted(findings.checks.len() as u64, "check"),
                counted(findings.subjects.len() as u64, "subject"),
                format!("seed {}", findings.seed),
            ],
            ..Heading::new("behaviour")
        }),
        Part::List(columns.collect()),
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

/// A narrow name: subjects are numbered.
fn column(index: usize) -> String {
    (index + 1).to_string()
}

/// A table for each group, without the numbers.
fn groups(findings: &Findings) -> Vec<Part> {
    let rows = || findings.checks.iter().zip(&findings.answers);
    let mut names: Vec<&str> = Vec::new();
    for (check, _) in rows() {
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
        for (check, answers) in rows().filter(|(check, _)| wanted(check)) {
            let words = words(answers);
            let marks = answers.iter().map(|answer| mark(answer, check.kind, &words));
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

fn mark(answer: &Answer, kind: Kind, words: &BTreeMap<String, char>) -> Cell {
    let (mark, tint) = match answer {
        Answer::Found(Verdict::Pass { .. }) => ("✓".to_owned(), Tint::Good),
        Answer::Found(Verdict::Fail { .. }) => ("✗".to_owned(), Tint::Bad),
        Answer::Found(Verdict::Answer { word, .. }) => (words[word].to_string(), Tint::Plain),
        Answer::Found(Verdict::Number { .. }) => (answer.text(), Tint::Plain),
        Answer::Found(Verdict::Unsupported { .. }) => ("·".to_owned(), Tint::Dim),
        Answer::Hung(_) => ("∞".to_owned(), failure_tint(answer, kind)),
        Answer::Crashed(_) => ("†".to_owned(), failure_tint(answer, kind)),
        Answer::Unmeasured(_) => ("?".to_owned(), Tint::Doubtful),
    };
    Cell::words(mark).tinted(tint)
}

fn failure_tint(answer: &Answer, kind: Kind) -> Tint {
    if answer.is_failure(kind) { Tint::Bad } else { Tint::Doubtful }
}

/// The numbers, with a row for each subject.
fn numbers(findings: &Findings) -> Option<Part> {
    let metrics = || {
        let rows = findings.checks.iter().zip(&findings.answers);
        rows.filter(|(check, _)| check.kind == Kind::Metric)
    };
    let headings: Vec<&str> =
        ["numbers"].into_iter().chain(metrics().map(|(check, _)| &*check.id)).collect();
    let mut table = Table::new(&headings);
    for (index, subject) in findings.subjects.iter().enumerate() {
        let cell = |answers: &Vec<Answer>| match &answers[index] {
            Answer::Found(Verdict::Number { value, unit }) => {
                Cell::number(super::number(*value)).with(format!(" {unit}"))
            }
            other => mark(other, Kind::Metric, &BTreeMap::new()),
        };
        table.push(subject.as_str(), metrics().map(|(_, answers)| cell(answers)));
    }
    (headings.len() > 1).then_some(Part::Table(table))
}

/// Why a check failed, hung, crashed or was not run. One reason of several subjects stands once.
fn reasons(findings: &Findings) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (check, answers) in findings.checks.iter().zip(&findings.answers) {
        let mut by_reason: Vec<(&Answer, Vec<&str>)> = Vec::new();
        for (subject, answer) in findings.subjects.iter().zip(answers) {
            // What is unsupported is plain in the matrix, and often the same in many checks.
            let is_shown = match answer {
                Answer::Found(Verdict::Fail { .. }) | Answer::Hung(_) | Answer::Crashed(_) => true,
                answer => answer.is_unsupported() && findings.checks.len() == 1,
            };
            if !is_shown {
                continue;
            }
            match by_reason.iter_mut().find(|(other, _)| *other == answer) {
                Some((_, subjects)) => subjects.push(subject),
                None => by_reason.push((answer, vec![subject])),
            }
        }
        for (answer, subjects) in by_reason {
            let tint = failure_tint(answer, check.kind);
            let mut item = Item::new(
                tint,
                check.id.as_str(),
                format!("{}: {}", answer.short(), answer.text()),
            );
            item.details.push(format!("on {}", subjects.join(", ")));
            if answer.is_failure(check.kind) {
                item.details.push(check.why.clone());
                item.details.push(format!("again: {}", findings.command(&check.id, subjects[0])));
            }
            items.push(item);
        }
    }
    items.extend(unmeasured(findings));
    // A single check shows what it has seen everywhere.
    if let ([check], [answers]) = (&findings.checks[..], &findings.answers[..]) {
        let seen = findings.subjects.iter().zip(answers).filter_map(|(subject, answer)| {
            let is_shown = !answer.is_failure(check.kind) && !answer.is_unsupported();
            let text = format!("{}: {}", answer.short(), answer.text());
            is_shown.then(|| Item::new(Tint::Plain, subject.as_str(), text))
        });
        items.push(Item::new(Tint::Plain, check.id.as_str(), check.question.as_str()));
        items.extend(seen);
    }
    items
}

/// What kept checks from running, once for all of them.
fn unmeasured(findings: &Findings) -> impl Iterator<Item = Item> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, _, answer) in findings.each() {
        if let Answer::Unmeasured(reason) = answer {
            *counts.entry(reason).or_default() += 1;
        }
    }
    counts.into_iter().map(|(reason, count)| {
        let text = format!("{reason} ({})", counted(count, "check"));
        Item::new(Tint::Doubtful, "unmeasured", text)
    })
}

fn summary(findings: &Findings) -> String {
    let count = |wanted: fn(&Answer) -> bool| {
        findings.each().filter(|(_, _, answer)| wanted(answer)).count() as u64
    };
    let failed = findings.failures().count() as u64;
    let passed = count(|answer| matches!(answer, Answer::Found(Verdict::Pass { .. })));
    let unsupported = count(Answer::is_unsupported);
    let unmeasured = count(Answer::is_unmeasured);
    let answers = findings.each().count() as u64 - failed - passed - unsupported - unmeasured;
    let mut text = format!(
        "{passed} passed, {}, {}, {unsupported} unsupported",
        if failed == 0 { "none failed".to_owned() } else { format!("{failed} FAILED") },
        counted(answers, "answer")
    );
    if unmeasured > 0 {
        text += &format!(", {unmeasured} could not be run");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::findings;
    use super::*;
    use crate::style::Style;
    use crate::terminal;

    #[test]
    fn each_outcome_has_its_mark_and_failures_their_reason() {
        let text = terminal::draw(&parts(&findings()), Style::PLAIN);
        insta::assert_snapshot!(text);
    }
}
