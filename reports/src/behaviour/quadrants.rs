//! In which quadrant each operation is: a matrix, the picture of the four, and the evidence.
//!
//! Never names a quadrant that was not found.

use quadrant_suite::checks::Verdict;

use super::matrix::{column, columns};
use super::{Answer, Findings, Found};
use crate::number::counted;
use crate::table::{Cell, Heading, Item, Part, Table, Tint};

/// The answers in words, and their marks in the matrix.
const MARKS: [(&str, &str); 6] = [
    ("sync blocking", "sb"),
    ("sync non-blocking", "sn"),
    ("async blocking", "ab"),
    ("async non-blocking", "an"),
    ("mixed", "mx"),
    ("deadlocks", "∞"),
];
const QUESTIONS: &str = "\
blocking: control comes back with the result only; non-blocking: at once. sync: the work waits for \
the task's own thread; async: another thread or the system does it meanwhile.";

pub(super) fn parts(findings: &Findings, with_evidence: bool) -> Vec<Part> {
    let mut parts = vec![
        Part::Heading(Heading {
            facts: vec![
                counted(findings.checks.len() as u64, "operation"),
                counted(findings.subjects.len() as u64, "subject"),
            ],
            ..Heading::new("quadrants")
        }),
        columns(findings),
        Part::Table(matrix(findings)),
        Part::Text(Tint::Dim, legend(findings)),
        Part::Table(picture(findings)),
        Part::Text(Tint::Dim, QUESTIONS.to_owned()),
    ];
    let (others, evidence) = (others(findings), evidence(findings, with_evidence));
    parts.extend([others, evidence].into_iter().filter(|it| !it.is_empty()).map(Part::List));
    parts
}

