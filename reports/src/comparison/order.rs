//! Whether two runs put their subjects in the same order. A pair contradicts if each of the two is
//! ahead in one run, whatever the changes of single cells.
//!
//! Never counts a pair as a contradiction if one of the runs cannot tell which is ahead.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::figures::Cell;
use crate::ranking::Ranking;
use crate::series::{Figure, Series};

/// Pairs of subjects that both runs have, over all cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    pub compared: u64,
    /// One of the two is ahead in both runs.
    pub confirmed: u64,
    /// Ahead in one run, and behind in the other.
    pub contradicted: u64,
}

/// Which subject is ahead of which in one case of one run.
#[derive(Debug, Clone)]
pub(super) struct Order {
    by: Figure,
    subjects: BTreeSet<String>,
    /// The one that is ahead first.
    ahead: BTreeSet<(String, String)>,
}

impl Order {
    /// The cells must be all of one case.
    pub(super) fn of_case(cells: &[Cell]) -> Self {
        let by = Ranking::new(cells).by;
        let measured = cells.iter().filter_map(|cell| Some((&cell.subject.id, cell.figures()?)));
        let series: Vec<(&String, &Series)> =
            measured.map(|(id, figures)| (id, figures.merits.series(by))).collect();
        let mut ahead = BTreeSet::new();
        for (id, one) in &series {
            for (other_id, other) in &series {
                let verdict = one.against(other).map(|effect| effect.verdict(by.rule()));
                if verdict == Some(by.better()) {
                    ahead.insert(((*id).clone(), (*other_id).clone()));
                }
            }
        }
        let subjects = series.into_iter().map(|(id, _)| id.clone()).collect();
        Self { by, subjects, ahead }
    }

    pub(super) fn against(&self, other: &Order, pairs: &mut Pairs) {
        // By different figures they may well differ in order.
        if self.by != other.by {
            return;
        }
        let common = self.subjects.intersection(&other.subjects).count() as u64;
        pairs.compared += common * common.saturating_sub(1) / 2;
        pairs.confirmed += self.ahead.intersection(&other.ahead).count() as u64;
        let is_opposite = |(first, second): &&(String, String)| {
            other.ahead.contains(&(second.clone(), first.clone()))
        };
        pairs.contradicted += self.ahead.iter().filter(is_opposite).count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample::InTurns;

    fn pairs(base: &[(&str, f64)], new: &[(&str, f64)]) -> Pairs {
        let order = |subjects: &[(&str, f64)]| {
            let case = InTurns { noise: 0.01, ..InTurns::new(10) };
            Order::of_case(&Cell::all_of(&case.records(subjects)))
        };
        let mut pairs = Pairs::default();
        order(base).against(&order(new), &mut pairs);
        pairs
    }

    #[test]
    fn orders_are_confirmed_or_contradicted_pair_by_pair() {
        let base = [("a/b/c", 100_000.0), ("d/e/f", 80_000.0), ("g/h/i", 60_000.0)];
        let reversed = [("g/h/i", 60_000.0), ("a/b/c", 70_000.0), ("d/e/f", 80_000.0)];
        let found = pairs(&base, &base);
        assert_eq!(found, Pairs { compared: 3, confirmed: 3, contradicted: 0 });
        let found = pairs(&base, &reversed);
        assert_eq!(found, Pairs { compared: 3, confirmed: 2, contradicted: 1 });
        let found = pairs(&base, &base[..2]);
        assert_eq!(found, Pairs { compared: 1, confirmed: 1, contradicted: 0 });
    }
}
