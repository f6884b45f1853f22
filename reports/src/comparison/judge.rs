//! The verdict about a cell that both runs have measured.
//!
//! Never reports a change that the recorded noise may explain, nor a change of the reference.

use std::collections::HashMap;

use super::cell::{ComparedCell, Doubt};
use super::change::{Basis, Change, Verdict};
use super::metric::{CPU, Options};
use super::side::{CellKey, SideCell};
use crate::record::AxisValue;

/// A median of fewer others does not stand for the machine.
const OTHERS_MIN: usize = 3;

/// The cells of each case.
pub(super) type Cases<'a> = HashMap<(&'a str, &'a [AxisValue]), Vec<&'a ComparedCell>>;

type Pair<'a> = (&'a CellKey, Option<&'a SideCell>, Option<&'a SideCell>);

pub(super) fn by_case(cells: &[ComparedCell]) -> Cases<'_> {
    let mut cases = Cases::new();
    for cell in cells {
        cases.entry(cell.key.case()).or_default().push(cell);
    }
    cases
}

/// Without a reference in turns, the median change of the other subjects of the case stands for
/// the change of the machine.
pub(super) fn relate_to_others(cells: &mut [ComparedCell], pairs: &[Pair]) {
    let all = cells.to_vec();
    let all = by_case(&all);
    for (cell, (_, base, new)) in cells.iter_mut().zip(pairs) {
        let (Some(base), Some(new)) = (base, new) else { continue };
        for name in base.candidates(new) {
            let is_it = |(of, change): &&mut (String, Change)| {
                of == name && change.basis == Basis::Absolute
            };
            if let Some((_, change)) = cell.changes.iter_mut().find(is_it) {
                let others = others(&all, &cell.key, name, Basis::Absolute);
                if others.len() >= OTHERS_MIN {
                    *change = change.beside(&others);
                }
            }
        }
    }
}

/// The changes of the same figure in the other subjects of a cell's case.
fn others(all: &Cases<'_>, cell: &CellKey, name: &str, basis: Basis) -> Vec<Change> {
    let of_case = all.get(&cell.case()).into_iter().flatten();
    let others = of_case.filter(|other| other.key.subject != cell.subject);
    let changes = others.filter_map(|other| other.change(name).copied());
    changes.filter(|change| change.basis == basis).collect()
}

/// `all` are the cells of both runs.
pub(super) fn judge(
    all: &Cases<'_>,
    cell: &mut ComparedCell,
    base: &SideCell,
    new: &SideCell,
    options: &Options,
) {
    let candidates = match &options.metric {
        Some(metric) => vec![metric.as_str()],
        None => base.candidates(new),
    };
    let noise = base.noise.max(new.noise);
    let judged = |name: &str| {
        let change = cell.change(name)?;
        let verdict = change.verdict(options.threshold);
        // A difference far beyond the noise remains a change.
        let is_noise =
            name != CPU && noise > 0.0 && change.verdict(options.threshold + noise) != verdict;
        // One reference that changed makes all others look changed.
        let others = others(all, &cell.key, name, Basis::Reference);
        let is_shared = change.basis == Basis::Reference
            && others.len() >= OTHERS_MIN
            && change.beside(&others).verdict(options.threshold) != verdict;
        let doubt = match verdict {
            verdict if !verdict.is_change() => None,
            _ if cell.is_reference => Some(Doubt::Reference),
            _ if is_shared => Some(Doubt::Others),
            _ => is_noise.then_some(Doubt::Noise),
        };
        let verdict = if doubt.is_some() { Verdict::CannotTell } else { verdict };
        Some((name.to_owned(), change.uncertainty(), verdict, doubt))
    };
    let mut judged: Vec<_> = candidates.into_iter().filter_map(judged).collect();
    // Changed figures first, then the sharpest.
    judged.sort_by(|a, b| {
        let width = |uncertainty: Option<f64>| uncertainty.unwrap_or(f64::INFINITY);
        let changed = b.2.is_change().cmp(&a.2.is_change());
        changed.then(width(a.1).total_cmp(&width(b.1)))
    });
    if let Some((name, _, verdict, doubt)) = judged.into_iter().next() {
        (cell.decided_by, cell.verdict, cell.doubt) = (Some(name), Some(verdict), doubt);
    }
}
