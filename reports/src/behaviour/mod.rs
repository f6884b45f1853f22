//! What the behaviour kit has found: one answer for each check and subject, and how they are shown.
//!
//! Pure: answers come in, tables and files go out. No answer is ever left out.

mod difference;
mod junit;
mod known;
mod matrix;
mod quadrants;

use quadrant_suite::checks::{Kind, Verdict};
use serde::Serialize;
use serde_json::json;

use crate::format::Format;
use crate::style::Style;

pub use known::KnownFailure;

/// One check, as far as its answers are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    pub id: String,
    /// Checks of one group stand together.
    pub group: String,
    pub question: String,
    pub why: String,
    pub kind: Kind,
}

/// How one check ended on one subject.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Found(Verdict),
    /// No answer within the limit.
    Hung(String),
    /// The process ended without an answer.
    Crashed(String),
    /// The check could not be run: no fault of the subject.
    Unmeasured(String),
}

impl Answer {
    /// The text that explains it.
    pub fn text(&self) -> String {
        match self {
            Answer::Found(
                Verdict::Pass { seen } | Verdict::Fail { seen } | Verdict::Answer { seen, .. },
            )
            | Answer::Hung(seen)
            | Answer::Crashed(seen) => seen.clone(),
            Answer::Found(Verdict::Number { value, unit }) => format!("{} {unit}", number(*value)),
            Answer::Found(Verdict::Unsupported { reason }) | Answer::Unmeasured(reason) => {
                reason.clone()
            }
        }
    }

    /// In one or two words, for comparing subjects.
    pub fn short(&self) -> String {
        let word = match self {
            Answer::Found(Verdict::Pass { .. }) => "pass",
            Answer::Found(Verdict::Fail { .. }) => "FAIL",
            Answer::Found(Verdict::Answer { word, .. }) => word,
            Answer::Found(Verdict::Number { .. }) => return self.text(),
            Answer::Found(Verdict::Unsupported { .. }) => "unsupported",
            Answer::Hung(_) => "hangs",
            Answer::Crashed(_) => "crashes",
            Answer::Unmeasured(_) => "unmeasured",
        };
        word.to_owned()
    }

    /// Whether it breaks a rule. Where runtimes may differ, to hang or to crash is an answer too.
    pub fn is_failure(&self, kind: Kind) -> bool {
        match self {
            Answer::Found(verdict) => matches!(verdict, Verdict::Fail { .. }),
            Answer::Hung(_) | Answer::Crashed(_) => kind != Kind::Differs,
            Answer::Unmeasured(_) => false,
        }
    }

    pub fn is_unsupported(&self) -> bool {
        matches!(self, Answer::Found(Verdict::Unsupported { .. }))
    }

    pub fn is_unmeasured(&self) -> bool {
        matches!(self, Answer::Unmeasured(_))
    }
}

/// With three digits.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// All answers of one call.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub checks: Vec<Asked>,
    /// Ids of the subjects, in the order of the columns.
    pub subjects: Vec<String>,
    /// For each check, an answer for each subject.
    pub answers: Vec<Vec<Answer>>,
    pub seed: u64,
    /// What was declared beforehand to fail.
    pub known: Vec<KnownFailure>,
}

/// One answer, with what it is the answer to.
#[derive(Clone, Copy)]
pub struct Found<'f> {
    pub check: &'f Asked,
    pub subject: &'f str,
    pub answer: &'f Answer,
    /// The declaration that this check fails on this subject.
    pub known: Option<&'f KnownFailure>,
}

impl Found<'_> {
    pub fn is_failure(&self) -> bool {
        self.answer.is_failure(self.check.kind)
    }

    /// A failure that was declared, by a declaration that has not expired.
    pub fn is_known_failure(&self) -> bool {
        self.is_failure() && self.known.is_some_and(|known| !known.is_expired)
    }

    /// A failure that counts.
    pub fn is_new_failure(&self) -> bool {
        self.is_failure() && !self.is_known_failure()
    }

    /// Whether it was declared to fail, and ran, and did not.
    pub fn passes_now(&self) -> bool {
        let has_run = !self.answer.is_unsupported() && !self.answer.is_unmeasured();
        self.known.is_some() && has_run && !self.is_failure()
    }
}

