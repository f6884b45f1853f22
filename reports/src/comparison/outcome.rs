//! What a comparison came to, counted.
//!
//! Never hides a cell: those that could not be compared have a count of their own.

use serde::Serialize;

use super::cell::ComparedCell;
use super::change::Verdict;
use super::metric::Options;
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

pub(super) fn counts(cells: &[ComparedCell]) -> Counts {
    let mut counts = Counts::default();
    for cell in cells {
        match (cell.verdict, &cell.base, &cell.new) {
            (Some(verdict), ..) => counts.add(verdict),
            (None, Some(_), Some(_)) => counts.without_figures += 1,
            (None, Some(_), None) => counts.only_in_base += 1,
            (None, None, _) => counts.only_in_new += 1,
        }
    }
    counts
}

/// The metric of the options first.
pub(super) fn metrics(cells: &[ComparedCell], options: &Options) -> Vec<MetricSummary> {
    let mut names = options.metrics();
    names.sort_by_key(|name| Some(name) != options.metric.as_ref());
    let summary = |name: String| {
        let (mut counts, mut ratios) = (Counts::default(), GeometricMean::default());
        for change in cells.iter().filter_map(|cell| cell.change(&name)) {
            counts.add(change.verdict(options.threshold));
            if let Some(ratio) = change.ratio().filter(|ratio| *ratio > 0.0) {
                ratios.add(ratio);
            }
        }
        MetricSummary { name, counts, ratios }
    };
    names.into_iter().map(summary).filter(|summary| summary.counts.compared() > 0).collect()
}
