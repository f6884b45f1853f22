//! A scenario: what was asked, over which axes, and the work of each of its cases.
//!
//! Never holds its cases; each is worked out when it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use quadrant_reports::expectation::Expectation;
use quadrant_reports::record::AxisValue;
use quadrant_suite::hash;
use quadrant_suite::plan::{Action, Group, Program, Server};

use super::axes::{Axes, Axis};
use super::check;
use super::document::Document;
use super::error::{Problem, SpecError};
use super::expand::expand;
use super::expect;
use super::limits;
use super::yaml;
use crate::system::allocator::Allocator;
use quadrant_reports::number::grouped;

/// A scenario of which every case has been checked.
#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    /// One sentence, ending with `?`.
    pub question: String,
    subjects: Vec<String>,
    source: String,
    document: Document,
    axes: Axes,
    /// The answers of all `hash` steps, by their rounds.
    hashes: BTreeMap<u64, u64>,
}

/// One combination of the axes' values.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// In the order of the axes.
    pub values: Vec<AxisValue>,
    pub work: Work,
    /// Those whose `when` means this case.
    pub expectations: Vec<Expected>,
}

/// What is expected of one figure, and of whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// A glob over subject ids; `None` means all.
    pub subjects: Option<String>,
    pub expectation: Expectation,
}

/// Everything of a plan that depends neither on the subject nor on the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Asked of every executor that can have several; `None` leaves it to the machine.
    pub workers: Option<u32>,
    /// `None` leaves freed memory with the process.
    pub allocator: Option<Allocator>,
    pub rows: Vec<String>,
    pub programs: Vec<Program>,
    pub server: Option<Server>,
    pub groups: Vec<Group>,
    /// Present when this case reads files.
    pub files: Option<Files>,
    /// Present exactly when `server` is.
    pub load: Option<Load>,
    pub warmup_ns: u64,
    pub measure_ns: u64,
    pub stall_threshold_ns: u64,
    /// A few words for the heading of a table: `64 B, closed loop`.
    pub summary: String,
}

/// The files to make before a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    pub count: u32,
    /// Of each.
    pub bytes: u64,
    /// Not in the page cache when read.
    pub cold: bool,
}

/// What the driver does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub connections: u32,
    pub message_bytes: usize,
    /// Requests of all connections together (open loop); `None` is a closed loop.
    pub rate_per_second: Option<u32>,
}

impl Scenario {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, SpecError> {
        Self::read(text).map_err(|problem| problem.in_text(path, text))
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let document = yaml::read(text)?;
        check::parts(&document)?;
        let axes = Axes::read(&document.axes)?;
        let mut scenario = Self {
            name: document.name.text.clone(),
            question: document.question.text.trim_end().to_owned(),
            subjects: subjects(&document)?,
            source: text.to_owned(),
            document,
            axes,
            hashes: BTreeMap::new(),
        };
        scenario.check_cases()?;
        for (rounds, answer) in &mut scenario.hashes {
            *answer = hash::chain(*rounds);
        }
        Ok(scenario)
    }

    /// Works every case out once, and finds what no case makes use of.
    fn check_cases(&mut self) -> Result<(), Problem> {
        let mut used = vec![false; self.axes.all().len()];
        let mut reads_files = false;
        let mut rounds_together = 0_u64;
        for case in 0..self.case_count() {
            let expanded = expand(&self.document, &self.axes, case)?;
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
                    return Err(Problem::new(
                        at,
                        format!(
                            "with this step, the different `rounds` of all `hash` steps add up to {}; {} are possible, since each answer is computed beforehand",
                            grouped(rounds_together),
                            grouped(limits::HASH_ROUNDS_TOGETHER),
                        ),
                    ));
                }
            }
        }
        if let Some(axis) = used.iter().position(|used| !used) {
            let name = &self.axes.all()[axis].name;
            return Err(Problem::new(
                self.axes.name_at(axis),
                format!("the axis `{name}` is never used"),
            )
            .help(format!("write `${name}` where its values belong")));
        }
        if let (Some(files), false) = (&self.document.files, reads_files) {
            return Err(Problem::new(files.referenced.into(), "no step reads these files")
                .help("read them with the step `read_file`".to_owned()));
        }
        Ok(())
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it says of `workers`, as written: `2` or `$workers`.
    pub fn workers_written(&self) -> Option<&str> {
        self.document.workers.as_ref().map(|workers| &*workers.text)
    }

    /// The patterns that say whom it is about; none means every runtime in its usual build.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// The patterns that say of whom something is expected, each once.
    pub fn expected_subjects(&self) -> BTreeSet<&str> {
        let expect = self.document.expect.iter();
        expect.filter_map(|expect| Some(&*expect.value.subjects.as_ref()?.text)).collect()
    }

    /// In the order written.
    pub fn axes(&self) -> &[Axis] {
        self.axes.all()
    }

    /// At least one: a scenario without axes is a single case.
    pub fn case_count(&self) -> usize {
        self.axes.case_count()
    }

    /// The axes' values alone, without working out the case. The last axis changes fastest.
    ///
    /// # Panics
    /// If `index` is not below [`Scenario::case_count`].
    pub fn case_values(&self, index: usize) -> Vec<AxisValue> {
        assert!(index < self.case_count(), "there is no case {index}");
        super::values::Values::of_case(&self.axes, index).list()
    }

    /// Works out one case. The last axis changes fastest.
    ///
    /// # Panics
    /// If `index` is not below [`Scenario::case_count`].
    pub fn case(&self, index: usize) -> Case {
        assert!(index < self.case_count(), "there is no case {index}");
        let expanded = expand(&self.document, &self.axes, index);
        let mut case = expanded.expect("every case was worked out when the scenario was read").case;
        for step in case.work.programs.iter_mut().flatten() {
            if let Action::Hash { rounds, expected, .. } = &mut step.action {
                *expected = self.hashes[rounds];
            }
        }
        case
    }
}

fn subjects(document: &Document) -> Result<Vec<String>, Problem> {
    let Some(patterns) = &document.subjects else { return Ok(Vec::new()) };
    let at = patterns.referenced.into();
    let patterns = &patterns.value.0;
    if patterns.is_empty() {
        return Err(Problem::new(at, "`subjects` is about nobody: the list is empty")
            .help("leave it out, or write a pattern like `tokio` or `**/poll`".to_owned()));
    }
    patterns.iter().try_for_each(expect::check_glob)?;
    Ok(patterns.iter().map(|pattern| pattern.text.clone()).collect())
}
