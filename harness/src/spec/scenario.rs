//! A scenario: its question, its axes, and the work of each of its cases.
//!
//! Never holds its cases; each is derived when it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use quadrant_reports::number::grouped;
use quadrant_reports::record::AxisValue;
use quadrant_reports::record::claim::Claim;
use quadrant_suite::hash::{Function, Hash};
use quadrant_suite::plan::Action;

use super::axes::{self, Axis, CaseValues};
use super::behaviours::{self, Demand};
use super::case::Case;
use super::claim;
use super::error::{SpecError, error};
use super::expand::{KEYS, expand};
use super::expect;
use super::fields::Fields;
use super::limits;
use super::mistakes::{Mistakes, SpecErrors};
use super::names;
use super::table;
use super::yaml::{self, Node, Scalar, Value};

/// A scenario of which every case has been checked.
#[derive(Debug)]
pub struct Scenario {
    pub name: String,
    /// One sentence, ending with `?`.
    pub question: String,
    subjects: Vec<String>,
    expected_subjects: BTreeSet<String>,
    behaviours: Vec<Demand>,
    claim: Option<Claim>,
    rows_axis: Option<String>,
    workers: Option<String>,
    source: String,
    root: Node,
    axes: Vec<Axis>,
    /// The answers of all `hash` steps, once each.
    hashes: BTreeMap<Hash, u64>,
}

impl Scenario {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, SpecErrors> {
        let mut mistakes = Mistakes::default();
        let scenario = Self::read(text, &mut mistakes);
        scenario.filter(|_| mistakes.is_empty()).ok_or_else(|| mistakes.in_text(path, text))
    }

