//! A scenario: its question, its axes, and the work of each of its cases.
//!
//! Never holds its cases; each is derived when it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use quadrant_reports::number::grouped;
use quadrant_reports::record::AxisValue;
use quadrant_suite::hash;
use quadrant_suite::plan::Action;

use super::axes::{self, Axis, CaseValues};
use super::case::Case;
use super::error::{SpecError, error};
use super::expand::{expand, fields_of};
use super::expect;
use super::fields::Fields;
use super::limits;
use super::names;
use super::yaml::{self, Node};

/// A scenario of which every case has been checked.
#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    /// One sentence, ending with `?`.
    pub question: String,
    subjects: Vec<String>,
    expected_subjects: BTreeSet<String>,
    workers: Option<String>,
    source: String,
    root: Node,
    axes: Vec<Axis>,
    /// The answers of all `hash` steps, by their rounds.
    hashes: BTreeMap<u64, u64>,
}

impl Scenario {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, SpecError> {
        Self::read(text).map_err(|error| error.in_text(path, text))
    }

    fn read(text: &str) -> Result<Self, SpecError> {
        let root = yaml::read(text)?;
        let fields = fields_of(&root)?;
        let name = fields.need("name")?.node.text()?;
        names::check(name)?;
        let question = fields.need("question")?.node.text()?;
        names::check_question(question)?;
        let axes = fields.get("axes").map(|axes| axes::read(axes.node)).transpose()?;
        let workers = fields.get("workers").map(|workers| workers.node.text()).transpose()?;
        let mut expected_subjects = BTreeSet::new();
        for entry in fields.items("expect")? {
            expected_subjects.extend(expect::subjects(entry)?.map(|pattern| pattern.text.clone()));
        }
        let mut scenario = Self {
            name: name.text.clone(),
            question: question.text.trim_end().to_owned(),
            subjects: read_subjects(&fields)?,
            expected_subjects,
            workers: workers.map(|workers| workers.text.clone()),
            source: text.to_owned(),
            axes: axes.unwrap_or_default(),
            hashes: BTreeMap::new(),
            root,
        };
        scenario.check_cases()?;
        for (rounds, answer) in &mut scenario.hashes {
            *answer = hash::chain(*rounds);
        }
        Ok(scenario)
    }

    /// Derives every case once, and finds what no case makes use of.
    fn check_cases(&mut self) -> Result<(), SpecError> {
        let mut used = vec![false; self.axes().len()];
        let mut reads_files = false;
        let mut rounds_together = 0_u64;
        for case in 0..self.case_count() {
            let expanded = expand(&self.root, &self.axes, case)?;
            for (all, one) in used.iter_mut().zip(expanded.used) {
                *all |= one;
            }
            reads_files |= expanded.reads_files;
            for (rounds, at) in expanded.hashes {
                if self.hashes.insert(rounds, 0).is_some() {
                    continue;
                }
                rounds_together = rounds_together.saturating_add(rounds);
                if rounds_together > limits::HASH_ROUNDS_TOGETHER {
                    return Err(error!(
                        at,
                        "with this step, the different `rounds` of all `hash` steps add up to {}; {} are possible, since each answer is computed beforehand",
                        grouped(rounds_together),
                        grouped(limits::HASH_ROUNDS_TOGETHER)
                    ));
                }
            }
        }
        axes::check_used(&self.axes, &used)?;
        match fields_of(&self.root)?.get("files") {
            Some(files) if !reads_files => Err(error!(files.node.at, "no step reads these files")
                .help("read them with the step `read_file`")),
            _ => Ok(()),
        }
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The value of `workers`, as written: `2` or `$workers`.
    pub fn workers_written(&self) -> Option<&str> {
        self.workers.as_deref()
    }

    /// The patterns of the subjects that run it; none means every runtime in its usual build.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The patterns of subjects in its expectations, each once.
    pub fn expected_subjects(&self) -> &BTreeSet<String> {
        &self.expected_subjects
    }

    /// In the order written.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// At least one: a scenario without axes is a single case.
    pub fn case_count(&self) -> usize {
        axes::case_count(&self.axes)
    }

    /// The axes' values alone, without the work of the case. The last axis changes fastest.
    ///
    /// # Panics
    /// If `index` is not below [`Scenario::case_count`].
    pub fn case_values(&self, index: usize) -> Vec<AxisValue> {
        assert!(index < self.case_count(), "there is no case {index}");
        CaseValues::of(&self.axes, index).list()
    }

    /// Derives one case. The last axis changes fastest.
    ///
    /// # Panics
    /// If `index` is not below [`Scenario::case_count`].
    pub fn case(&self, index: usize) -> Case {
        assert!(index < self.case_count(), "there is no case {index}");
        let expanded = expand(&self.root, &self.axes, index);
        let mut case = expanded.expect("every case was checked when the scenario was read").case;
        for step in case.work.programs.iter_mut().flatten() {
            if let Action::Hash { rounds, expected, .. } = &mut step.action {
                *expected = self.hashes[rounds];
            }
        }
        case
    }
}

fn read_subjects(scenario: &Fields<'_>) -> Result<Vec<String>, SpecError> {
    let Some(field) = scenario.get("subjects") else { return Ok(Vec::new()) };
    let patterns = field.node.texts()?;
    if patterns.is_empty() {
        return Err(error!(field.node.at, "`subjects` names no subjects: the list is empty")
            .help("leave it out, or write a pattern like `tokio` or `**/poll`"));
    }
    patterns.iter().try_for_each(|pattern| names::check_pattern(pattern))?;
    Ok(patterns.iter().map(|pattern| pattern.text.clone()).collect())
}
