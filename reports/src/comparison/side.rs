//! One of the two runs, reduced to what a comparison needs of it.
//!
//! Never keeps a histogram or a round: a cell takes a few numbers for each trial, however long it
//! was.

use std::collections::{BTreeMap, HashMap};

use super::change::Values;
use super::metric::{CPU, Options, P99, THROUGHPUT};
use super::order::{Order, Pairs};
use crate::figures::{Cell, Outcome};
use crate::record::driver_limit::BUSY_MAX;
use crate::record::expectation::metric_value;
use crate::record::noise;
use crate::record::turns::sum;
use crate::record::{AxisValue, Pass, Record, Status, Subject};
use crate::series::Figure;
use crate::statistics::mean;

/// Where a cell of one run is found in the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellKey {
    pub scenario: String,
    pub case: Vec<AxisValue>,
    pub subject: String,
}

impl CellKey {
    /// Scenario and axes.
    pub(super) fn of_case(&self) -> (&str, &[AxisValue]) {
        (&self.scenario, &self.case)
    }
}

/// A run, filled case by case.
pub struct Side {
    /// The figures that are kept of a trial.
    metrics: Vec<String>,
    pub(super) cells: Vec<(CellKey, SideCell)>,
    found: HashMap<CellKey, usize>,
    orders: HashMap<(String, Vec<AxisValue>), Order>,
}

#[derive(Debug, Default)]
pub(super) struct SideCell {
    pub version: Version,
    /// One for each case that has this cell, since a folder may hold several runs.
    states: Vec<State>,
    pub operation: String,
    /// Of each metric.
    pub values: BTreeMap<String, Values>,
    /// Id and version of the subject that turns were related to.
    pub reference: Option<(String, String)>,
    /// Whether it is that subject.
    pub is_reference: bool,
    /// Whether its figures come from turns.
    pub is_in_turns: bool,
    /// The share of the time that the load driver was busy.
    pub driver_busy: f64,
    pub keeps_rate: Option<bool>,
    /// The share of its figures that noise may explain, as a mean over starts or trials.
    pub noise: f64,
    pub warned: u64,
}

/// A version of a subject.
#[derive(Debug, Clone, Default)]
pub(super) struct Version {
    /// Of its runtime, without the version.
    pub runtime: String,
    pub version: String,
    /// The rest of its id.
    pub rest: String,
}

impl Version {
    fn of(subject: &Subject) -> Self {
        let (runtime, version) =
            subject.runtime.split_once('@').unwrap_or((&subject.runtime, &subject.version));
        Self {
            runtime: runtime.to_owned(),
            version: version.to_owned(),
            rest: subject.id.strip_prefix(&subject.runtime).unwrap_or_default().to_owned(),
        }
    }
}

/// What a cell came to in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Measured,
    NoFigures { status: Status, text: String },
}

impl Options {
    /// An empty side of a comparison under these options.
    pub fn side(&self) -> Side {
        let metrics = self.metrics();
        Side { metrics, cells: Vec::new(), found: HashMap::new(), orders: HashMap::new() }
    }
}

impl Side {
    /// Adds all records of one case, of all its subjects, because they are related to each other.
    pub fn add(&mut self, case: &[Record]) {
        let mut axes = case[0].case.clone();
        axes.sort_by(|a, b| a.axis.cmp(&b.axis));
        let place = (case[0].scenario.clone(), axes.clone());
        let cells = Cell::all_of(case);
        self.orders.insert(place, Order::of_case(&cells));
        let reference = cells.iter().find(|cell| cell.is_reference);
        let reference =
            reference.map(|cell| (cell.subject.id.clone(), cell.subject.version.clone()));
        for cell in cells {
            let key = CellKey {
                scenario: case[0].scenario.clone(),
                case: axes.clone(),
                subject: cell.subject.id.clone(),
            };
            let index = *self.found.entry(key).or_insert_with_key(|key| {
                self.cells.push((key.clone(), SideCell::default()));
                self.cells.len() - 1
            });
            let side = &mut self.cells[index].1;
            side.add(&cell, &self.metrics);
            side.version = Version::of(cell.subject);
            side.is_reference = cell.is_reference;
            side.reference.clone_from(&reference);
        }
    }

    /// How the orders of both runs agree.
    pub(super) fn pairs(&self, new: &Side) -> Pairs {
        let mut pairs = Pairs::default();
        for (case, order) in &self.orders {
            if let Some(other) = new.orders.get(case) {
                order.against(other, &mut pairs);
            }
        }
        pairs
    }

    /// Gives the subject of a cell another name.
    pub(super) fn rename(&mut self, index: usize, subject: &str) {
        let key = &mut self.cells[index].0;
        self.found.remove(key);
        subject.clone_into(&mut key.subject);
        self.found.insert(key.clone(), index);
    }

    pub(super) fn cell(&self, key: &CellKey) -> Option<&SideCell> {
        self.found.get(key).map(|index| &self.cells[*index].1)
    }
}

impl SideCell {
    fn add(&mut self, cell: &Cell, names: &[String]) {
        let records = || cell.trials.iter().copied();
        self.warned += records().filter(|record| !record.warnings.is_empty()).count() as u64;
        if let Some(operation) = records().find_map(Record::operation) {
            operation.clone_into(&mut self.operation);
        }
        let figures = match &cell.outcome {
            Outcome::NoFigures { status, text } => {
                self.states.push(State::NoFigures { status: *status, text: text.clone() });
                return;
            }
            Outcome::Measured(figures) => figures,
        };
        self.states.push(State::Measured);
        self.is_in_turns = figures.is_in_turns;
        self.driver_busy = self.driver_busy.max(figures.driver_busy);
        self.keeps_rate = figures.keeps_rate();
        let pass = if figures.is_in_turns { Pass::Turns } else { Pass::Alone };
        let shares: Vec<f64> = cell.of_pass(pass).map(noise::share).collect();
        self.noise = self.noise.max(mean(&shares).unwrap_or_default());
        for name in names {
            let values = self.values.entry(name.clone()).or_default();
            let figure = match name.as_str() {
                THROUGHPUT => Some(Figure::Throughput),
                CPU => Some(Figure::Cpu),
                _ => None,
            };
            match figure.filter(|_| figures.is_in_turns) {
                Some(figure) => {
                    let starts = records().filter_map(Record::valid_turns);
                    let starts = starts.map(|turns| figure.of_turn(&sum(&turns.rounds)));
                    values.absolute.extend(starts);
                    values.to_reference.extend(figures.merits.series(figure).to_reference());
                }
                None => {
                    let trials = records().filter_map(Record::valid_metrics);
                    values.absolute.extend(trials.filter_map(|one| metric_value(one, name)));
                }
            }
        }
    }

    /// The worst state in any of the runs.
    pub fn state(&self) -> State {
        let missing = self.states.iter().find(|state| **state != State::Measured);
        missing.cloned().unwrap_or(State::Measured)
    }

    /// The metrics that may decide the verdict, if the options name none.
    pub fn candidates(&self, other: &SideCell) -> Vec<&'static str> {
        let keeps = [self, other].map(|side| side.keeps_rate);
        let is_limited = [self, other].iter().any(|side| side.driver_busy >= BUSY_MAX);
        let mut names = vec![CPU];
        match keeps {
            // If both keep the rate, the load alone decides the throughput.
            [Some(true), Some(true)] => names.push(P99),
            _ if is_limited => {}
            _ => names.push(THROUGHPUT),
        }
        names
    }
}
