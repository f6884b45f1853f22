//! Remarks that would stand beneath one table after another: once, at the end of a run. Warnings
//! about the machine, and notes on subjects.
//!
//! Never keeps a record, and grows with the subjects of a run, not with its cases.

use std::collections::BTreeSet;

use crate::figures::Cell;
use crate::number::counted;
use crate::prose::clean;
use crate::ranged::Ranged;
use crate::record::noise::is_of_machine;
use crate::remarks::{note, warning};
use crate::table::{Item, Part};

/// A warning about the machine names no more subjects than this.
const NAMES_MAX: usize = 3;

/// One remark of one case, about one subject.
#[derive(Debug)]
pub(crate) struct Remark {
    is_warning: bool,
    subject: String,
    text: String,
}

/// The remarks of the cases so far.
#[derive(Debug, Default)]
pub(crate) struct SharedRemarks {
    cases: u64,
    measured: BTreeSet<String>,
    kinds: Vec<Kind>,
}

/// Remarks with the same words.
#[derive(Debug)]
struct Kind {
    is_warning: bool,
    text: Ranged,
    subjects: BTreeSet<String>,
    cases: u64,
    /// The case that was counted last.
    last: u64,
}

pub(crate) fn of_case(cells: &[Cell]) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut add = |is_warning, cell: &Cell, text: &str| {
        let (subject, text) = (clean(&cell.subject.id), clean(text));
        remarks.push(Remark { is_warning, subject, text });
    };
    for cell in cells {
        for record in &cell.trials {
            let of_machine = record.warnings.iter().filter(|text| is_of_machine(text));
            of_machine.for_each(|text| add(true, cell, text));
        }
        if let Some(text) = &cell.subject.note {
            add(false, cell, text);
        }
        if cell.is_only_reference() {
            let text = "the reference: it ran in the same turns, so that groups and runs can be \
                        joined by the ratios to it";
            add(false, cell, text);
        }
    }
    // Where a number was asked for, a column shows it of every subject.
    if cells.iter().all(|cell| cell.workers_asked().is_none()) {
        few_workers(cells, &mut |cell, text| add(false, cell, text));
    }
    remarks
}

/// The subjects with fewer workers than others: their figures cannot be compared, and the names of
/// their executors do not always show it. A thread for each task has no workers.
fn few_workers(cells: &[Cell], add: &mut impl FnMut(&Cell, &str)) {
    let measured = cells.iter().filter(|cell| cell.figures().is_some());
    let most = measured.clone().map(|cell| cell.subject.workers).max().unwrap_or_default();
    for cell in measured.filter(|cell| (1..most).contains(&cell.subject.workers)) {
        let workers = counted(cell.subject.workers.into(), "worker");
        add(cell, &format!("{workers}, where others have {most}"));
    }
}

impl SharedRemarks {
    /// Takes the remarks of one case and the names of its subjects with figures.
    pub(crate) fn add<'a>(
        &mut self,
        remarks: Vec<Remark>,
        measured: impl Iterator<Item = &'a String>,
    ) {
        self.cases += 1;
        self.measured.extend(measured.cloned());
        for Remark { is_warning, subject, text } in remarks {
            let text = Ranged::of(&text);
            let is_same =
                |kind: &&mut Kind| kind.is_warning == is_warning && kind.text.words == text.words;
            match self.kinds.iter_mut().find(is_same) {
                Some(kind) => {
                    kind.text.widen(&text);
                    kind.subjects.insert(subject);
                    kind.cases += u64::from(kind.last != self.cases);
                    kind.last = self.cases;
                }
                None => self.kinds.push(Kind {
                    is_warning,
                    text,
                    subjects: [subject].into(),
                    cases: 1,
                    last: self.cases,
                }),
            }
        }
    }

    /// Warnings first.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let warnings = self.kinds.iter().filter(|kind| kind.is_warning);
        let notes = self.kinds.iter().filter(|kind| !kind.is_warning);
        let items: Vec<Item> = warnings.chain(notes).map(|kind| self.item(kind)).collect();
        if items.is_empty() { Vec::new() } else { vec![Part::List(items)] }
    }

    fn item(&self, kind: &Kind) -> Item {
        let count = kind.subjects.len();
        let names: Vec<&str> = kind.subjects.iter().map(String::as_str).collect();
        let subjects = if count > 1 && self.measured == kind.subjects {
            "all measured".to_owned()
        } else if kind.is_warning && count > NAMES_MAX {
            counted(count as u64, "subject")
        } else {
            names.join(", ")
        };
        let mut text = kind.text.text();
        if self.cases > 1 {
            text.push_str(&format!(" ({} of {} cases)", kind.cases, self.cases));
        }
        if kind.is_warning { warning(&subjects, &text) } else { note(&subjects, &text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::tests::sample;

    #[track_caller]
    fn check(cases: &[Vec<Record>], expected: &[&str]) {
        let mut shared = SharedRemarks::default();
        for case in cases {
            let measured: Vec<String> = case.iter().map(|it| it.subject.id.clone()).collect();
            shared.add(of_case(&Cell::all_of(case)), measured.iter());
        }
        let parts = shared.parts();
        let seen = parts.iter().flat_map(|part| match part {
            Part::List(items) => items.iter().map(|item| item.text.as_str()).collect(),
            _ => Vec::new(),
        });
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    fn warned(id: &str, text: &str) -> Record {
        Record { warnings: vec![text.to_owned()], ..sample::ok(id, 0, 10.0, 5) }
    }

    #[test]
    fn the_machine_is_warned_of_once_a_run() {
        let steal = |percent| format!("the host took {percent} % of the CPU time");
        let first = vec![warned("a/b/c", &steal(2)), warned("d/e/f", &steal(9))];
        check(std::slice::from_ref(&first), &["all measured: the host took 2…9 % of the CPU time"]);
        let second = vec![warned("a/b/c", &steal(12)), sample::ok("g/h/i", 0, 10.0, 5)];
        let third = vec![warned("a/b/c", "its own warning")];
        check(
            &[first, second, third],
            &["a/b/c, d/e/f: the host took 2…12 % of the CPU time (2 of 3 cases)"],
        );
    }

    #[test]
    fn many_subjects_are_counted() {
        let ids = ["a/b/c", "d/e/f", "g/h/i", "j/k/l"];
        let mut case: Vec<Record> =
            ids.iter().map(|id| warned(id, "other processes used 9 %")).collect();
        case.push(sample::ok("m/n/o", 0, 10.0, 5));
        check(&[case], &["4 subjects: other processes used 9 %"]);
    }

    #[test]
    fn fewer_workers_are_noted_once() {
        let with = |workers: &[u32]| -> Vec<Record> {
            let ids = ["a/b/c", "d/e/f", "g/h/i", "j/k/l"];
            let with = |(id, workers): (&str, &u32)| {
                let mut record = sample::ok(id, 0, 10.0, 5);
                record.subject.workers = *workers;
                record
            };
            ids.into_iter().zip(workers).map(with).collect()
        };
        check(&[with(&[2, 2, 0, 2])], &[]);
        check(&[with(&[1, 0])], &[]);
        check(&[with(&[2, 1, 0, 1])], &["d/e/f, j/k/l: 1 worker, where others have 2"]);
    }
}