fn matrix(findings: &Findings) -> Table {
    let numbers: Vec<String> = (0..findings.subjects.len()).map(column).collect();
    let headings: Vec<&str> =
        ["operation"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let mut table = Table::new(&headings);
    for (row, check) in findings.checks.iter().enumerate() {
        table.push(&*check.id, findings.of_check(row).map(mark));
    }
    table
}

fn mark(found: Found<'_>) -> Cell {
    let (mark, tint) = match found.answer {
        Answer::Found(Verdict::Answer { word, .. }) => {
            let known = MARKS.iter().find(|(name, _)| name == word);
            (known.map_or(word.as_str(), |(_, mark)| mark), tint_of(word))
        }
        Answer::Found(Verdict::Unsupported { .. }) => ("·", Tint::Dim),
        Answer::Hung(_) => ("∞", Tint::Bad),
        Answer::Crashed(_) => ("†", Tint::Bad),
        Answer::Found(Verdict::Fail { .. }) => ("✗", Tint::Bad),
        _ => ("?", Tint::Doubtful),
    };
    Cell::words(mark).tinted(tint)
}

fn tint_of(word: &str) -> Tint {
    match word {
        "sync blocking" | "async blocking" => Tint::Doubtful,
        "deadlocks" => Tint::Bad,
        _ => Tint::Plain,
    }
}

/// Of the marks that occur.
fn legend(findings: &Findings) -> String {
    let words = MARKS.iter().filter(|(word, _)| findings.each().any(|it| is_answer(it, word)));
    let mut marks: Vec<String> = words.map(|(word, mark)| format!("{mark} {word}")).collect();
    let has = |wanted: fn(&Answer) -> bool| findings.each().any(|it| wanted(it.answer));
    for (occurs, mark) in [
        (has(Answer::is_unsupported), "· unsupported"),
        (has(Answer::is_unmeasured), "? unmeasured"),
        (has(|it| matches!(it, Answer::Found(Verdict::Fail { .. }))), "✗ failed"),
        (has(|it| matches!(it, Answer::Crashed(_))), "† crashed"),
    ] {
        marks.extend(occurs.then(|| mark.to_owned()));
    }
    marks.join(", ")
}

fn is_answer(found: Found<'_>, wanted: &str) -> bool {
    matches!(found.answer, Answer::Found(Verdict::Answer { word, .. }) if word == wanted)
}

/// The operations of a quadrant; how many of the subjects, if not all that can.
fn names(findings: &Findings, wanted: &str) -> Vec<String> {
    let of_row = |row: usize| {
        let (mut there, mut able) = (0, 0);
        for found in findings.of_check(row) {
            there += usize::from(is_answer(found, wanted));
            able += usize::from(!found.answer.is_unsupported() && !found.answer.is_unmeasured());
        }
        let id = &findings.checks[row].id;
        match there {
            0 => None,
            all if all == able => Some(id.clone()),
            some => Some(format!("{id} ({some} of {able})")),
        }
    };
    (0..findings.checks.len()).filter_map(of_row).collect()
}

/// The four quadrants with the operations in them.
fn picture(findings: &Findings) -> Table {
    let mut table = Table::new(&["", "blocking", "non-blocking"]);
    for side in ["sync", "async"] {
        let [blocking, non_blocking] =
            ["blocking", "non-blocking"].map(|word| names(findings, &format!("{side} {word}")));
        for line in 0..blocking.len().max(non_blocking.len()).max(1) {
            let name = if line == 0 { side } else { "" };
            let cell = |names: &[String]| Cell::words(names.get(line).cloned().unwrap_or_default());
            table.push(name, [cell(&blocking), cell(&non_blocking)]);
        }
    }
    table
}

/// What is in none of the four.
fn others(findings: &Findings) -> Vec<Item> {
    let of_word = |word: &str| {
        let names = names(findings, word);
        (!names.is_empty()).then(|| Item::new(tint_of(word), word, names.join(", ")))
    };
    ["mixed", "deadlocks"].into_iter().filter_map(of_word).collect()
}

/// What was seen, of one subject or if it is asked for; failures always.
fn evidence(findings: &Findings, is_wanted: bool) -> Vec<Item> {
    let is_single = findings.subjects.len() == 1;
    let is_shown = |found: &Found<'_>| match found.answer {
        Answer::Found(Verdict::Answer { .. } | Verdict::Unsupported { .. }) => {
            is_wanted || is_single
        }
        _ => true,
    };
    let item = |found: Found<'_>| {
        let name = if is_single {
            found.check.id.clone()
        } else {
            format!("{} on {}", found.check.id, found.subject)
        };
        Item::new(Tint::Plain, name, format!("{}: {}", found.answer.short(), found.answer.text()))
    };
    findings.each().filter(is_shown).map(item).collect()
}

#[cfg(test)]
mod tests {
    use quadrant_suite::checks::Kind;

    use super::super::tests::asked;
    use super::*;
    use crate::style::Style;
    use crate::terminal;

    fn word(word: &str) -> Answer {
        let seen = "control back after 4 µs".to_owned();
        Answer::Found(Verdict::Answer { word: word.to_owned(), seen })
    }

    fn found() -> Findings {
        let checks = ["recv-await", "recv-blocking", "recv-forced", "sleep-await"];
        let no_timers = Answer::Found(Verdict::Unsupported { reason: "no timers".to_owned() });
        Findings {
            checks: checks.iter().map(|id| asked(id, "quadrants", Kind::Differs)).collect(),
            subjects: vec!["a/one/epoll".to_owned(), "b/two/io_uring".to_owned()],
            answers: vec![
                vec![word("sync non-blocking"), word("async non-blocking")],
                vec![word("sync blocking"), word("sync blocking")],
                vec![word("async blocking"), word("deadlocks")],
                vec![word("sync non-blocking"), no_timers],
            ],
            ..Findings::default()
        }
    }

    #[test]
    fn operations_stand_in_their_quadrants() {
        insta::assert_snapshot!(terminal::draw(&parts(&found(), false), Style::PLAIN));
    }

    #[test]
    fn one_subject_has_its_evidence() {
        let mut one = found();
        one.subjects.truncate(1);
        one.answers.iter_mut().for_each(|row| row.truncate(1));
        insta::assert_snapshot!(terminal::draw(&parts(&one, false), Style::PLAIN));
    }
}
