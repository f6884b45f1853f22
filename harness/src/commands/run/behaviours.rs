//! The behaviours that scenarios demand: each check is asked once in a run for each subject.
//!
//! Never measures: the checks run in processes of their own, before the trials, and in builds of their
//! own.

use std::collections::BTreeMap;
use std::time::Duration;

use quadrant_reports::behaviour::Answer;
use quadrant_reports::record::CheckedExpectation;
use quadrant_suite::checks;

use crate::adapters::subject::Subject;
use crate::commands::check::ask;
use crate::commands::failure::Failure;
use crate::spec::Demand;
use crate::terminal::progress::Progress;

/// As `quadrant check` without options, so that both give the same answer.
const SEED: u64 = 1;
const LIMIT: Duration = Duration::from_secs(20);

pub struct Behaviours {
    /// The subjects in their builds with the kit.
    subjects: Vec<Subject>,
    /// The answers so far, by subject and check.
    answers: BTreeMap<(String, String), Answer>,
}

impl Behaviours {
    /// `subjects` are built with the kit.
    pub fn of(subjects: Vec<Subject>) -> Self {
        Self { subjects, answers: BTreeMap::new() }
    }

    /// Asks what is not known yet.
    pub fn ask(
        &mut self,
        demands: &[Demand],
        subjects: &[&Subject],
        progress: &Progress,
    ) -> Result<(), Failure> {
        for demand in demands {
            let key = |subject: &Subject| (subject.id.clone(), demand.check.clone());
            let is_asked = |subject: &&Subject| {
                subjects.iter().any(|it| it.id == subject.id)
                    && !self.answers.contains_key(&key(subject))
            };
            let unknown: Vec<Subject> = self.subjects.iter().filter(is_asked).cloned().collect();
            let check = checks::named(&demand.check).filter(|_| !unknown.is_empty());
            let Some(check) = check else { continue };
            let answers = ask(&[("", check)], &unknown, SEED, LIMIT, progress, || ())?;
            let answers = answers.into_iter().flatten();
            self.answers.extend(unknown.iter().map(key).zip(answers));
        }
        Ok(())
    }

    /// What was demanded of a subject, and its answers.
    pub fn checked(&self, demands: &[Demand], subject: &Subject) -> Vec<CheckedExpectation> {
        let checked = |Demand { check, answer }: &Demand| {
            let seen = self.answers.get(&(subject.id.clone(), check.clone()))?;
            Some(CheckedExpectation {
                expected: format!("behaviours.{check} = {answer}"),
                when: Vec::new(),
                seen: None,
                answer: Some(format!("{}: {}", seen.short(), seen.text())),
                met: seen.short() == *answer,
            })
        };
        demands.iter().filter_map(checked).collect()
    }
}
