//! The list beneath a table: missed expectations, warnings and notes, each once, with the subjects
//! it is about.
//!
//! Never leaves out which subjects a remark is about. What is the same under every table is not
//! here: it stands once at the end (`shared_remarks`).

use crate::expectation_text::{expectation_text, missed_text};
use crate::figures::{Cell, status_word};
use crate::number::counted;
use crate::prose::clean;
use crate::ranged::Ranged;
use crate::record::Pass;
use crate::record::noise::is_of_machine;
use crate::table::{Item, Tint};

/// No two pings are further apart.
const PINGS_APART_MAX_NS: u64 = 5_000_000;

pub(crate) fn warning(subjects: &str, text: &str) -> Item {
    Item::new(Tint::Doubtful, "warning", clean(&format!("{subjects}: {text}")))
}

pub(crate) fn note(subjects: &str, text: &str) -> Item {
    Item::new(Tint::Dim, "note", clean(&format!("{subjects}: {text}")))
}

/// Missed expectations, then met ones, warnings and notes.
pub(crate) fn remarks(cells: &[Cell]) -> Vec<Item> {
    let mut remarks = expectations(cells);
    let warnings = once_each(warnings(cells), cells);
    remarks.extend(warnings.iter().map(|(subjects, text)| warning(subjects, text)));
    let undelayed = cells.iter().filter_map(|cell| Some((stalls_without_delay(cell)?, id(cell))));
    let notes = once_each(undelayed, cells);
    remarks.extend(notes.iter().map(|(subjects, text)| note(subjects, text)));
    remarks
}

fn id<'c>(cell: &'c Cell) -> &'c str {
    &cell.subject.id
}

fn warnings<'c>(cells: &'c [Cell]) -> Vec<(String, &'c str)> {
    let mut warnings = Vec::new();
    for cell in cells {
        let mut warn = |text: String| warnings.push((text, id(cell)));
        for record in &cell.trials {
            let own = record.warnings.iter().filter(|text| !is_of_machine(text));
            own.for_each(|text| warn(text.clone()));
            let errors = record.valid_metrics().map_or(0, |metrics| metrics.errors);
            if errors > 0 {
                warn(format!("{} among the operations", counted(errors, "error")));
            }
        }
        for (pass, noun, rest) in [(Pass::Alone, "trial", ""), (Pass::Turns, "start", " in turns")]
        {
            let lost: Vec<_> = cell.lost_trials(pass).collect();
            let Some(first) = lost.first() else { continue };
            let all = counted(cell.of_pass(pass).count() as u64, noun) + rest;
            let reason = first.reason.as_deref().unwrap_or("no reason was recorded");
            warn(format!("{} of {all} {}: {reason}", lost.len(), status_word(first.status)));
        }
    }
    warnings
}

/// Stalls that delayed no ping: the runtime moved what else was to be done to another thread
/// (`block_in_place`), or another worker went on. A stall on the loop that answers would have made
/// one ping late by its length, less the time until that ping came.
fn stalls_without_delay(cell: &Cell) -> Option<String> {
    let mut count = 0;
    for metrics in cell.trials.iter().filter_map(|record| record.valid_metrics()) {
        let stalls = &metrics.stalls;
        if stalls.count > 0 {
            let latest_ns = metrics.impact_ns.as_ref()?.max;
            if latest_ns + PINGS_APART_MAX_NS >= stalls.threshold_ns {
                return None;
            }
            count += stalls.count;
        }
    }
    (count > 0).then(|| {
        format!(
            "{} that delayed no ping: another thread went on meanwhile",
            counted(count, "stall")
        )
    })
}

/// Equal texts become one. Texts that differ in their numbers only (`at 83 %`, `at 91 %`) do
/// too, with the range each number went through.
fn once_each<'a>(
    said: impl IntoIterator<Item = (String, &'a str)>,
    cells: &[Cell],
) -> Vec<(String, String)> {
    let mut kinds: Vec<(Ranged, Vec<&str>)> = Vec::new();
    for (text, subject) in said {
        let text = Ranged::of(&clean(&text));
        match kinds.iter_mut().find(|(known, _)| known.words == text.words) {
            Some((known, subjects)) => {
                known.widen(&text);
                if !subjects.contains(&subject) {
                    subjects.push(subject);
                }
            }
            None => kinds.push((text, vec![subject])),
        }
    }
    kinds.iter().map(|(text, subjects)| (about(subjects, cells), text.text())).collect()
}

