//! One of the two runs, reduced to what a comparison needs of it.
//!
//! Never keeps a histogram: a cell takes a few numbers for each trial, however long it was.

use std::collections::{BTreeMap, HashMap};

use crate::expectation::metric_value;
use crate::figures::{metrics, severity, spoils_others, status_word};
use crate::prose::{clean, plural};
use crate::record::{AxisValue, Record, Status};

/// Where a cell of one run is found in the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellKey {
    pub scenario: String,
    pub case: Vec<AxisValue>,
    pub subject: String,
}

/// A run, filled record by record.
pub struct Side {
    /// What is kept of a trial, in this order.
    metrics: Vec<String>,
    pub(super) cells: Vec<(CellKey, SideCell)>,
    found: HashMap<CellKey, usize>,
    records: u64,
}

#[derive(Default)]
pub(super) struct SideCell {
    /// By run and trial, since a folder may hold several runs. A trial that was made again after
    /// an interruption counts as it was last.
    trials: BTreeMap<(String, u32), SideTrial>,
    pub operation: String,
}

struct SideTrial {
    status: Status,
    reason: Option<String>,
    /// One for each metric; all missing when the figures may not be believed.
    values: Vec<Option<f64>>,
    warned: bool,
}

/// What a cell came to in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Measured,
    Told { status: Status, text: String },
}

impl Side {
    /// `metrics` are all that will be asked for.
    pub(super) fn new(metrics: Vec<String>) -> Self {
        Self { metrics, cells: Vec::new(), found: HashMap::new(), records: 0 }
    }

    pub fn add(&mut self, record: &Record) {
        self.records += 1;
        let mut case = record.case.clone();
        case.sort_by(|a, b| a.axis.cmp(&b.axis));
        let key =
            CellKey { scenario: record.scenario.clone(), case, subject: record.subject.id.clone() };
        let index = *self.found.entry(key).or_insert_with_key(|key| {
            self.cells.push((key.clone(), SideCell::default()));
            self.cells.len() - 1
        });
        let believed = metrics(record);
        let cell = &mut self.cells[index].1;
        if let Some(metrics) = believed {
            cell.operation.clone_from(&metrics.operation);
        }
        let trial = SideTrial {
            status: record.status,
            reason: record.reason.clone(),
            values: self
                .metrics
                .iter()
                .map(|name| believed.and_then(|metrics| metric_value(metrics, name)))
                .collect(),
            warned: !record.warnings.is_empty(),
        };
        cell.trials.insert((record.run_id.clone(), record.trial), trial);
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn cell(&self, key: &CellKey) -> Option<&SideCell> {
        self.found.get(key).map(|index| &self.cells[*index].1)
    }
}

impl SideCell {
    /// As in a table: one trial that failed, crashed or hung takes the figures of all.
    pub fn state(&self) -> State {
        let is_believed = |trial: &&SideTrial| trial.values.iter().any(Option::is_some);
        let spoiled = self.trials.values().any(|trial| spoils_others(trial.status));
        if !spoiled && self.trials.values().any(|trial| is_believed(&trial)) {
            return State::Measured;
        }
        let worst = self
            .trials
            .values()
            .filter(|trial| !is_believed(trial))
            .min_by_key(|trial| severity(trial.status));
        let Some(worst) = worst else { return State::Measured };
        // An `ok` without figures tells nothing.
        let status = if worst.status == Status::Ok { Status::Unmeasured } else { worst.status };
        let all = self.trials.len() as u64;
        let such = self.trials.values().filter(|trial| trial.status == worst.status).count();
        let share = match such as u64 {
            _ if status == Status::Unsupported => String::new(),
            such if such == all => String::new(),
            such => format!(" {such} of {}", plural(all, "trial", "trials")),
        };
        let reason = worst.reason.as_deref().unwrap_or("no reason was recorded");
        State::Told { status, text: format!("{}{share}: {}", status_word(status), clean(reason)) }
    }

    /// Of metric number `index`, one for each trial that has it.
    pub fn values(&self, index: usize) -> Vec<f64> {
        self.trials.values().filter_map(|trial| trial.values[index]).collect()
    }

    pub fn warned(&self) -> u64 {
        self.trials.values().filter(|trial| trial.warned).count() as u64
    }
}