impl Findings {
    /// Each answer, with its check and subject.
    pub fn each(&self) -> impl Iterator<Item = Found<'_>> {
        (0..self.checks.len()).flat_map(|row| self.of_check(row))
    }

    /// The answers of one check, in the order of the subjects.
    fn of_check(&self, row: usize) -> impl Iterator<Item = Found<'_>> {
        let subjects = self.subjects.iter().zip(&self.answers[row]).enumerate();
        subjects.map(move |(column, (subject, answer))| Found {
            check: &self.checks[row],
            subject,
            answer,
            known: known::of_cell(&self.known, (row, column)),
        })
    }

    /// Those that were not known before.
    pub fn failures(&self) -> impl Iterator<Item = Found<'_>> {
        self.each().filter(Found::is_new_failure)
    }

    /// Whether any check really ran on any subject.
    pub fn has_answers(&self) -> bool {
        self.each().map(|it| it.answer).any(|it| !it.is_unsupported() && !it.is_unmeasured())
    }

    fn command(&self, check: &str, subject: &str) -> String {
        // Options have letters that a shell would act on.
        let quote = if subject.contains('?') { "'" } else { "" };
        format!("quadrant check {check} -r {quote}{subject}{quote} --seed {}", self.seed)
    }

    pub fn text(&self, format: Format, style: Style) -> String {
        match format {
            Format::Junit => junit::write(self),
            _ => format.text(style, || matrix::parts(self), || self.json()),
        }
    }

    /// In which quadrant the operations are; the evidence too, if it is wanted.
    pub fn quadrants(&self, format: Format, style: Style, with_evidence: bool) -> String {
        format.text(style, || quadrants::parts(self, with_evidence), || self.json())
    }

    /// What changes for code that moves from the first subject to the second.
    pub fn difference(&self, format: Format, style: Style) -> String {
        let [from, to] = [0, 1].map(|index| self.subjects.get(index).map_or("", String::as_str));
        format.text(style, || difference::moving(self, from, to), || self.json())
    }

    /// The checks without answers.
    pub fn list(&self, format: Format, style: Style) -> String {
        let json = || json!(self.checks);
        format.text(style, || matrix::list(&self.checks), json)
    }

    fn json(&self) -> serde_json::Value {
        let answers = self.each().map(|found| {
            let Found { check, subject, answer, known } = found;
            let outcome = match answer {
                Answer::Found(verdict) => json!(verdict),
                Answer::Hung(seen) => json!({"hung": {"seen": seen}}),
                Answer::Crashed(seen) => json!({"crashed": {"seen": seen}}),
                Answer::Unmeasured(reason) => json!({"unmeasured": {"reason": reason}}),
            };
            json!({
                "check": check.id, "group": check.group, "kind": check.kind, "subject": subject,
                "outcome": outcome, "failed": found.is_failure(),
                "known": known.map(KnownFailure::json),
                "repeat": self.command(&check.id, subject),
            })
        });
        json!({"seed": self.seed, "checks": self.checks, "answers": answers.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn asked(id: &str, group: &str, kind: Kind) -> Asked {
        Asked {
            id: id.to_owned(),
            group: group.to_owned(),
            question: format!("What about {id}?"),
            why: "It matters.".to_owned(),
            kind,
        }
    }

    pub(crate) fn findings() -> Findings {
        let pass = || Answer::Found(Verdict::Pass { seen: "as it should".to_owned() });
        let word = |word: &str| {
            Answer::Found(Verdict::Answer { word: word.to_owned(), seen: "seen".to_owned() })
        };
        let number = |value| Answer::Found(Verdict::Number { value, unit: "µs".to_owned() });
        let fail = || Answer::Found(Verdict::Fail { seen: "a task did not run".to_owned() });
        let unsupported =
            || Answer::Found(Verdict::Unsupported { reason: "it has no tasks".to_owned() });
        Findings {
            checks: vec![
                asked("wake-in-poll", "wakes", Kind::Must),
                asked("wake-latency", "wakes", Kind::Metric),
                asked("yield-fair", "fairness", Kind::Must),
                asked("handle-drop", "cancelling", Kind::Differs),
            ],
            subjects: vec!["a/one/epoll".to_owned(), "b/two/io_uring".to_owned()],
            answers: vec![
                vec![pass(), Answer::Hung("no answer within 20 s".to_owned())],
                vec![number(12.34), unsupported()],
                vec![pass(), fail()],
                vec![word("detaches"), word("cancels")],
            ],
            seed: 7,
            known: Vec::new(),
        }
    }

    pub(crate) fn known(issue: &str, is_expired: bool, cells: &[(usize, usize)]) -> KnownFailure {
        KnownFailure {
            place: "known.yaml:3".to_owned(),
            issue: issue.to_owned(),
            expires: is_expired.then(|| "2026-01-31".to_owned()),
            is_expired,
            cells: cells.iter().copied().collect(),
        }
    }

    #[test]
    fn to_hang_is_no_failure_where_runtimes_differ() {
        let hung = Answer::Hung(String::new());
        assert!(hung.is_failure(Kind::Must) && hung.is_failure(Kind::Metric));
        assert!(!hung.is_failure(Kind::Differs));
        assert!(Answer::Found(Verdict::Fail { seen: String::new() }).is_failure(Kind::Differs));
    }

    #[test]
    fn skipped_checks_are_no_answers() {
        let mut findings = findings();
        assert!(findings.has_answers());
        for answer in findings.answers.iter_mut().flatten() {
            *answer = Answer::Found(Verdict::Unsupported { reason: "no".to_owned() });
        }
        assert!(!findings.has_answers());
    }

    #[test]
    fn json_has_a_line_for_each_answer() {
        let json = findings().json();
        let answers = json["answers"].as_array().unwrap();
        assert_eq!(answers.len(), 8);
        assert_eq!(answers[1]["outcome"]["hung"]["seen"], "no answer within 20 s");
        assert_eq!(answers[1]["failed"], true);
        assert_eq!(answers[1]["repeat"], "quadrant check wake-in-poll -r b/two/io_uring --seed 7");
        assert_eq!(answers[2]["outcome"]["number"]["value"], 12.34);
    }
}
