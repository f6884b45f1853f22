//! Two runs, cell by cell: regressed, improved, same, or cannot tell.
//!
//! Never asks whether the runs may be compared at all; whoever read them knows their machines.

mod change;
mod json;
mod judge;
mod metric;
mod order;
mod outcome;
mod side;
mod table;

use std::io::{self, Write};

pub use change::{Basis, Change, Verdict};
pub use judge::Doubt;
pub use metric::{Better, THROUGHPUT, better, choices};
pub use order::Pairs;
pub use outcome::Counts;
pub use side::{CellKey, Side, State};

pub use crate::format::Format;

use crate::paint::Style;
use crate::record::Status;
use crate::record::driver_limit::BUSY_MAX;
use side::SideCell;

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The figure whose change decides about a cell; without one CPU time per operation,
    /// throughput or p99, whichever is the sharpest and not limited by the load.
    pub metric: Option<String>,
    /// A share: changes within it are nobody's concern.
    pub threshold: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { metric: None, threshold: 0.02 }
    }
}

/// What the reader calls the two runs, and what has to be said of both.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub base: String,
    pub new: String,
    /// What is unlike between the runs, one sentence each.
    pub unlike: Vec<String>,
}

pub struct Comparison {
    options: Options,
    /// In the order of the base; what only the new run has, at the end.
    pub(crate) cells: Vec<ComparedCell>,
    pub(crate) pairs: Pairs,
}

/// One cell of either run.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedCell {
    pub key: CellKey,
    pub(crate) operation: String,
    pub base: Option<State>,
    pub new: Option<State>,
    /// Metrics that both runs have, by name.
    pub changes: Vec<(String, Change)>,
    /// `None` when there is nothing to compare: on one side only, or without figures on both.
    pub verdict: Option<Verdict>,
    /// Name of the metric that the verdict stands on.
    pub decided_by: Option<String>,
    /// Why a change that is there is no verdict.
    pub doubt: Option<Doubt>,
    /// Whether the others were related to it.
    pub(crate) is_reference: bool,
    /// Trials that carry warnings, in the base and in the new run.
    pub(crate) warned: (u64, u64),
}

impl Options {
    /// An empty side of a comparison under these options.
    pub fn side(&self) -> Side {
        Side::new(self.metrics())
    }

    fn metrics(&self) -> Vec<String> {
        let mut names: Vec<String> = metric::ALWAYS.map(str::to_owned).into();
        names.extend(
            self.metric.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>(),
        );
        names
    }
}

impl Comparison {
    /// Both sides must come from [`Options::side`] of the same options.
    pub fn of(base: &Side, new: &Side, options: Options) -> Self {
        let mut pairs: Vec<(&CellKey, Option<&SideCell>, Option<&SideCell>)> =
            base.cells.iter().map(|(key, cell)| (key, Some(cell), new.cell(key))).collect();
        let only_new = new.cells.iter().filter(|(key, _)| base.cell(key).is_none());
        pairs.extend(only_new.map(|(key, cell)| (key, None, Some(cell))));
        let mut cells: Vec<ComparedCell> =
            pairs.iter().map(|(key, base, new)| compared(key, *base, *new, &options)).collect();
        if options.metric.is_none() {
            judge::relate_to_others(&mut cells, &pairs);
        }
        let all = cells.clone();
        for (cell, (_, base, new)) in cells.iter_mut().zip(&pairs) {
            if let (Some(base), Some(new)) = (base, new) {
                judge::judge(&all, cell, base, new, &options);
            }
        }
        Self { options, cells, pairs: base.pairs(new) }
    }

    pub fn cells(&self) -> &[ComparedCell] {
        &self.cells
    }

    /// 1 when something regressed, 4 when there was nothing to compare, 0 otherwise.
    pub fn exit_code(&self) -> u8 {
        let counts = self.counts();
        match counts {
            _ if counts.regressed > 0 => 1,
            _ if counts.compared() == 0 => 4,
            _ => 0,
        }
    }

    pub fn write(
        &self,
        output: &mut impl Write,
        format: Format,
        names: &Names,
        style: Style,
    ) -> io::Result<()> {
        let json = || json::value(self, names);
        format.write(output, style, || table::parts(self, names), json)
    }
}

/// Without a verdict yet, unless the status is one.
fn compared(
    key: &CellKey,
    base: Option<&SideCell>,
    new: Option<&SideCell>,
    options: &Options,
) -> ComparedCell {
    let (base_state, new_state) = (base.map(SideCell::state), new.map(SideCell::state));
    let mut changes = Vec::new();
    if let (Some(base), Some(new)) = (base, new)
        && (&base_state, &new_state) == (&Some(State::Measured), &Some(State::Measured))
    {
        let is_one_reference =
            base.reference.is_some() && base.reference == new.reference && !base.is_reference;
        for name in options.metrics() {
            let values = base.values.get(&name).zip(new.values.get(&name));
            let change = better(&name)
                .zip(values)
                .and_then(|(better, (base, new))| Change::new(base, new, better, is_one_reference));
            changes.extend(change.map(|change| (name, change)));
        }
    }
    let verdict = match (&base_state, &new_state) {
        // Measured in both, though one may not have a figure that decides.
        (Some(State::Measured), Some(State::Measured)) => Some(Verdict::CannotTell),
        (Some(base), Some(new)) => by_status(base, new),
        _ => None,
    };
    ComparedCell {
        key: key.clone(),
        operation: [base, new]
            .into_iter()
            .flatten()
            .map(|cell| cell.operation.clone())
            .find(|name| !name.is_empty())
            .unwrap_or_default(),
        base: base_state,
        new: new_state,
        changes,
        verdict,
        decided_by: None,
        doubt: None,
        is_reference: [base, new].into_iter().flatten().any(|cell| cell.is_reference),
        warned: (base.map_or(0, |cell| cell.warned), new.map_or(0, |cell| cell.warned)),
    }
}

/// At least one of them has no figures.
fn by_status(base: &State, new: &State) -> Option<Verdict> {
    // Nothing is known of what was left unmeasured, so it is no change for the worse or better.
    let towards = |status: Status, verdict| {
        if status == Status::Unmeasured { Verdict::CannotTell } else { verdict }
    };
    match (base, new) {
        (State::Measured, State::Told { status, .. }) => Some(towards(*status, Verdict::Regressed)),
        (State::Told { status, .. }, State::Measured) => Some(towards(*status, Verdict::Improved)),
        _ => None,
    }
}

impl ComparedCell {
    pub fn change(&self, metric: &str) -> Option<&Change> {
        self.changes.iter().find(|(name, _)| name == metric).map(|(_, change)| change)
    }

    /// The change that the verdict stands on.
    pub fn deciding(&self) -> Option<&Change> {
        self.change(self.decided_by.as_deref()?)
    }
}

#[cfg(test)]
mod tests;
