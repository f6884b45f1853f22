//! The verdict about a cell that both runs have measured.
//!
//! Never flags what the noise that was warned of may explain, nor the reference itself.

use super::cell::{ComparedCell, Doubt};
use super::change::{Basis, Change, Verdict};
use super::metric::{CPU, Options};
use super::side::{CellKey, SideCell};

/// A median of fewer others is not the machine's.
const OTHERS_MIN: usize = 3;

type Pair<'a> = (&'a CellKey, Option<&'a SideCell>, Option<&'a SideCell>);

/// Where no reference took turns, what changed in the other subjects of the case stands for what
/// changed in the machine.
pub(super) fn relate_to_others(cells: &mut [ComparedCell], pairs: &[Pair]) {
    let all = cells.to_vec();
    for (cell, (_, base, new)) in cells.iter_mut().zip(pairs) {
        let (Some(base), Some(new)) = (base, new) else { continue };
        for name in base.candidates(new) {
            let others = others(&all, cell, name, Basis::Absolute);
            for (_, change) in cell.changes.iter_mut().filter(|(of, _)| of == name) {
                if change.basis == Basis::Absolute && others.len() >= OTHERS_MIN {
                    *change = change.beside(&others);
                }
            }
        }
    }
}

/// The changes of the same figure in the other subjects of a cell's case.
fn others(all: &[ComparedCell], cell: &ComparedCell, name: &str, basis: Basis) -> Vec<Change> {
    let is_other = |other: &&ComparedCell| {
        other.key.is_same_case(&cell.key) && other.key.subject != cell.key.subject
    };
    let changes = all.iter().filter(is_other).filter_map(|other| other.change(name).copied());
    changes.filter(|change| change.basis == basis).collect()
}

/// `all` are the cells of both runs.
pub(super) fn judge(
    all: &[ComparedCell],
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
        // A difference far beyond the noise is still one.
        let is_noise =
            name != CPU && noise > 0.0 && change.verdict(options.threshold + noise) != verdict;
        // One reference that changed makes all others look changed.
        let others = others(all, cell, name, Basis::Reference);
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
    // The sharpest first, and before it any in which something has changed.
    judged.sort_by(|a, b| {
        let width = |uncertainty: Option<f64>| uncertainty.unwrap_or(f64::INFINITY);
        let changed = b.2.is_change().cmp(&a.2.is_change());
        changed.then(width(a.1).total_cmp(&width(b.1)))
    });
    if let Some((name, _, verdict, doubt)) = judged.into_iter().next() {
        (cell.decided_by, cell.verdict, cell.doubt) = (Some(name), Some(verdict), doubt);
    }
}