    /// Reads as much as there is; it is a scenario only without mistakes.
    fn read(text: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let root = mistakes.keep(yaml::read(text))?;
        let shape = match root.value {
            Value::Empty => Err(error!(root.at, "the file is empty")
                .help("a scenario begins with `name:` and `question:`")),
            Value::List(_) => Err(error!(root.at, "a scenario is a map, and this is a list")
                .help("a list of known failures is for `quadrant check --known FILE`")),
            _ => Ok(()),
        };
        mistakes.keep(shape)?;
        let fields = Fields::of(&root, "", KEYS, mistakes);
        let fields = mistakes.keep(fields)?;
        let text_of = |key| fields.need(key).and_then(|field| field.node.text());
        let name = text_of("name").and_then(|name| names::check(name).map(|()| name.text.clone()));
        let question = text_of("question").and_then(|question| {
            names::check_question(question).map(|()| question.text.trim_end().to_owned())
        });
        let name = mistakes.keep(name);
        let question = mistakes.keep(question);
        let axes = match fields.get("axes") {
            Some(axes) => axes::read(axes.node, mistakes),
            None => (!fields.has_unknown).then(Vec::new),
        };
        let subjects = mistakes.keep(read_subjects(&fields)).unwrap_or_default();
        let expected_subjects = read_expected(&fields);
        names::check_patterns(subjects.iter().copied(), mistakes);
        names::check_patterns(expected_subjects.values().copied(), mistakes);
        let behaviours = behaviours::read(&fields, mistakes);
        let claim = claim::read(&fields, axes.as_deref(), mistakes);
        let rows_axis = table::read_rows(&fields, axes.as_deref(), mistakes);
        let written = |pattern: &Scalar| pattern.text.clone();
        // A mistake in it is found with the cases.
        let workers = fields.get("workers").and_then(|workers| workers.node.text().ok());
        let workers = workers.map(|workers| workers.text.clone());
        let mut hashes = check_cases(&fields, axes.as_deref(), mistakes);
        if mistakes.is_empty() {
            hashes.iter_mut().for_each(|(hash, answer)| *answer = hash.answer());
        }
        Some(Self {
            name: name?,
            question: question?,
            subjects: subjects.into_iter().map(written).collect(),
            expected_subjects: expected_subjects.into_values().map(written).collect(),
            behaviours,
            claim,
            rows_axis,
            workers,
            source: text.to_owned(),
            axes: axes?,
            hashes,
            root,
        })
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

    /// What the behaviour kit has to find on each of its subjects.
    pub fn behaviours(&self) -> &[Demand] {
        &self.behaviours
    }

    /// What it says of its cases together.
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// The axis whose values are the rows of its tables.
    pub fn rows_axis(&self) -> Option<&str> {
        self.rows_axis.as_deref()
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
        let fields = Fields::of_any(&self.root, "").expect("a scenario is a map");
        let mut case = expand(&fields, Some(&self.axes), index).case;
        for step in case.work.programs.iter_mut().flatten() {
            if let Action::Hash { hash, expected, .. } = &mut step.action {
                *expected = self.hashes[hash];
            }
        }
        case
    }
}

/// Derives every case once, and finds what no case makes use of. Returns all hashes, whose
/// answers are to be computed.
fn check_cases(
    scenario: &Fields<'_>,
    axes: Option<&[Axis]>,
    mistakes: &mut Mistakes,
) -> BTreeMap<Hash, u64> {
    let mut hashes = BTreeMap::new();
    let mut rounds_together = 0_u64;
    let axes_or_none = axes.unwrap_or_default();
    let (cases, values) = (axes::case_count(axes_or_none), scenario.count());
    let checked = cases.min(limits::CHECKED / values);
    if checked < cases {
        let at = scenario.get("axes").map_or(scenario.at, |axes| axes.node.at);
        let [cases, values, most] = [cases, values, limits::CHECKED].map(|n| grouped(n as u64));
        mistakes.add(
            error!(
                at,
                "{cases} cases of {values} keys and values each are too many to check; {most} together are possible"
            )
            .help("write several scenarios with fewer cases each"),
        );
    }
    let mut used = vec![false; axes_or_none.len()];
    let mut reads_files = false;
    let mut queried = Vec::new();
    for case in 0..checked {
        let expanded = expand(scenario, axes, case);
        mistakes.add_case(expanded.mistakes);
        if mistakes.is_full() {
            return hashes;
        }
        for (all, one) in used.iter_mut().zip(expanded.used) {
            *all |= one;
        }
        reads_files |= expanded.reads_files;
        queried.resize(expanded.queried.len(), false);
        for (all, one) in queried.iter_mut().zip(expanded.queried) {
            *all |= one;
        }
        for (hash, at) in expanded.hashes {
            if hashes.insert(hash, 0).is_some() {
                continue;
            }
            let cost = if hash.function == Function::Pbkdf2 { limits::PBKDF2_COST } else { 1 };
            rounds_together = rounds_together.saturating_add(u64::from(hash.rounds) * cost);
            if rounds_together > limits::HASH_ROUNDS_TOGETHER {
                mistakes.add(error!(
                    at,
                    "with this step, the different `rounds` of all `hash` steps add up to {} (one of `pbkdf2` counts as {}); {} are possible, since each answer is computed beforehand",
                    grouped(rounds_together),
                    limits::PBKDF2_COST,
                    grouped(limits::HASH_ROUNDS_TOGETHER)
                ));
                return hashes;
            }
        }
    }
    // What is not used may be meant where there is a mistake.
    if mistakes.is_empty() {
        axes::check_used(axes_or_none, &used, mistakes);
        if let Some(files) = scenario.get("files").filter(|_| !reads_files) {
            mistakes.add(
                error!(files.node.at, "no step reads these files")
                    .help("read them with the step `read_file`"),
            );
        }
        if let Some(backends) = scenario.get("backends").filter(|_| queried.contains(&false)) {
            mistakes.add(
                error!(backends.node.at, "no step uses one of these backends")
                    .help("use it with the step `query` or `connect`, or leave it out"),
            );
        }
    }
    hashes
}

fn read_subjects<'a>(scenario: &Fields<'a>) -> Result<Vec<&'a Scalar>, SpecError> {
    let Some(field) = scenario.get("subjects") else { return Ok(Vec::new()) };
    let patterns = field.node.texts()?;
    if patterns.is_empty() {
        return Err(error!(field.node.at, "`subjects` names no subjects: the list is empty")
            .help("leave it out, or write a pattern like `tokio` or `**/poll`"));
    }
    Ok(patterns)
}

/// The patterns of subjects in expectations, each once. Mistakes in them are found with the cases.
fn read_expected<'a>(scenario: &Fields<'a>) -> BTreeMap<&'a str, &'a Scalar> {
    let entries = scenario.items("expect").unwrap_or_default();
    let patterns = entries.iter().filter_map(|entry| expect::subjects(entry).ok().flatten());
    patterns.map(|pattern| (pattern.text.as_str(), pattern)).collect()
}
