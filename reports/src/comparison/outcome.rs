//! What a comparison came to, counted.
//!
//! Never hides a cell: those that could not be compared have a count of their own.

use serde::Serialize;

use super::{ComparedCell, Comparison, State, Verdict};
use crate::statistics::GeometricMean;

/// Cells by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub regressed: u64,
    pub improved: u64,
    pub same: u64,
    pub cannot_tell: u64,
    /// In both runs, and without figures in both.
    pub without_figures: u64,
    pub only_in_base: u64,
    pub only_in_new: u64,
}

impl Counts {
    pub fn compared(&self) -> u64 {
        self.regressed + self.improved + self.same + self.cannot_tell
    }

    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Regressed => &mut self.regressed,
            Verdict::Improved => &mut self.improved,
            Verdict::Same => &mut self.same,
            Verdict::CannotTell => &mut self.cannot_tell,
        } += 1;
    }
}

/// One metric over all cells that have it in both runs.
pub(super) struct MetricSummary {
    pub name: String,
    pub counts: Counts,
    /// Over the cells where the ratio is a positive number.
    pub ratios: GeometricMean,
}

impl Comparison {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for cell in &self.cells {
            match (cell.verdict, &cell.base, &cell.new) {
                (Some(verdict), ..) => counts.add(verdict),
                (None, Some(_), Some(_)) => counts.without_figures += 1,
                (None, Some(_), None) => counts.only_in_base += 1,
                (None, None, _) => counts.only_in_new += 1,
            }
        }
        counts
    }

    /// One that was asked for first.
    pub(super) fn metrics(&self) -> Vec<MetricSummary> {
        let mut names = self.options.metrics();
        names.sort_by_key(|name| Some(name) != self.options.metric.as_ref());
        names
            .into_iter()
            .map(|name| {
                let (mut counts, mut ratios) = (Counts::default(), GeometricMean::default());
                for change in self.cells.iter().filter_map(|cell| cell.change(&name)) {
                    counts.add(change.verdict(self.options.threshold));
                    if let Some(ratio) = change.ratio().filter(|ratio| *ratio > 0.0) {
                        ratios.add(ratio);
                    }
                }
                MetricSummary { name, counts, ratios }
            })
            .filter(|summary| summary.counts.compared() > 0)
            .collect()
    }

    /// Cells that a script or a reader has to look at.
    pub(super) fn of_verdict(&self, verdict: Verdict) -> impl Iterator<Item = &ComparedCell> {
        self.cells.iter().filter(move |cell| cell.verdict == Some(verdict))
    }
}

impl ComparedCell {
    /// `ok` or what is wrong, in the words of the record.
    pub(super) fn told(state: Option<&State>) -> &str {
        match state {
            None => "not run",
            Some(State::Measured) => "ok",
            Some(State::Told { text, .. }) => text,
        }
    }
}