/// The subjects that a remark is about, or the one that it is not about.
fn about(subjects: &[&str], cells: &[Cell]) -> String {
    let measured: Vec<&str> =
        cells.iter().filter(|cell| cell.figures().is_some()).map(id).collect();
    let others: Vec<&str> = measured.iter().copied().filter(|id| !subjects.contains(id)).collect();
    let only_measured = subjects.iter().all(|id| measured.contains(id));
    match others.as_slice() {
        _ if !only_measured || subjects.len() < 2 => subjects.join(", "),
        [] => "all measured".to_owned(),
        [one] if subjects.len() > 2 => format!("all measured but {one}"),
        _ => subjects.join(", "),
    }
}

/// The missed ones, one line for each subject, and then those that every trial met.
fn expectations(cells: &[Cell]) -> Vec<Item> {
    let mut known: Vec<&str> = Vec::new();
    for record in cells.iter().flat_map(|cell| &cell.trials) {
        for checked in record.demands() {
            if !known.contains(&checked.expected.as_str()) {
                known.push(&checked.expected);
            }
        }
    }
    let (mut items, mut met) = (Vec::new(), Vec::new());
    for expected in known {
        let before = items.len();
        for cell in cells {
            let all = cell.trials.iter().flat_map(|record| record.demands());
            let all: Vec<_> = all.filter(|checked| checked.expected == expected).collect();
            let missed: Vec<_> = all.iter().filter(|checked| !checked.met).collect();
            if let Some(first) = missed.first() {
                let text = match &first.answer {
                    // Asked once, not in each trial.
                    Some(answer) => format!("{expected}, saw {answer}"),
                    None => {
                        let seen: Vec<_> = missed.iter().map(|checked| checked.seen).collect();
                        let trials = counted(all.len() as u64, "trial");
                        format!("{} in {} of {trials}", missed_text(expected, &seen), seen.len())
                    }
                };
                let text = format!("{}: {text}", id(cell));
                items.push(Item::new(Tint::Bold, "not as expected", clean(&text)));
            }
        }
        if items.len() == before {
            met.push(expectation_text(expected));
        }
    }
    if !met.is_empty() {
        let count = counted(met.len() as u64, "expectation");
        let everywhere = if items.is_empty() { " in every trial" } else { "" };
        let text = format!("{count} met{everywhere}: {}", met.join(", "));
        items.push(Item::new(Tint::Good, "as expected", text));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, Status};
    use crate::tests::sample;

    /// The subjects and texts of the remarks of one kind.
    fn of_kind(kind: &str, records: &[Record]) -> Vec<(String, String)> {
        let remarks = remarks(&Cell::all_of(records)).into_iter().filter(|item| item.name == kind);
        let split = |item: Item| {
            let (subjects, text) = item.text.split_once(": ").unwrap();
            (subjects.to_owned(), text.to_owned())
        };
        remarks.map(split).collect()
    }

    fn warned(id: &str, trial: u32, text: &str) -> Record {
        Record { warnings: vec![text.to_owned()], ..sample::ok(id, trial, 10.0, 5) }
    }

    #[track_caller]
    fn check(records: &[Record], expected: &[(&str, &str)]) {
        let seen = of_kind("warning", records);
        let seen: Vec<(&str, &str)> =
            seen.iter().map(|(who, text)| (who.as_str(), text.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn equal_warnings_become_one_with_ranges() {
        check(
            &[
                warned("a/b/c", 0, "driver at 83 % of 96,000, 0.5 s late."),
                warned("a/b/c", 1, "driver at 9 % of 96,000, 0.5 s late."),
                warned("d/e/f", 0, "driver at 91.5 % of 101,000, 0.5 s late."),
            ],
            &[("all measured", "driver at 9…91.5 % of 96,000…101,000, 0.5 s late.")],
        );
    }

    #[test]
    fn a_warning_names_its_subjects() {
        let ids = ["a/b/c", "d/e/f", "g/h/i", "j/k/l"];
        let with = |who: &[&str]| -> Vec<Record> {
            ids.iter()
                .map(|id| match who.contains(id) {
                    true => warned(id, 0, "noisy"),
                    false => sample::ok(id, 0, 10.0, 5),
                })
                .collect()
        };
        check(&with(&ids[..1]), &[("a/b/c", "noisy")]);
        check(&with(&ids[..2]), &[("a/b/c, d/e/f", "noisy")]);
        check(&with(&ids[..3]), &[("all measured but j/k/l", "noisy")]);
        check(&with(&ids), &[("all measured", "noisy")]);
    }

    #[test]
    fn trials_lost_to_an_interruption_give_a_warning() {
        check(
            &[
                sample::ok("a/b/c", 0, 10.0, 5),
                sample::no_figures("a/b/c", 1, Status::Unmeasured, Some("interrupted")),
            ],
            &[("a/b/c", "1 of 2 trials unmeasured: interrupted")],
        );
    }

    #[test]
    fn stalls_that_delayed_no_ping_are_noted() {
        let stalled = |trial, count, latest_ns| {
            sample::edit(sample::ok("a/b/c", trial, 10.0, 5), |metrics| {
                metrics.stalls.count = count;
                metrics.impact_ns.as_mut().unwrap().max = latest_ns;
            })
        };
        let said = |records: &[Record]| -> Vec<String> {
            of_kind("note", records).into_iter().map(|(_, text)| text).collect()
        };
        let undelayed = "42 stalls that delayed no ping: another thread went on meanwhile";
        assert_eq!(said(&[stalled(0, 40, 400_000), stalled(1, 2, 4_999_999)]), [undelayed]);
        // The last ping of a stall of 10 ms may have come 5 ms after its beginning.
        assert!(said(&[stalled(0, 40, 400_000), stalled(1, 2, 5_000_000)]).is_empty());
        // Without a stall it does not matter why a ping is late.
        assert_eq!(said(&[stalled(0, 42, 400_000), stalled(1, 0, 90_000_000)]), [undelayed]);
        assert!(said(&[stalled(0, 0, 400_000)]).is_empty());
        let mut unpinged = stalled(0, 42, 0);
        unpinged.metrics.as_mut().unwrap().impact_ns = None;
        assert!(said(&[unpinged]).is_empty());
    }

    #[test]
    fn errors_among_operations_give_a_warning() {
        let record = sample::edit(sample::ok("a/b/c", 0, 10.0, 5), |metrics| metrics.errors = 1);
        check(&[record], &[("a/b/c", "1 error among the operations")]);
    }

    #[test]
    fn expectations_are_shown_with_units() {
        for (expected, seen, text) in [
            (
                "latency.p99 <= 5000000",
                Some(7_210_000.0),
                "latency.p99 ≤ 5 ms, saw 7.21 ms in 1 of 1 trial",
            ),
            (
                "rss.peak < 1048576",
                Some(2_097_152.0),
                "rss.peak < 1.0 MiB, saw 2.0 MiB in 1 of 1 trial",
            ),
            ("threads.peak = 3", Some(1_026.0), "threads.peak = 3, saw 1,026 in 1 of 1 trial"),
            (
                "ops_per_sec >= 2000",
                Some(1_500.0),
                "ops_per_sec ≥ 2.00 k/s, saw 1.50 k/s in 1 of 1 trial",
            ),
            (
                "cpu_ns_per_op < 9000",
                None,
                "cpu_ns_per_op < 9 µs, saw nothing to measure in 1 of 1 trial",
            ),
            (
                "latency.p99 < 16000000",
                Some(16_003_071.0),
                "latency.p99 < 16,000,000 ns, saw 16,003,071 ns in 1 of 1 trial",
            ),
            (
                "ops_per_sec >= 2000",
                Some(1_999.6),
                "ops_per_sec ≥ 2,000/s, saw 1999.6/s in 1 of 1 trial",
            ),
            ("something later", Some(1.0), "something later, saw 1 in 1 of 1 trial"),
        ] {
            let mut record = sample::ok("a/b/c", 0, 10.0, 5);
            record.expectations = vec![crate::record::CheckedExpectation {
                expected: expected.into(),
                when: Vec::new(),
                seen,
                answer: None,
                met: false,
            }];
            assert_eq!(of_kind("not as expected", &[record])[0].1, text);
        }
    }

    #[test]
    fn a_missed_behaviour_shows_the_answer() {
        let mut record = sample::ok("a/b/c", 0, 10.0, 5);
        record.expectations = vec![crate::record::CheckedExpectation {
            expected: "behaviours.handle-drop = cancels".to_owned(),
            when: Vec::new(),
            seen: None,
            answer: Some("detaches: the task went on to its end".to_owned()),
            met: false,
        }];
        let missed = of_kind("not as expected", &[record]);
        let text = "behaviours.handle-drop = cancels, saw detaches: the task went on to its end";
        assert_eq!(missed[0].1, text);
    }
}
