//! Two runs, cell by cell: regressed, improved, same, or cannot tell.
//!
//! Never checks whether the runs may be compared at all; that is up to the caller, which read them.

mod cell;
mod change;
mod json;
mod judge;
mod metric;
mod order;
mod outcome;
mod side;
mod table;
mod versions;

use std::io::{self, Write};

pub use cell::{ComparedCell, Doubt};
pub use change::{Basis, Change, Verdict};
pub use metric::{Better, Options, THROUGHPUT, better, choices};
pub use order::Pairs;
pub use outcome::Counts;
pub use side::{CellKey, Side, State};

pub use crate::format::Format;

use crate::style::Style;
use side::SideCell;

/// The names of the two runs, and their differences.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub base: String,
    pub new: String,
    /// One sentence for each difference between the runs.
    pub unlike: Vec<String>,
}

pub struct Comparison {
    options: Options,
    /// In the order of the base; what only the new run has, at the end.
    pub(crate) cells: Vec<ComparedCell>,
    pub(crate) pairs: Pairs,
}

impl Comparison {
    /// Both sides must come from [`Options::side`] of the same options.
    pub fn of(mut base: Side, mut new: Side, options: Options) -> Self {
        versions::pair(&mut base, &mut new);
        let mut pairs: Vec<(&CellKey, Option<&SideCell>, Option<&SideCell>)> =
            base.cells.iter().map(|(key, cell)| (key, Some(cell), new.cell(key))).collect();
        let only_new = new.cells.iter().filter(|(key, _)| base.cell(key).is_none());
        pairs.extend(only_new.map(|(key, cell)| (key, None, Some(cell))));
        let mut cells: Vec<ComparedCell> = pairs
            .iter()
            .map(|(key, base, new)| ComparedCell::of(key, *base, *new, &options))
            .collect();
        if options.metric.is_none() {
            judge::relate_to_others(&mut cells, &pairs);
        }
        let all = judge::by_case(&cells, &pairs);
        for (cell, (_, base, new)) in cells.iter_mut().zip(&pairs) {
            if let (Some(base), Some(new)) = (base, new) {
                judge::judge(&all, cell, base, new, &options);
            }
        }
        Self { options, cells, pairs: base.pairs(&new) }
    }

    pub fn cells(&self) -> &[ComparedCell] {
        &self.cells
    }

    pub fn counts(&self) -> Counts {
        outcome::counts(&self.cells)
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
        output.write_all(format.text(style, || table::parts(self, names), json).as_bytes())
    }
}

#[cfg(test)]
mod tests;
