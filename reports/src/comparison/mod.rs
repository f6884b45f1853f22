//! Two runs, cell by cell: regressed, improved, same, or cannot tell.
//!
//! Never asks whether the runs may be compared at all; whoever read them knows their machines.

mod change;
mod json;
mod metric;
mod outcome;
mod side;
mod table;

use std::io::{self, Write};

pub use change::{Change, Verdict, change};
pub use metric::{Better, THROUGHPUT, better, choices};
pub use outcome::Counts;
pub use side::{CellKey, Side, State};

use crate::paint::Style;
use crate::record::Status;

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The figure whose change decides about a cell.
    pub metric: String,
    /// A share: changes within it are nobody's concern.
    pub threshold: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { metric: THROUGHPUT.to_owned(), threshold: 0.02 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    Markdown,
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
        if !names.contains(&self.metric) {
            names.push(self.metric.clone());
        }
        names
    }
}

impl Comparison {
    /// Both sides must come from [`Options::side`] of the same options.
    pub fn of(base: &Side, new: &Side, options: Options) -> Self {
        let mut cells: Vec<ComparedCell> = base
            .cells
            .iter()
            .map(|(key, cell)| compared(key, Some(cell), new.cell(key), &options))
            .collect();
        let only_new = new.cells.iter().filter(|(key, _)| base.cell(key).is_none());
        cells.extend(only_new.map(|(key, cell)| compared(key, None, Some(cell), &options)));
        Self { options, cells }
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
        match format {
            Format::Table => output.write_all(table::draw(self, names, style).as_bytes()),
            Format::Markdown => output.write_all(table::page(self, names).as_bytes()),
            Format::Json => json::write(self, names, output),
        }
    }
}

fn compared(
    key: &CellKey,
    base: Option<&side::SideCell>,
    new: Option<&side::SideCell>,
    options: &Options,
) -> ComparedCell {
    let (base_state, new_state) = (base.map(|cell| cell.state()), new.map(|cell| cell.state()));
    let mut changes = Vec::new();
    if let (Some(base), Some(new)) = (base, new)
        && (&base_state, &new_state) == (&Some(State::Measured), &Some(State::Measured))
    {
        for (index, name) in options.metrics().into_iter().enumerate() {
            let Some(better) = better(&name) else { continue };
            let (base, new) = (base.values(index), new.values(index));
            changes.extend(change(&base, &new, better, options.threshold).map(|made| (name, made)));
        }
    }
    let by_figures = changes.iter().find(|(name, _)| *name == options.metric);
    let verdict = match (&base_state, &new_state) {
        (Some(State::Measured), Some(State::Measured)) => {
            // Measured in both, though one may not have this very figure.
            Some(by_figures.map_or(Verdict::CannotTell, |(_, change)| change.verdict))
        }
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
        warned: (base.map_or(0, side::SideCell::warned), new.map_or(0, side::SideCell::warned)),
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
}

#[cfg(test)]
mod tests;
